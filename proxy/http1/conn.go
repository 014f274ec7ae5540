package http1

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// conn is a connection of a Server. It belongs to the goroutine of serve, but for what the
// wheel calls.
type conn struct {
	server *Server
	nc     net.Conn
	tcp    *net.TCPConn         // nc, or what nc is but for its addresses: cleartext
	socket socket               // the TCP socket below nc; nil if there is none
	tls    *tls.ConnectionState // nil for cleartext
	remote string               // address of the client
	peer   netip.Addr           // the IP address in it; the zero Addr if there is none
	slot   *slot
	in     input
	turn   *turn // nil between requests

	reading   wait // what Read waits for: waitHead, waitBody or waitSkip
	requests  int  // heads that were read
	hijacked  bool
	last      bool        // no other request is read
	unsettled bool        // an alarm of a handler rang
	begun     atomic.Bool // the head of the response has left
	deadlines atomic.Bool // the handler set deadlines of its own: ours do not apply
	gone      bool        // the client closed its side; of the wheel
	watched   bool        // the wheel learns when it does; of the wheel
	taken     stall       // of the wheel
	intake    *intake     // of the wheel; nil before the first long upload

	first   [1]byte                       // of awaitByte
	step    func(fd uintptr) (leave bool) // serveReady, as c.socket.Read wants it
	more    bool                          // that c goes on after c.socket.Read
	within  bool                          // the handler runs within c.socket.Read
	copied  bool                          // who took the connection over has a descriptor of its own
	nudged  bool                          // of the wheel: it has cut waitFresh, as there is something to read
	parting parting
}

// parting is how a connection is closed.
type parting uint8

const (
	atOnce    parting = iota
	lingering         // after the client has seen the answer
	resetting         // so that its end cannot be taken for that of a response
)

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
	if c.tcp == nil {
		for c.next() {
		}
		return
	}
	for c.serveSocket() {
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
	return c.await() && c.receive() && c.respond()
}

// receive reads the request of which the first bytes are there. It reports whether c.turn has it.
func (c *conn) receive() bool {
	head, err := c.readHead()
	if err != nil {
		c.refuse(err)
		return false
	}
	if c.requests == 0 {
		if preface := isPreface(head); preface && c.server.HTTP2 != nil && c.mayBeHTTP2() {
			c.handOver(head)
			return false
		} else if !preface && !c.mayBeHTTP1() {
			c.refuse(fault(BadVersion, "want %q, as agreed by ALPN, got HTTP/1", c.tls.NegotiatedProtocol))
			return false
		}
	}
	return c.take(head)
}

// take makes a turn of a head. It reports whether c.turn has it; else it is refused.
func (c *conn) take(head string) bool {
	if c.server.ConnState != nil {
		c.server.ConnState(c.nc, http.StateActive)
	}
	c.requests++
	t := getTurn(c)
	if err := t.begin(head); err != nil {
		putTurn(t)
		c.refuse(err)
		return false
	}
	c.turn = t
	return true
}

// respond has the request of c.turn answered. It reports whether another may follow.
func (c *conn) respond() bool {
	t := c.turn
	c.in.release()
	c.reading = waitBody
	t.writer.begin()
	c.setAlarm(waitHandler, c.server.wheel.soon())
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

// setAlarm sets the alarm of a new wait for the client. If that before has rung then just as it
// ended, the request is served, as nobody has told the client that it would not be, and
// is the last.
func (c *conn) setAlarm(w wait, due int64) {
	if !c.slot.in.set(w, due) {
		return
	}
	c.server.wheel.settle()
	if !c.nudged {
		c.last = true
	}
	c.nudged = false
	_ = c.nc.SetReadDeadline(time.Time{})
}

// mayBeHTTP2 reports whether the client may speak HTTP/2: over TLS if ALPN has chosen that, as RFC
// 9113, 3.2 has it, and in clear always, as prior knowledge is all that there is.
func (c *conn) mayBeHTTP2() bool { return c.tls == nil || c.tls.NegotiatedProtocol == "h2" }

// mayBeHTTP1 reports whether the client may speak HTTP/1: unless ALPN has chosen something else.
func (c *conn) mayBeHTTP1() bool {
	return c.tls == nil || c.tls.NegotiatedProtocol == "" || c.tls.NegotiatedProtocol == "http/1.1"
}

// handOver gives the connection with what was read of it to whoever speaks HTTP/2.
func (c *conn) handOver(head string) {
	read := append([]byte(head), c.in.bytes()...)
	if nc := c.detach(); nc != nil {
		c.server.HTTP2(nc, read)
	}
}

// detach takes the connection away from the server. It returns nil if it is lost already.
func (c *conn) detach() net.Conn {
	c.hijacked = true
	c.in.drop()
	c.server.forget(c, http.StateHijacked)
	if c.within {
		// Reading, and closing, would wait for c.socket.Read to return.
		c.copied = true
		return duplicate(c.tcp)
	}
	if c.nc.SetDeadline(time.Time{}) != nil {
		return nil
	}
	return c.nc
}

// duplicate returns c with another descriptor, or nil.
func duplicate(c *net.TCPConn) net.Conn {
	f, err := c.File()
	if err != nil {
		return nil
	}
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil {
		return nil
	}
	return nc
}

// sever is called by the wheel; see watched.
func (c *conn) sever() {
	c.hungUp()
	if c.socket != nil {
		shutSocket(c.socket)
	} else {
		_ = c.nc.Close()
	}
}

// end closes the connection, unless somebody else has it.
func (c *conn) end() {
	if c.hijacked {
		if c.copied {
			_ = c.nc.Close()
		}
		return
	}
	if t := c.turn; t != nil { // the handler has ended its goroutine
		c.slot.in.stop()
		c.server.wheel.settle()
		t.presence.cancel()
	}
	switch c.parting {
	case lingering:
		c.linger()
	case resetting:
		c.reset()
	}
	c.in.drop()
	c.server.forget(c, http.StateClosed)
	_ = c.nc.Close()
}
