package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"
)

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
		putBuffer(b, c.server.poison)
		if err == syscall.EAGAIN {
			return false
		}
	}
	c.readN, c.readErr = n, err
	return true
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
	case err == nil && !c.fastEnough(n, after-before):
		return n, errBodySlow
	}
	return n, err
}

// fastEnough measures the rate at which a body comes, over the time that we wait for it, as long
// as the response has not begun: after that a slow body may be half of a dialogue.
func (c *conn) fastEnough(n int, waited int64) bool {
	b := &c.turn.body
	rate, length := c.server.minBodyRate(), c.server.bodyTimeout().Milliseconds()
	b.waited += waited
	b.waitedBytes += int64(n)
	if b.waited < length {
		return true
	}
	fast := b.waitedBytes*1000 >= rate*b.waited
	b.waited, b.waitedBytes = 0, 0
	return fast || rate == 0 || c.deadlines.Load() || c.turn.writer.begun.Load()
}
