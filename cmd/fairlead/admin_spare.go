package main

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
)

// spareDescriptors are as many connections as the admin port has when there is no descriptor left
// otherwise: probes, a scrape, and somebody who looks what is wrong.
const spareDescriptors = 16

// sparing is a listener that holds descriptors to accept connections with when the process has
// none left. It is made by newSparing.
type sparing struct {
	net.Listener

	mu     sync.Mutex
	spare  []*os.File
	closed bool
}

func newSparing(l net.Listener) *sparing {
	s := &sparing{Listener: l}
	s.fill()
	return s
}

// Accept implements net.Listener.
func (s *sparing) Accept() (net.Conn, error) {
	for {
		c, err := s.Listener.Accept()
		if err == nil {
			return &sparedConn{Conn: c, fill: sync.OnceFunc(s.fill)}, nil
		}
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) || !s.release() {
			return nil, err
		}
	}
}

// Close implements net.Listener.
func (s *sparing) Close() error {
	s.mu.Lock()
	s.closed = true
	spare := s.spare
	s.spare = nil
	s.mu.Unlock()
	for _, f := range spare {
		_ = f.Close()
	}
	return s.Listener.Close()
}

// release frees a descriptor, if one is left.
func (s *sparing) release() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.spare)
	if n == 0 {
		return false
	}
	_ = s.spare[n-1].Close()
	s.spare = s.spare[:n-1]
	return true
}

// fill takes as many descriptors as it can get back.
func (s *sparing) fill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && len(s.spare) < spareDescriptors {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return // the next connection that ends leaves one
		}
		s.spare = append(s.spare, f)
	}
}

// sparedConn gives its descriptor back when it is closed.
type sparedConn struct {
	net.Conn
	fill func()
}

// Close implements net.Conn.
func (c *sparedConn) Close() error {
	err := c.Conn.Close()
	c.fill()
	return err
}
