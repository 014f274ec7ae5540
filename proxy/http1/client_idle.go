package http1

import (
	"errors"
	"slices"
	"syscall"
	"time"
)

// Limits where a ClientSet says nothing else.
const (
	defaultMaxIdle          = 4096
	defaultMaxIdlePerClient = 64
	defaultIdleTimeout      = 30 * time.Second
)

// take returns the connection that was idle for the shortest time, nil if none is.
func (c *Client) take() *clientConn {
	c.mu.Lock()
	n := len(c.idle)
	if n == 0 {
		c.mu.Unlock()
		return nil
	}
	conn := c.idle[n-1]
	c.idle[n-1] = nil
	c.idle = c.idle[:n-1]
	conn.watch.Store(watchWord(phaseHeld, 0))
	c.mu.Unlock()
	c.Set.idle.Add(-1)
	return conn
}

// release keeps a connection for the next request, or closes it if that is not wanted.
func (c *Client) release(conn *clientConn) {
	c.mu.Lock()
	if c.discard || len(c.idle) >= orDefault(c.Set.MaxIdlePerClient, defaultMaxIdlePerClient) ||
		c.Set.idle.Load() >= int64(orDefault(c.Set.MaxIdle, defaultMaxIdle)) {
		c.mu.Unlock()
		conn.close()
		return
	}
	conn.watch.Store(watchWord(phaseIdle, c.Set.clock.now()))
	c.idle = append(c.idle, conn)
	c.Set.idle.Add(1) // within mu: take must not come first
	c.mu.Unlock()
}

// evict closes conn if it is idle, and reports whether it was.
func (c *Client) evict(conn *clientConn) bool {
	c.mu.Lock()
	i := slices.Index(c.idle, conn)
	if i >= 0 {
		c.idle = slices.Delete(c.idle, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 {
		c.Set.idle.Add(-1)
		conn.close()
	}
	return i >= 0
}

// CloseIdle closes the connections of all Clients that no request uses, and returns how many. It
// makes room when the process has no descriptors left.
func (s *ClientSet) CloseIdle() int {
	s.clock.mu.Lock()
	conns := slices.Clone(s.clock.conns)
	s.clock.mu.Unlock()
	n := 0
	for _, conn := range conns {
		if watchPhase(conn.watch.Load()) == phaseIdle && conn.client.evict(conn) {
			n++
		}
	}
	return n
}

// isShortage reports whether err says that there are no descriptors left.
func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// CloseIdle closes the connections that no request uses.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()
	c.Set.idle.Add(-int64(len(idle)))
	for _, conn := range idle {
		conn.close()
	}
}

// Discard makes c close each connection that has no request, now and from now on; or,
// with false, keep them again.
func (c *Client) Discard(discard bool) {
	c.mu.Lock()
	c.discard = discard
	c.mu.Unlock()
	if discard {
		c.CloseIdle()
	}
}
