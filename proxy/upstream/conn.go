package upstream

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// conn is a connection to an endpoint that knows what went over it. That settles, for
// HTTP/1.1, what the Transport does not tell: whether anything of a request was written, and
// whether what is read is a response to it.
type conn struct {
	*net.TCPConn
	raw    syscall.RawConn
	open   *atomic.Int64 // counts the connections of the endpoint
	closed atomic.Bool

	read, written atomic.Int64 // bytes
	// readBefore is what was read when the latest request began to be written; -1 while
	// it did not.
	readBefore atomic.Int64
	reused     atomic.Bool // the latest request is not the first
}

// errStale is the error of a Write, which wrote nothing, to a connection that the endpoint has
// closed, or has sent something on, since its last request.
var errStale = errors.New("the idle connection was closed by the endpoint, or holds bytes that no request asked for")

func newConn(c *net.TCPConn, open *atomic.Int64) (*conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	open.Add(1)
	return &conn{TCPConn: c, raw: raw, open: open}, nil
}

// beginRequest is called between two requests, before anything of the second is written.
func (c *conn) beginRequest(reused bool) {
	c.reused.Store(reused)
	c.readBefore.Store(-1)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if c.readBefore.Load() < 0 {
		if c.reused.Load() && c.readable() {
			return 0, errStale
		}
		c.readBefore.Store(c.read.Load())
	}
	n, err := c.TCPConn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// ReadFrom keeps the kernel's way of copying between two connections. It is for bodies: the
// head of the request was written before.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	c.written.Add(n)
	return n, err
}

func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.open.Add(-1)
	}
	return c.TCPConn.Close()
}

// readable reports whether a Read would not wait: there are bytes, the end, or an error.
func (c *conn) readable() bool {
	var (
		b  [1]byte
		is = true
	)
	err := c.raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		is = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return err != nil || is
}

// unsolicited reports, once the first byte of a response is there, whether it was there
// before the request: then it is the rest of an earlier response, or was sent unasked.
func (c *conn) unsolicited() bool {
	before := c.readBefore.Load()
	return before < 0 || c.read.Load() == before
}
