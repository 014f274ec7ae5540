package http1

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// clientTunnel is the body of a 101 response: the connection, both ways. What came
// behind the head is read first. Close may be called at any time, by any goroutine.
type clientTunnel struct {
	conn   *clientConn
	closed atomic.Bool
}

func (t *clientTunnel) Read(p []byte) (int, error) {
	n, err := t.conn.in.Read(p)
	t.conn.in.release()
	return n, err
}

func (t *clientTunnel) Write(p []byte) (int, error) { return t.conn.nc.Write(p) }

// WriteTo lets the kernel move the bytes where it can.
func (t *clientTunnel) WriteTo(w io.Writer) (int64, error) {
	in := &t.conn.in
	var before int64
	for in.len() > 0 {
		n, err := w.Write(in.bytes())
		in.advance(n)
		before += int64(n)
		if err != nil {
			return before, err
		}
	}
	in.release()
	n, err := io.Copy(w, t.conn.nc)
	return before + n, err
}

// ReadFrom lets the kernel move the bytes where it can.
func (t *clientTunnel) ReadFrom(r io.Reader) (int64, error) { return io.Copy(t.conn.nc, r) }

// CloseWrite tells the other side that nothing more comes.
func (t *clientTunnel) CloseWrite() error {
	if c, ok := t.conn.nc.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return fmt.Errorf("close the writing half of %T: %w", t.conn.nc, errors.ErrUnsupported)
}

func (t *clientTunnel) Close() error {
	if t.closed.CompareAndSwap(false, true) {
		t.conn.abort()
	}
	return nil
}
