package policy

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// hashing bounds how many passwords are compared with slow hashes at a time, in all rules together: one takes a
// processor for as long as hundreds of requests do, and anybody may send one. Whatever is
// guessed, half of the processors are left to everybody else. The zero value is ready for use.
type hashing struct {
	once  sync.Once
	slots chan struct{} // those who wait are served in the order in which they came
}

const (
	// maxHashWait is how long a request waits for its turn.
	maxHashWait = 10 * time.Second
	// maxHashWaiting is how many requests of one rule do at a time, so that the passwords of others
	// have theirs.
	maxHashWaiting = 128
)

// enter reports whether a password may be hashed, until leave. It waits for that, but not when ctx ends.
func (h *hashing) enter(ctx context.Context) bool {
	h.once.Do(func() { h.slots = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) })
	select {
	case h.slots <- struct{}{}:
		return true
	default:
	}
	patience := time.NewTimer(maxHashWait)
	defer patience.Stop()
	select {
	case h.slots <- struct{}{}:
		return true
	case <-patience.C:
	case <-ctx.Done():
	}
	return false
}

func (h *hashing) leave() { <-h.slots }
