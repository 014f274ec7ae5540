package http1

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// clientConn is one connection of a Client. What is needed for a response is kept with it and
// used again for the next.
//
// It belongs to the goroutine of one exchange at a time, which is also the one that reads the
// response's body. What others may look at meanwhile is guarded by mu, or atomic.
type clientConn struct {
	client *Client
	nc     net.Conn
	raw    syscall.RawConn // of the socket; nil when nc has none that is known
	secure bool            // nc is TLS, over raw
	index  int             // among the clock's connections, guarded by that

	served bool // it had a request before this one
	wire   clientWire

	head    responseHead
	resp    http.Response
	header  http.Header
	fields  fieldStore
	trailer fieldStore // its values are not used again
	in      input
	body    clientBody

	watch atomic.Int64 // a phase and since when: see watchWord

	mu     sync.Mutex
	call   *Call           // nil: there is no exchange
	ctx    context.Context // of its request
	sender *bodySender     // nil: the body, if there is one, is not being sent
	cause  error           // why the exchange was interrupted

	progress progress // of phaseSplice; the clock's
}

func newClientConn(c *Client, nc net.Conn) *clientConn {
	conn := &clientConn{client: c, nc: nc, header: make(http.Header)}
	conn.wire.step = conn.step
	socket := nc
	if t, ok := nc.(*tls.Conn); ok {
		conn.secure = true
		socket = t.NetConn()
	}
	if s, ok := socket.(interface {
		SyscallConn() (syscall.RawConn, error)
	}); ok {
		conn.raw, _ = s.SyscallConn() // without it, the connection is only less well looked after
	}
	conn.in.src = conn
	conn.in.poison = c.Set.poison
	c.open.Add(1)
	c.Set.clock.add(conn)
	return conn
}

// close ends an idle connection. It, or abort, is called once, by whoever has the connection.
func (c *clientConn) close() {
	c.nc.Close()
	c.client.Set.clock.remove(c)
	c.client.open.Add(-1)
}

// abort ends a connection on which anything may be under way. It does not wait for the other side
// to take TLS's farewell.
func (c *clientConn) abort() {
	if t, ok := c.nc.(*tls.Conn); ok {
		t.NetConn().Close()
	}
	c.close()
}

// begin makes the exchange known to the clock.
func (c *clientConn) begin(ctx context.Context, call *Call, p phase) {
	c.mu.Lock()
	c.call, c.ctx, c.sender = call, ctx, nil
	c.mu.Unlock()
	c.wait(p)
}

// wait says what the exchange waits for from now on.
func (c *clientConn) wait(p phase) {
	c.watch.Store(watchWord(p, c.client.Set.clock.now()))
}

// end takes the exchange from the clock's view and returns why it was interrupted, if it was.
// Nothing of the Call or of the request's context is used after it.
func (c *clientConn) end() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch.Store(0)
	c.call, c.ctx = nil, nil
	return c.cause
}

// Read reads from the connection, as the source of c.in and for bodies. The clock interrupts it.
func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.nc.Read(p)
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	return n, err
}

// clientWire is what clientConn.step works on.
type clientWire struct {
	step    func(fd uintptr) bool // the method, bound once
	op      wireOp
	out     []byte // what is to be written
	written int    // of it
	await   bool   // read the answer at once when it comes
	stale   bool
	err     error
}

// wireOp is what the next call of step begins with.
type wireOp uint8

const (
	opSend wireOp = iota // look at the connection, and write the request
	opRead               // read the answer
)

// step does the next operations on the socket, as the callback of a RawConn.Read. It returns
// false when it waits for something to read, and is then called again.
//
// This is a read and a write in one because a plain Read begins with an attempt that nearly
// always fails, for the answer to what was just written is not there. Here that first attempt
// comes before the request is written, where it shows whether an idle connection was closed, or
// holds bytes that no request asked for. No event is lost: what comes after a look that found
// nothing wakes the goroutine, as it would in any loop of reads. That is why there must be one
// before each wait. No buffer is held while it waits.
func (c *clientConn) step(fd uintptr) bool {
	w := &c.wire
	if w.op == opSend {
		if readable(fd) {
			if c.served {
				w.stale = true
				return true
			}
			w.await = false // it is there already, and nothing would wake us
		}
		n, err := syscall.Write(int(fd), w.out)
		switch {
		case err == syscall.EINTR || err == syscall.EAGAIN:
			return true // it is written as usual
		case err != nil:
			w.err = os.NewSyscallError("write", err)
			return true
		}
		w.written = n
		if n < len(w.out) || !w.await {
			return true // the rest is as usual
		}
		c.dropOutput()
		w.op = opRead
		return false
	}
	if c.in.buf == nil {
		c.in.buf = getBuffer(clientBuffer)
	} else if w.err = c.in.room(maxResponseHead); w.err != nil {
		return true
	}
	for {
		n, err := syscall.Read(int(fd), c.in.buf[c.in.w:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			c.in.release()
			return false
		case err != nil:
			w.err = os.NewSyscallError("read", err)
		case n == 0:
			w.err = io.EOF
		default:
			c.in.w += n
		}
		return true
	}
}

// readable reports whether a read would not wait: there are bytes, the end, or an error.
func readable(fd uintptr) bool {
	_, err := peek(fd)
	return err != syscall.EAGAIN
}

// atEnd reports whether a read would find the end, or an error.
func atEnd(fd uintptr) bool {
	n, err := peek(fd)
	return n <= 0 && err != syscall.EAGAIN
}

func peek(fd uintptr) (int, error) {
	var b [1]byte
	for {
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// clean reports whether an idle TLS connection holds nothing and was not closed. What TLS itself
// still has to say, such as that the session ends, counts as something.
func (c *clientConn) clean() bool {
	clean := true
	if c.raw != nil && c.raw.Control(func(fd uintptr) { clean = !readable(fd) }) != nil {
		return false
	}
	return clean
}

// drained reports whether nothing is left that TLS has already taken from the socket. It is
// called after a response.
func (c *clientConn) drained() bool {
	if !c.secure {
		return true
	}
	if c.nc.SetReadDeadline(longAgo) != nil {
		return false
	}
	var b [1]byte
	n, err := c.nc.Read(b[:]) // does not touch the socket: its deadline is over
	return n == 0 && isTimeout(err) && c.nc.SetReadDeadline(time.Time{}) == nil
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// errStale is why an exchange has not begun: the other side has closed the connection, or has
// sent something on it, since its last request. Nothing was written.
var errStale = errorString("the idle connection was closed, or held bytes that no request asked for")

type errorString string

func (e errorString) Error() string { return string(e) }

// send writes w.out. If await, it also reads, or waits for, the beginning of the answer where
// that costs nothing. The error is errStale, or one of the connection.
func (c *clientConn) send(await bool) error {
	w := &c.wire
	w.written, w.stale, w.err, w.await = 0, false, nil, await
	if c.raw != nil && !c.secure {
		w.op = opSend
		if err := c.raw.Read(w.step); err != nil {
			return err
		}
		if w.stale {
			return errStale
		}
		if w.err != nil || w.out == nil {
			return w.err
		}
	} else if c.served && !c.clean() {
		return errStale
	}
	if w.written < len(w.out) {
		c.wait(phaseSend)
		n, err := c.nc.Write(w.out[w.written:])
		w.written += n
		if err != nil {
			return err
		}
	}
	c.dropOutput()
	if await {
		c.wait(phaseHead)
	}
	return nil
}

// dropOutput gives the written request back.
func (c *clientConn) dropOutput() {
	if c.wire.out != nil {
		putBuffer(c.wire.out, c.in.poison)
		c.wire.out = nil
	}
}

// fill reads more of the head.
func (c *clientConn) fill() error {
	if c.raw == nil || c.secure {
		return c.in.more(maxResponseHead)
	}
	c.wire.op, c.wire.err = opRead, nil
	if err := c.raw.Read(c.wire.step); err != nil {
		return err
	}
	return c.wire.err
}
