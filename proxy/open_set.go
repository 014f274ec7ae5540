package proxy

import (
	"context"
	"sync"
)

// openSet holds what is open and must be waited for, or closed, in the end. The zero value is
// empty and ready. All methods may be called by many goroutines.
type openSet[T comparable] struct {
	mu   sync.Mutex
	open map[T]struct{}
	idle chan struct{} // closed when open becomes empty; nil when nobody waits
}

// add puts item in, until done is called.
func (s *openSet[T]) add(item T) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[T]struct{})
	}
	s.open[item] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, item)
		if len(s.open) == 0 && s.idle != nil {
			close(s.idle)
			s.idle = nil
		}
	}
}

func (s *openSet[T]) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// wait returns when the set is empty, or with the error of ctx.
func (s *openSet[T]) wait(ctx context.Context) error {
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// each calls f for what is in the set. f must not wait for it to be taken out.
func (s *openSet[T]) each(f func(T)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for item := range s.open {
		f(item)
	}
}
