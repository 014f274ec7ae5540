package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// The heap is that of the objects, which stays, and that of requests, which is little. With
// thousands of Ingresses the first is so large that letting it double before it is collected, as Go
// does, is the greater part of all memory. With few, collecting sooner would cost more than it saves.
const (
	largeHeap = 64 << 20 // live bytes from which on the heap grows by half alone
	smallHeap = 48 << 20 // live bytes below which it doubles again
)

// memory keeps what the process has of the system in proportion to what it needs. The zero value is
// ready. GOGC in the environment has the last word on the growth of the heap.
type memory struct {
	first sync.Once

	mu    sync.Mutex
	large bool
}

// tune is called after each new table. It does not block.
func (m *memory) tune() {
	loaded := false
	m.first.Do(func() {
		loaded = true
		// Loading leaves as much behind as it keeps. Collecting that takes a while.
		go func() {
			debug.FreeOSMemory()
			m.limitGrowth()
		}()
	})
	if !loaded {
		m.limitGrowth()
	}
}

func (m *memory) limitGrowth() {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	m.mu.Lock()
	defer m.mu.Unlock()
	if large := isLarge(live[0].Value.Uint64(), m.large); large != m.large {
		m.large = large
		debug.SetGCPercent(map[bool]int{false: 100, true: 50}[large])
	}
}

// isLarge is what a heap of so many live bytes is, which was large before or not.
func isLarge(live uint64, was bool) bool {
	if was {
		return live >= smallHeap
	}
	return live > largeHeap
}
