package upstream

import (
	"net"
	"sync/atomic"
)

// countedConn is a connection that its endpoint counts while it is open. An http1.Client counts
// its own, but an http.Transport does not.
type countedConn struct {
	*net.TCPConn
	open   *atomic.Int64
	closed atomic.Bool
}

func counted(c *net.TCPConn, open *atomic.Int64) *countedConn {
	open.Add(1)
	return &countedConn{TCPConn: c, open: open}
}

func (c *countedConn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.TCPConn.Close()
}
