package observe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gate is a writer that can be made to block and to fail.
type gate struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	writes int
	fail   error
	accept int           // bytes taken of a Write that fails
	open   chan struct{} // a Write waits until it is closed; nil: it does not
}

func (g *gate) Write(b []byte) (int, error) {
	if g.open != nil {
		<-g.open
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes++
	if g.fail != nil {
		return g.accept, g.fail
	}
	return g.buf.Write(b)
}

func (g *gate) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.String()
}

// pass lets the fake time of a synctest bubble go on.
func pass(d time.Duration) { <-time.After(d) }

// Lines that come within the flush time are one write, and nothing is written before it is over.
func TestLineQueueBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(gate)
		q := newLineQueue(g, 1000, 50*time.Millisecond)
		for i := range 10 {
			q.add(fmt.Appendf(nil, "line %d\n", i))
		}
		pass(49 * time.Millisecond)
		synctest.Wait()
		if got := g.text(); got != "" {
			t.Errorf("written before the flush time: %q", got)
		}
		pass(time.Millisecond)
		synctest.Wait()
		if got := strings.Count(g.text(), "\n"); got != 10 || g.writes != 1 {
			t.Errorf("%d lines in %d writes, want 10 in 1", got, g.writes)
		}
		// The next line begins a batch of its own.
		q.add([]byte("late\n"))
		pass(50 * time.Millisecond)
		synctest.Wait()
		if !strings.HasSuffix(g.text(), "line 9\nlate\n") || g.writes != 2 {
			t.Errorf("after %d writes: %q", g.writes, g.text())
		}
		if err := q.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A buffer that is half full is written at once.
func TestLineQueueHalfFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(gate)
		q := newLineQueue(g, 100, time.Hour)
		start := time.Now()
		for range 6 {
			q.add([]byte("123456789\n"))
		}
		synctest.Wait()
		if len(g.text()) < 50 || time.Since(start) != 0 {
			t.Errorf("%d bytes written after %v, want at least 50 at once", len(g.text()), time.Since(start))
		}
		if err := q.close(t.Context()); err != nil {
			t.Error(err)
		}
		if len(g.text()) != 60 {
			t.Errorf("%d bytes after close, want 60", len(g.text()))
		}
	})
}

// A writer that blocks costs lines, counted, and never makes a caller wait: in a synctest
// bubble an add that blocked would be a deadlock.
func TestLineQueueDropsWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		q := newLineQueue(g, 100, time.Millisecond)
		for i := range 50 {
			q.add(fmt.Appendf(nil, "%09d\n", i))
			pass(time.Millisecond)
		}
		if got := q.dropped.Load(); got < 25 || got > 40 {
			t.Errorf("%d of 50 lines dropped with room for 10 and 10 being written", got)
		}
		dropped := q.dropped.Load()
		close(g.open)
		if err := q.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		written := uint64(strings.Count(g.text(), "\n"))
		if written+dropped != 50 || written != q.written.Load() {
			t.Errorf("%d written, counted %d, %d dropped, want 50 in all", written, q.written.Load(), dropped)
		}
		// What is there is whole lines in their order.
		last := -1
		for _, line := range strings.Split(strings.TrimSuffix(g.text(), "\n"), "\n") {
			var n int
			if _, err := fmt.Sscanf(line, "%d", &n); err != nil || len(line) != 9 || n <= last {
				t.Fatalf("line %q after %d", line, last)
			}
			last = n
		}
	})
}

func TestLineQueueWriteError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{fail: io.ErrShortWrite, accept: len("one\nt")}
		q := newLineQueue(g, 1000, time.Millisecond)
		q.add([]byte("one\n"))
		q.add([]byte("two\n"))
		q.add([]byte("three\n"))
		if err := q.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if q.written.Load() != 1 || q.dropped.Load() != 2 {
			t.Errorf("written %d, dropped %d, want 1 and 2", q.written.Load(), q.dropped.Load())
		}
	})
}

func TestLineQueueClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		q := newLineQueue(g, 1000, time.Millisecond)
		q.add([]byte("stuck\n"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close with a stuck writer: %v, want the context's error", err)
		}
		q.add([]byte("late\n"))
		close(g.open)
		if err := q.close(t.Context()); err != nil {
			t.Errorf("second close: %v", err)
		}
		if g.text() != "stuck\n" || q.dropped.Load() != 1 {
			t.Errorf("written %q, dropped %d; want the first line, and one dropped", g.text(), q.dropped.Load())
		}
	})
}

func TestLineQueueCloseEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(gate)
		q := newLineQueue(g, 1000, time.Millisecond)
		if err := q.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if g.writes != 0 {
			t.Errorf("%d writes of nothing", g.writes)
		}
	})
}

// Many goroutines, a slow writer: every line is written whole or counted as dropped.
func TestLineQueueConcurrent(t *testing.T) {
	var out bytes.Buffer // one writer at a time is the queue's promise; -race checks it
	q := newLineQueue(&out, 4<<10, time.Millisecond)
	const goroutines, lines = 8, 2000
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range lines {
				q.add(fmt.Appendf(nil, "%d %d %s.\n", g, i, strings.Repeat("x", i%50)))
			}
		})
	}
	wg.Wait()
	if err := q.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := make([]int, goroutines)
	written := 0
	for line := range strings.Lines(out.String()) {
		var g, i int
		if _, err := fmt.Sscanf(line, "%d %d", &g, &i); err != nil || !strings.HasSuffix(line, ".\n") || i < next[g] {
			t.Fatalf("line %q, want a whole one from %d on", line, next[g])
		}
		next[g] = i + 1
		written++
	}
	if dropped := int(q.dropped.Load()); written+dropped != goroutines*lines || written == 0 {
		t.Errorf("%d written and %d dropped of %d", written, dropped, goroutines*lines)
	}
}
