package http1

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
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

	reading   wait // what Read waits for: waitHead, waitBody or waitSkip
	requests  int  // heads that were read
	hijacked  bool
	last      bool        // no other request is read
	unsettled bool        // an alarm of a handler rang
	deadlines atomic.Bool // the handler set deadlines of its own: ours do not apply
	gone      bool        // the client closed its side; of the wheel
	watched   bool        // the wheel learns when it does; of the wheel
	taken     stall       // of the wheel

	first   [1]byte               // of awaitByte
	ready   func(fd uintptr) bool // readReady, and what it has found
	readN   int
	readErr error
}

// open serves the connection after its handshake, on a goroutine of its own: that of the handshake
// has grown a stack that is never used again.
func (c *conn) open() {
	if c.handshake() {
		go c.serve()
	} else {
		c.end()
	}
}

// serve handles the requests of a connection one after another. It returns when it is closed or
// somebody else has taken it over.
func (c *conn) serve() {
	defer c.end()
	for c.next() {
	}
}

// handshake completes that of TLS, if there is TLS and nobody has yet.
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
	if c.requests == 0 {
		if preface := isPreface(head); preface && c.server.HTTP2 != nil && c.agreed("h2") {
			c.handOver(head)
			return false
		} else if !preface && c.tls != nil && !c.agreed("http/1.1") {
			c.refuse(fault(BadVersion, "want %q, as agreed by ALPN, got HTTP/1", c.tls.NegotiatedProtocol))
			return false
		}
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
	if c.hijacked {
		t.presence.cancel()
		return false // and leave the turn to those who took the connection
	}
	if c.slot.in.stop() || c.unsettled {
		// The client is gone, and the wheel may just be telling that to this turn.
		c.server.wheel.settle()
		c.last = true
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

// agreed reports whether ALPN has chosen proto, or nothing.
func (c *conn) agreed(proto string) bool {
	return c.tls == nil || c.tls.NegotiatedProtocol == "" || c.tls.NegotiatedProtocol == proto
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

// sever is called by the wheel; see watched.
func (c *conn) sever() {
	c.hungUp()
	_ = below(c.nc).Close() // that of TLS may wait
}

// end closes the connection, unless somebody else has it.
func (c *conn) end() {
	if c.hijacked {
		return
	}
	c.in.drop()
	if t := c.turn; t != nil { // the handler has ended its goroutine
		c.slot.in.stop()
		c.server.wheel.settle()
		t.presence.cancel()
	}
	c.server.forget(c, http.StateClosed)
	_ = c.nc.Close()
}
