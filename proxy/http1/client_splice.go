package http1

import (
	"io"
	"net"
)

// WriterError is an error of the writer that a body was written to, where WriteTo can tell it
// from one of the body.
type WriterError struct{ Err error }

func (e *WriterError) Error() string { return e.Err.Error() }

func (e *WriterError) Unwrap() error { return e.Err }

// CanSplice reports whether WriteTo gives an io.ReaderFrom the connection itself.
func (b *clientBody) CanSplice() bool {
	_, clear := b.conn.nc.(*net.TCPConn)
	return clear && b.err == nil && b.framing == framingLength && b.left >= minSplice
}

// WriteTo writes the body to w. An error of w is a *WriterError, others are as those of Read. Of a
// long body with a Content-Length over cleartext, w is given the connection itself, as an
// io.LimitedReader of a *net.TCPConn, if it is an io.ReaderFrom: the kernel can move the bytes then.
func (b *clientBody) WriteTo(w io.Writer) (int64, error) {
	var sent int64
	if from, ok := w.(io.ReaderFrom); ok && b.CanSplice() {
		n, err := b.splice(w, from, b.conn.nc.(*net.TCPConn))
		if sent = n; err != nil {
			return sent, err
		}
	}
	buf := getBuffer(8 * smallBuffer)
	defer putBuffer(buf, b.conn.in.poison)
	for {
		n, err := b.Read(buf)
		if n > 0 {
			m, werr := w.Write(buf[:n])
			sent += int64(m)
			if werr != nil {
				return sent, &WriterError{werr}
			}
		}
		if err == io.EOF {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
	}
}

// splice writes what is buffered and then has w read the rest.
func (b *clientBody) splice(w io.Writer, from io.ReaderFrom, tcp *net.TCPConn) (int64, error) {
	c := b.conn
	n, err := w.Write(c.in.bytes())
	c.in.advance(n)
	b.left -= int64(n)
	sent := int64(n)
	if err != nil {
		return sent, &WriterError{err}
	}
	c.in.release()
	rest := &io.LimitedReader{R: tcp, N: b.left}
	c.wait(phaseSplice)
	moved, err := from.ReadFrom(rest)
	c.wait(phaseHeld)
	sent += moved
	b.left -= moved
	switch {
	case b.left == 0 && err == nil:
		_ = b.finish(io.EOF)
	case err == nil:
		return sent, b.finish(io.ErrUnexpectedEOF)
	case b.conn.interrupted() != nil || c.ended():
		return sent, b.finish(err)
	default:
		b.err = err
		return sent, &WriterError{err}
	}
	return sent, nil
}

// ended reports whether the other side has closed or broken the connection.
func (c *clientConn) ended() bool {
	is := false
	return c.raw == nil || c.raw.Control(func(fd uintptr) { is = atEnd(fd) }) != nil || is
}
