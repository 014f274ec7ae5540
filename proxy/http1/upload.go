package http1

import (
	"errors"
	"io"
	"net"
)

// lastPiece is how much of a body is not left to the kernel, so that it is known when the last of
// it leaves: the response may come before the call returns that moved it.
const lastPiece = 1 << 10

// uploadable is a body of a request that the kernel can move.
type uploadable interface {
	// Splice gives dst the client's connection to read from, as an io.LimitedReader of a *net.TCPConn,
	// and returns how much of the body that has read. It leaves a last piece of it for Read, and
	// all of it, with 0 and no error, if the kernel cannot move it, or cannot yet. An error that
	// is not a *WriterError is one of the body. After an error nothing more can be read.
	Splice(dst io.ReaderFrom) (int64, error)
}

// Splice lets the kernel move the body, if the client's connection is cleartext, the body has a
// length of which much is left, and all that was read of it before is taken. It is as Read is, in
// everything else.
func (b *body) Splice(dst io.ReaderFrom) (int64, error) {
	c := b.t.c
	if !canUpload || b.closed || b.err != nil || b.chunked || b.left < minSplice || c.tcp == nil || c.in.len() > 0 {
		return 0, nil
	}
	if err := b.invite(); err != nil {
		b.err = err
		return 0, err
	}
	c.in.release()
	wheel := &c.server.wheel
	if c.slot.in.set(waitUpload, wheel.due(0)) {
		c.unsettled = true
	}
	want := b.left - lastPiece
	n, err := dst.ReadFrom(&io.LimitedReader{R: c.tcp, N: want})
	b.left -= n
	var failed *WriterError
	switch {
	case c.slot.in.set(waitHandler, wheel.soon()):
		c.unsettled = true
		wheel.settle()
		err = errBodyTimeout
		if c.intake.slow {
			err = errBodySlow
		} else if c.gone {
			err = io.ErrUnexpectedEOF
		}
	case err == nil && n == want:
		return n, nil
	case err == nil:
		err = io.ErrUnexpectedEOF
	case !errors.As(err, &failed):
		err = unexpected(err)
	}
	b.err = err // what was on its way in the kernel is lost
	return n, err
}

// upload is the connection of a bodySender, as what a body is spliced to.
type upload struct{ s *bodySender }

// ReadFrom lets the kernel move what src has. An error that is not a *WriterError is one of src.
func (u upload) ReadFrom(src io.Reader) (int64, error) {
	s, c := u.s, u.s.conn
	s.spliced.Store(true)
	s.since.Store(max(1, int64(c.client.Set.clock.now())))
	n, err := c.nc.(*net.TCPConn).ReadFrom(src)
	s.since.Store(0)
	s.spliced.Store(false)
	s.left -= n
	if err != nil && (c.interrupted() != nil || c.raw == nil || broken(c.raw)) {
		err = &WriterError{err}
	}
	return n, err
}

// splice has the kernel move what it can of the body.
func (s *bodySender) splice() error {
	body, ok := s.body.(uploadable)
	if _, clear := s.conn.nc.(*net.TCPConn); !ok || !clear || s.left < minSplice {
		return nil
	}
	_, err := body.Splice(upload{s})
	var failed *WriterError
	if errors.As(err, &failed) {
		return failed.Err
	}
	if err != nil {
		return &senderError{err}
	}
	return nil
}
