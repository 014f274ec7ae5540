package http1

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// bodySender sends the body of a request while its exchange waits for the response, on a goroutine
// of its own: the next event may be one of either direction, and a goroutine can wait for
// one connection only.
type bodySender struct {
	conn    *clientConn
	body    io.ReadCloser
	trailer http.Header // of a chunked body; filled in by its end
	left    int64       // of an announced body; -1 for a chunked one

	since   atomic.Int64 // when the write that is under way began; 0 if none is
	spliced atomic.Bool  // it is one of the kernel's, which also waits for the client
	last    atomic.Bool  // nothing remains to be written but what is being written
	taken   stall        // of a spliced body; the clock's

	// Guarded by conn.mu.
	over bool // run has no more to do but what it does as heir
	done bool // all was written
	heir bool // the exchange is left to run to end
}

// senderError is an error of the body, not of the connection.
type senderError struct{ err error }

func (e *senderError) Error() string { return e.err.Error() }
func (e *senderError) Unwrap() error { return e.err }

func (s *bodySender) run() {
	c := s.conn
	buf := getBuffer(clientBuffer)
	err := s.recovered(buf)
	putBuffer(buf, c.in.poison)
	_ = s.body.Close() // what it has to say was said by Read
	c.mu.Lock()
	s.over = true
	if err == nil {
		s.done = true
	} else if _, ok := err.(*senderError); ok && c.call != nil && c.cause == nil {
		c.interrupt(err)
	}
	// An error of the connection is left to the reader: a response may have come before it.
	if w := c.watch.Load(); watchPhase(w) == phaseUpload {
		c.watch.CompareAndSwap(w, watchWord(phaseHead, c.client.Set.clock.now()))
	}
	heir := s.heir
	c.mu.Unlock()
	if !heir {
		return
	}
	if err != nil || c.nc.SetWriteDeadline(time.Time{}) != nil || !c.drained() {
		c.abort()
		c.in.drop()
		return
	}
	c.keep()
}

// leave is called when the response has ended. It reports whether the body was sent whole. If
// only its last bytes are on their way, for a response may be quicker than the return of the
// write that caused it, the exchange is left to run to end.
func (s *bodySender) leave() (sent, left bool) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.done:
		return true, false
	case s.over || !s.last.Load() || c.cause != nil:
		return false, false
	}
	s.heir = true
	c.call, c.ctx = nil, nil
	c.watch.Store(0)
	_ = c.nc.SetWriteDeadline(time.Now().Add(lastWrite))
	return true, true
}

// lastWrite is how long the last bytes of a request may take that was answered before.
const lastWrite = time.Second

// recovered is send with a panic of the body made an error: on this goroutine nobody would
// recover it.
func (s *bodySender) recovered(buf []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &senderError{fmt.Errorf("panic while it was read: %v", v)}
		}
	}()
	return s.send(buf)
}

// send copies the body. The error is a *senderError, or one of the connection.
func (s *bodySender) send(buf []byte) error {
	const before, after = len("ffff\r\n"), len("\r\n")
	for s.left != 0 {
		if err := s.splice(); err != nil {
			return err
		}
		room := buf[before : len(buf)-after]
		if s.left > 0 && s.left < int64(len(room)) {
			room = room[:s.left]
		}
		n, err := s.body.Read(room)
		out := room[:n]
		switch {
		case s.left > 0:
			s.left -= int64(n)
			if err == io.EOF && s.left > 0 {
				err = io.ErrUnexpectedEOF
			}
		case n > 0:
			var size [8]byte
			line := appendChunkSize(size[:0], n)
			start := before - len(line)
			copy(buf[start:], line)
			out = append(buf[start:before+n], "\r\n"...)
		}
		if n > 0 {
			if s.left == 0 {
				s.last.Store(true)
			}
			if err := s.write(out); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return &senderError{err}
		}
	}
	if s.left < 0 {
		return s.finish(buf)
	}
	return nil
}

// finish writes the end of a chunked body.
func (s *bodySender) finish(buf []byte) error {
	c := s.conn
	c.mu.Lock()
	if c.call == nil {
		c.mu.Unlock()
		return io.ErrClosedPipe // the exchange has ended, and with it the use of the trailer
	}
	out, err := appendTrailers(buf[:0], s.trailer)
	c.mu.Unlock()
	if err != nil {
		return &senderError{err}
	}
	s.last.Store(true)
	return s.write(out)
}

func (s *bodySender) write(b []byte) error {
	s.since.Store(max(1, int64(s.conn.client.Set.clock.now())))
	_, err := s.conn.nc.Write(b)
	s.since.Store(0)
	return err
}
