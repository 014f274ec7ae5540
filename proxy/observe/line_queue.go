package observe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// lineQueue takes lines from many goroutines and writes them with one, many at a time. It
// never makes a caller wait for the writer: when the writer does not keep up and limit bytes
// are waiting, lines are dropped and counted.
type lineQueue struct {
	w     io.Writer
	limit int           // bytes that may wait; as many again may be in the writer's hands
	every time.Duration // how long the first waiting line may wait for others

	mu      sync.Mutex
	waiting []byte // whole lines
	closed  bool

	started chan struct{} // capacity 1: a line waits
	urgent  chan struct{} // capacity 1: do not wait for more
	done    chan struct{} // closed when the writer has ended

	written, dropped atomic.Uint64 // lines
}

// newLineQueue starts the writer; it ends after close.
func newLineQueue(w io.Writer, limit int, every time.Duration) *lineQueue {
	q := &lineQueue{
		w: w, limit: limit, every: every,
		started: make(chan struct{}, 1),
		urgent:  make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	go q.run()
	return q
}

// add queues a copy of line, which ends with a newline and has no other.
func (q *lineQueue) add(line []byte) {
	q.mu.Lock()
	if q.closed || len(q.waiting)+len(line) > q.limit {
		q.mu.Unlock()
		q.dropped.Add(1)
		return
	}
	first := len(q.waiting) == 0
	q.waiting = append(q.waiting, line...)
	half := len(q.waiting) >= q.limit/2 && len(q.waiting)-len(line) < q.limit/2
	q.mu.Unlock()
	if first {
		signal(q.started)
	}
	if half {
		signal(q.urgent)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *lineQueue) run() {
	defer close(q.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var taken []byte
	for {
		<-q.started
		// A signal of urgency that is left from an earlier batch only makes this one smaller.
		timer.Reset(q.every)
		select {
		case <-timer.C:
		case <-q.urgent:
		}
		q.mu.Lock()
		taken, q.waiting = q.waiting, taken[:0]
		closed := q.closed
		q.mu.Unlock()
		q.write(taken)
		if closed {
			return
		}
	}
}

func (q *lineQueue) write(lines []byte) {
	if len(lines) == 0 {
		return
	}
	n, err := q.w.Write(lines)
	if err != nil {
		// There is nowhere to report it: the count is the report.
		n = min(max(n, 0), len(lines))
		q.dropped.Add(uint64(bytes.Count(lines[n:], newline)))
		lines = lines[:n]
	}
	q.written.Add(uint64(bytes.Count(lines, newline)))
}

var newline = []byte{'\n'}

// close writes what waits and ends the writer. Lines that are added later are dropped. When
// ctx ends first the writer is left behind, stuck in its Write.
func (q *lineQueue) close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.started)
	signal(q.urgent)
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("access log: flush: %w", context.Cause(ctx))
	}
}
