package http1

import (
	"net"
	"os"
	"time"
)

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
func (c *conn) overdue(w wait) (next wait, again time.Duration) {
	switch w {
	case waitFresh:
		if hasInput(c.socket) {
			c.nudged = true
			return w, 0
		}
		// The wait began two ticks ago: one until it was due, and one of grace.
		return waitIdle, max(c.server.idleTimeout()-tick, time.Millisecond)
	case waitHandler:
		if !c.watched && c.socket != nil {
			c.watched = c.server.wheel.watch(c.slot, c.socket)
		}
		switch {
		case c.gone:
			return w, 0
		case !c.watched:
			return w, time.Second // there may be a descriptor for it then
		}
		return w, forever
	case waitBody:
		if c.begun.Load() {
			return w, c.server.bodyTimeout()
		}
	case waitUpload:
		return waitUploading, c.watchIntake()
	case waitUploading:
		return w, c.intake.next(c)
	case waitWrite:
		if c.deadlines.Load() || c.taken.moved(c.socket) {
			return w, c.server.writeTimeout()
		}
	}
	return w, 0
}

// cut is called by the wheel; see watched.
func (c *conn) cut(w wait) {
	switch w {
	case waitHandler:
		c.turn.presence.cancel()
	case waitWrite:
		_ = c.nc.SetWriteDeadline(time.Unix(1, 0))
	case waitUploading:
		if c.gone {
			c.turn.presence.cancel()
		}
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	default:
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// hungUp is called by the wheel; see watched.
func (c *conn) hungUp() {
	c.gone = true
	v := c.slot.in.word.Load()
	switch w := wait(v & (rangBit - 1)); {
	case v&rangBit != 0:
	case w == waitHandler && c.slot.in.word.CompareAndSwap(v, v|rangBit):
		c.turn.presence.cancel()
	case w == waitUploading:
		c.slot.in.word.CompareAndSwap(v, uint64(c.server.wheel.soon())<<8|uint64(w))
	}
}
