package proxy

import (
	"sync"
	"time"
)

// stall notices that a client does nothing while it is waited for. The deadlines of an HTTP/2
// stream do not tell: they end it also where nobody waits, as between two events of a response.
type stall struct {
	limit time.Duration // of one wait
	// cut ends the wait. It reports false to leave it another time of limit. It is called with mu
	// held, and not once stop has returned.
	cut func() bool

	mu    sync.Mutex
	since time.Time   // when the wait began; zero: there is none
	timer *time.Timer // nil before the first wait
	over  bool
}

// begin begins a wait.
func (s *stall) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Now()
	if s.timer == nil && !s.over {
		s.timer = time.AfterFunc(s.limit, s.look)
	}
}

// end ends it.
func (s *stall) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
}

// stop is called when there will be no other wait.
func (s *stall) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *stall) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	next := s.limit
	if !s.since.IsZero() {
		if waited := time.Since(s.since); waited < s.limit {
			next -= waited
		} else if s.cut() {
			return
		}
	}
	s.timer.Reset(next)
}
