package http1

import (
	"errors"
	"io"
	"os"
)

// clientBody is the body of a response.
type clientBody struct {
	conn    *clientConn
	framing framing
	left    int64 // of framingLength
	chunks  chunkedReader
	err     error // sticky; io.EOF after the last byte, and there may be none

	unsent bool        // the request has a streamed body, and sending it was not begun
	sender *bodySender // nil: the request has no streamed body
}

// Read returns what there is. io.EOF may come together with the last bytes. Other errors
// are ErrSilent, io.ErrUnexpectedEOF, a *Fault in the framing, context.Canceled
// or another error of the request's context, or one of the connection.
func (b *clientBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	c := b.conn
	c.wait(phaseBody)
	var (
		n   int
		err error
	)
	switch b.framing {
	case framingLength:
		if int64(len(p)) > b.left {
			p = p[:b.left]
		}
		n, err = c.in.Read(p)
		if b.left -= int64(n); b.left == 0 {
			err = io.EOF
		} else if err != nil {
			err = unexpected(err)
		}
	case framingChunked:
		if n, err = b.chunks.Read(p); err == io.EOF {
			b.takeTrailer()
		}
	default:
		n, err = c.in.Read(p)
	}
	c.wait(phaseHeld)
	c.in.release()
	if err != nil {
		err = b.finish(err)
		if n > 0 && err != io.EOF {
			return n, nil // the error comes again
		}
	}
	return n, err
}

// Empty reports whether the response has no body.
func (b *clientBody) Empty() bool { return b.framing == framingNone }

// takeTrailer makes the trailers that came those of the response.
func (b *clientBody) takeTrailer() {
	t := &b.conn.resp.Trailer
	if *t == nil {
		*t = b.chunks.trailer
		return
	}
	for name, values := range b.chunks.trailer {
		(*t)[name] = values
	}
}

// finish notes how the body ended. An interruption is the reason for the error it caused.
func (b *clientBody) finish(err error) error {
	if err != io.EOF && errors.Is(err, os.ErrDeadlineExceeded) {
		if cause := b.conn.interrupted(); cause != nil {
			err = cause
		}
	}
	b.err = err
	return err
}

// Close ends the exchange. The connection is used again if there is nothing on it but the
// next response: the body was read to its end, or the rest of it has come already; the
// request was sent whole; and nothing came after the response. Else it is closed.
func (b *clientBody) Close() error {
	if b.err == errBodyClosed {
		return nil
	}
	c := b.conn
	if b.err == nil && b.framing == framingLength && int64(c.in.len()) >= b.left {
		c.in.advance(int(b.left))
		b.err = io.EOF
	}
	clean := b.err == io.EOF && c.head.keepAlive && c.in.len() == 0 && !b.unsent
	b.err = errBodyClosed
	if clean && b.sender != nil {
		var left bool
		if clean, left = b.sender.leave(); left {
			return nil
		}
	}
	if c.end() != nil || !clean || !c.drained() {
		c.abort()
		c.in.drop()
		return nil
	}
	c.keep()
	return nil
}

// keep makes c ready for the next request. Its exchange has ended.
func (c *clientConn) keep() {
	c.in.release()
	c.served = true
	c.client.release(c)
}
