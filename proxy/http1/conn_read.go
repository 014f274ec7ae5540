package http1

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// serveSocket is next for cleartext TCP. While it waits it holds no buffer, and of the requests that
// come whole it reads each with one call of the system. It reports whether to go on.
//
// A connection is read until there is nothing more, as the poller tells of new bytes only; to find
// out costs a read that fails, before each wait. But after a read that did not fill its buffer
// nothing more is there, as long as the poller is not told to forget what it knows,
// which every Read on a net.Conn begins with. So the handler is called within
// syscall.RawConn.Read, where possible: that begins with it once for many requests.
//
// One thing is missed that way: the end of the connection, if it came with bytes that were
// read. The wheel looks for it, once for each wait; see overdue.
func (c *conn) serveSocket() bool {
	switch {
	case c.turn != nil:
		return c.respond()
	case c.in.len() > 0:
		return c.receive() && c.respond()
	case c.requests > 0 && !c.idle():
		return false
	case c.step == nil:
		c.step = c.serveReady
	}
	err := c.socket.Read(c.step)
	c.within = false
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.server.wheel.settle()
		if c.nudged {
			c.nudged = false
			c.slot.in.stop()
			return c.nc.SetReadDeadline(time.Time{}) == nil
		}
	}
	return err == nil && c.more
}

// serveReady serves what there is to read. It reports false to be called again when there is
// more, and true to leave c.socket.Read: for good, unless c.more is set, or because what has
// come needs to read.
func (c *conn) serveReady(fd uintptr) (leave bool) {
	c.more = false
	for {
		b := getBuffer(smallBuffer)
		n, err := readSocket(int(fd), b)
		if n <= 0 {
			putBuffer(b, c.server.poison)
			return err != syscall.EAGAIN
		}
		c.in.buf, c.in.r, c.in.w = b, 0, n
		for c.in.len() > 0 {
			if !c.takeWhole() {
				return true
			}
			c.within = true
			if !c.respond() {
				return true
			}
			c.within = false
		}
		c.in.release()
		if !c.idle() {
			return true
		}
		if n < smallBuffer {
			return false
		}
	}
}

// takeWhole takes the request that is buffered, if nothing has to be read for it. If it returns
// false, c.more says whether that is the reason.
func (c *conn) takeWhole() bool {
	if c.requests == 0 {
		c.more = true // it may be another protocol
		return false
	}
	var s headScanner
	b := c.in.bytes()
	end, err := s.scan(b, maxRequestLine)
	if err != nil || end <= len("\r\n") {
		c.more = true
		return false
	}
	head := string(b[:end])
	c.in.advance(end)
	if !c.take(head) {
		return false
	}
	t := c.turn
	c.more = t.upgrade || t.connect || t.body.chunked || t.body.left > int64(c.in.len())
	return !c.more
}

// idle begins the wait for the next request. It reports false if there is to be none.
func (c *conn) idle() bool {
	wheel := &c.server.wheel
	if c.tcp != nil {
		c.slot.in.set(waitFresh, wheel.due(tick))
	} else {
		c.slot.in.set(waitIdle, wheel.due(c.server.idleTimeout()))
	}
	return !c.server.closing.Load()
}

// await waits for the first byte of a request, on other connections than cleartext TCP. It holds
// no buffer meanwhile. It reports whether there is one.
func (c *conn) await() bool {
	if c.in.len() > 0 {
		return true // pipelined
	}
	c.in.release()
	return (c.requests == 0 || c.idle()) && c.awaitByte() == nil
}

// awaitByte reads one byte, for which the connection needs no buffer of ours.
func (c *conn) awaitByte() error {
	for {
		n, err := c.nc.Read(c.first[:])
		if n > 0 {
			c.in.preload(c.first[:])
			return nil
		} else if err != nil {
			return err
		}
	}
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
			c.setAlarm(waitHead, c.server.wheel.due(c.server.headTimeout()))
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

// Read reads from the connection for input. For a body the client has to send something within
// the limit; the other alarms are for all of what is read.
func (c *conn) Read(p []byte) (int, error) {
	if c.reading != waitBody {
		return c.nc.Read(p)
	}
	wheel := &c.server.wheel
	due := int64(never)
	if !c.deadlines.Load() {
		due = wheel.due(c.server.bodyTimeout())
	}
	if c.slot.in.set(waitBody, due) {
		c.unsettled = true
	}
	before := wheel.now.Load()
	n, err := c.nc.Read(p)
	switch after := wheel.now.Load(); {
	case c.slot.in.set(waitHandler, wheel.soon()):
		c.unsettled = true
		return n, errBodyTimeout
	case err == nil && c.tooSlow(&c.turn.body.pace, n, after-before):
		return n, errBodySlow
	}
	return n, err
}
