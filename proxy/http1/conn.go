package http1

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection of a Server. It belongs to the goroutine of serve, but for what the
// wheel calls.
type conn struct {
	server *Server
	nc     net.Conn
	tcp    *net.TCPConn         // nc, if that is one: cleartext
	socket socket               // the TCP socket below nc; nil if there is none
	tls    *tls.ConnectionState // nil for cleartext
	remote string               // address of the client
	slot   *slot
	in     input
	turn   *turn // nil between requests

	reading   wait // what Read waits for: waitHead, waitBody, waitSkip or waitLinger
	requests  int  // heads that were read
	hijacked  bool
	last      bool        // no other request is read
	unsettled bool        // an alarm of a handler rang
	deadlines atomic.Bool // the handler set deadlines of its own: ours do not apply
	gone      bool        // the client closed its side; of the wheel
	watched   bool        // the wheel learns when it does; of the wheel
	taken     stall       // of the wheel

	// These serve readReady.
	ready   func(fd uintptr) bool
	readN   int
	readErr error
}

// serve handles the requests of a connection one after another. It returns when it is closed or
// somebody else has taken it over.
func (c *conn) serve() {
	defer c.end()
	if !c.handshake() {
		return
	}
	for c.next() {
	}
}

// handshake completes that of TLS, if nobody has yet.
func (c *conn) handshake() bool {
	t, ok := c.nc.(*tls.Conn)
	if !ok {
		return true
	}
	if err := t.Handshake(); err != nil {
		c.server.failed(c.nc, fmt.Errorf("TLS handshake: %w", err))
		return false
	}
	state := t.ConnectionState()
	c.tls = &state
	return true
}

// next reads a request and has it answered. It reports whether another may follow.
func (c *conn) next() bool {
	if c.await() != nil {
		return false // who said nothing gets nothing
	}
	if c.server.ConnState != nil {
		c.server.ConnState(c.nc, http.StateActive)
	}
	head, err := c.readHead()
	if err != nil {
		c.refuse(err)
		return false
	}
	if isPreface(head) && c.requests == 0 && c.server.HTTP2 != nil {
		c.handOver(head)
		return false
	}
	c.requests++
	t := getTurn(c)
	if err := t.begin(head); err != nil {
		putTurn(t)
		c.refuse(err)
		return false
	}
	c.turn = t
	c.in.release()
	c.reading = waitBody
	t.writer.begin()
	if c.slot.in.set(waitHandler, c.server.wheel.soon()) {
		c.last = true // the head came with the end of its time: reading is over
	}
	completed := c.handle(t)
	if c.slot.in.stop() || c.unsettled {
		// The client is gone, and the wheel may just be telling that to this turn.
		c.server.wheel.settle()
		c.last = true
	}
	if c.hijacked {
		return false // and leave the turn to those who took the connection
	}
	again := completed && t.writer.finish()
	c.turn = nil
	putTurn(t)
	if !again {
		return false
	}
	if c.deadlines.Load() {
		c.deadlines.Store(false)
		if c.nc.SetDeadline(time.Time{}) != nil {
			return false
		}
	}
	if c.server.ConnState != nil {
		c.server.ConnState(c.nc, http.StateIdle)
	}
	return true
}

// handle calls the handler. It reports whether that has returned.
func (c *conn) handle(t *turn) (completed bool) {
	defer func() {
		if completed {
			return
		}
		// After runtime.Goexit there is nothing to recover.
		if v := recover(); v != nil && v != http.ErrAbortHandler && c.server.OnPanic != nil {
			c.server.OnPanic(t.req, v, debug.Stack())
		}
		if !c.hijacked {
			t.writer.abandon()
		}
	}()
	c.server.Handler.ServeHTTP(&t.writer, t.req)
	return true
}

// await waits for the first byte of a request. It holds no buffer meanwhile.
func (c *conn) await() error {
	if c.in.len() > 0 {
		return nil // pipelined
	}
	c.in.release()
	if c.requests > 0 {
		c.slot.in.set(waitIdle, c.server.wheel.due(c.server.idleTimeout()))
		if c.server.closing.Load() {
			return http.ErrServerClosed
		}
	}
	var err error
	if c.tcp != nil {
		err = c.awaitSocket()
	} else {
		err = c.awaitByte()
	}
	if err == nil && c.requests > 0 && c.slot.in.stop() {
		// The request came at the last moment. It is served, as nobody has told the client
		// that it would not be.
		c.server.wheel.settle()
		c.last = true
		err = c.nc.SetReadDeadline(time.Time{})
	}
	return err
}

// awaitSocket reads at once into a buffer that it gives back when there is nothing to read.
func (c *conn) awaitSocket() error {
	if c.ready == nil {
		c.ready = c.readReady
	}
	if err := c.socket.Read(c.ready); err != nil {
		return err
	}
	switch {
	case c.readErr != nil:
		return c.readErr
	case c.readN == 0:
		return io.EOF
	}
	return nil
}

// readReady reads from the descriptor. False: there is nothing yet.
func (c *conn) readReady(fd uintptr) bool {
	b := getBuffer(smallBuffer)
	n, err := readSocket(int(fd), b)
	if n > 0 {
		c.in.buf, c.in.r, c.in.w = b, 0, n
	} else {
		putBuffer(b, false)
		if err == syscall.EAGAIN {
			return false
		}
	}
	c.readN, c.readErr = n, err
	return true
}

// awaitByte reads one byte, for which the connection needs no buffer of ours, and then what
// else is there.
func (c *conn) awaitByte() error {
	var first [1]byte
	if _, err := io.ReadFull(c.nc, first[:]); err != nil {
		return err
	}
	c.in.buf = getBuffer(smallBuffer)
	c.in.r, c.in.w = 0, copy(c.in.buf, first[:])
	return nil
}

// readHead returns a head with the empty line at its end. The error is a *Fault, or one of the
// connection.
func (c *conn) readHead() (string, error) {
	var s headScanner
	skipped, armed := false, c.requests == 0
	for {
		b := c.in.bytes()
		if len(b) > 0 && classes[b[0]]&tokenByte == 0 && b[0] != '\r' {
			return "", fault(BadRequestLine, "want a method, got %.20q", b)
		}
		end, err := s.scan(b, maxLine)
		if s.lines == 0 && end != len("\r\n") && (err != nil && s.seen-s.line > maxRequestLine || len(b) > maxRequestLine+2) {
			return "", tooLong(b)
		}
		switch {
		case err != nil:
			return "", err
		case end == len("\r\n") && !skipped:
			// RFC 9112, 2.2: some clients send an empty line after a body.
			c.in.advance(end)
			s, skipped = headScanner{}, true
			if c.in.len() > 0 {
				continue
			}
		case end == len("\r\n"):
			return "", fault(BadRequestLine, "want a request, got empty lines")
		case end > maxRequestHead:
			return "", fault(HeadTooLarge, "want at most %d bytes", maxRequestHead)
		case end > 0:
			head := string(b[:end])
			c.in.advance(end)
			return head, nil
		}
		if !armed {
			armed = true
			c.slot.in.set(waitHead, c.server.wheel.due(c.server.headTimeout()))
		}
		c.reading = waitHead
		switch err := c.in.more(maxRequestHead); {
		case err == errBufferFull:
			return "", fault(HeadTooLarge, "want at most %d bytes", maxRequestHead)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "", fault(HeadTimeout, "want the head within %v", c.server.headTimeout())
		case err != nil:
			return "", err
		}
	}
}

// Read reads from the connection for input.
func (c *conn) Read(p []byte) (int, error) {
	if c.reading == waitHead {
		return c.nc.Read(p) // the alarm is for all of it
	}
	return c.readBody(p)
}

// readBody reads for a body: the client has to send something within the limit.
func (c *conn) readBody(p []byte) (int, error) {
	wheel := &c.server.wheel
	due := wheel.due(c.server.bodyTimeout())
	if c.deadlines.Load() {
		due = never
	}
	if c.slot.in.set(c.reading, due) {
		c.unsettled = true
	}
	n, err := c.nc.Read(p)
	rang := c.slot.in.set(waitHandler, wheel.soon())
	switch {
	case rang:
		return n, errBodyTimeout
	case err == nil && !c.fastEnough(n):
		return n, errBodySlow
	}
	return n, err
}

// fastEnough measures the rate at which a body comes, as long as the response has not begun:
// after that a slow body may be half of a dialogue.
func (c *conn) fastEnough(n int) bool {
	b := &c.turn.body
	rate := c.server.minBodyRate()
	if rate == 0 || c.deadlines.Load() || c.turn.writer.begun.Load() {
		return true
	}
	now, length := c.server.wheel.now.Load(), c.server.bodyTimeout().Milliseconds()
	if b.window == 0 {
		b.window = now
	}
	b.windowBytes += int64(n)
	if now-b.window < length {
		return true
	}
	fast := b.windowBytes*1000 >= rate*(now-b.window)
	b.window, b.windowBytes = now, 0
	return fast
}

// timeoutError is an os.ErrDeadlineExceeded that says more.
type timeoutError string

func (e timeoutError) Error() string        { return string(e) }
func (e timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }
func (e timeoutError) Timeout() bool        { return true }
func (e timeoutError) Temporary() bool      { return false }

var (
	errBodyTimeout  error = timeoutError("http1: the client sends nothing of the request body")
	errBodySlow     error = timeoutError("http1: the client sends the request body too slowly")
	errWriteTimeout error = timeoutError("http1: the client takes nothing of the response")
)

// write writes b, within the time that the client has to take some of it.
func (c *conn) write(b []byte) error {
	c.slot.out.set(waitWrite, c.server.wheel.due(c.server.writeTimeout()))
	_, err := c.nc.Write(b)
	return c.written(err)
}

// writeAll writes all of bufs in one call of the system, where there is one for that.
func (c *conn) writeAll(bufs *net.Buffers) error {
	c.slot.out.set(waitWrite, c.server.wheel.due(c.server.writeTimeout()))
	_, err := bufs.WriteTo(c.nc)
	return c.written(err)
}

func (c *conn) written(err error) error {
	if c.slot.out.stop() {
		return errWriteTimeout
	}
	return err
}

// overdue is called by the wheel; see watched.
func (c *conn) overdue(w wait) time.Duration {
	switch w {
	case waitHandler:
		if !c.watched && c.socket != nil {
			c.watched = c.server.wheel.watch(c.slot, c.socket)
		}
		if c.gone {
			return 0
		}
		return forever
	case waitWrite:
		if c.deadlines.Load() || c.taken.moved(c.socket) {
			return c.server.writeTimeout()
		}
	}
	return 0
}

// cut is called by the wheel; see watched.
func (c *conn) cut(w wait) {
	switch w {
	case waitHandler:
		c.turn.presence.cancel()
	case waitWrite:
		_ = c.nc.SetWriteDeadline(time.Unix(1, 0))
	default:
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// hungUp is called by the wheel; see watched.
func (c *conn) hungUp() {
	c.gone = true
	v := c.slot.in.word.Load()
	if wait(v&(rangBit-1)) == waitHandler && v&rangBit == 0 && c.slot.in.word.CompareAndSwap(v, v|rangBit) {
		c.turn.presence.cancel()
	}
}

// handOver gives the connection with what was read of it to whoever speaks HTTP/2.
func (c *conn) handOver(head string) {
	read := append([]byte(head), c.in.bytes()...)
	if c.detach() {
		c.server.HTTP2(c.nc, read)
	}
}

// detach takes the connection away from the server. It reports false if it is lost already.
func (c *conn) detach() bool {
	c.hijacked = true
	c.in.drop()
	c.server.forget(c, http.StateHijacked)
	return c.nc.SetDeadline(time.Time{}) == nil
}

// sever closes the connection; its goroutine finds out. It may be called by any goroutine.
func (c *conn) sever() { _ = c.nc.Close() }

// end closes the connection, unless somebody else has it.
func (c *conn) end() {
	if c.hijacked {
		return
	}
	c.in.drop()
	c.server.forget(c, http.StateClosed)
	_ = c.nc.Close()
}
