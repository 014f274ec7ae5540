package http1

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
)

// Hijack takes the connection over. The reader holds what the client has sent beyond the
// request; nothing of it is lost. Deadlines are cleared, the server knows of the connection no
// more, and what WriteHeader or Write have been given before is sent.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c := w.t.c
	if c.hijacked {
		return nil, nil, http.ErrHijacked
	}
	if w.status != 0 {
		if err := w.FlushError(); err != nil {
			return nil, nil, err
		}
	}
	w.release()
	if w.t.body.err == nil {
		w.t.body.err = http.ErrHijacked
	}
	early := bytes.Clone(c.in.bytes())
	nc := c.detach()
	if nc == nil {
		return nil, nil, net.ErrClosed
	}
	reader := bufio.NewReader(&resumed{early, nc})
	if len(early) > 0 {
		_, _ = reader.Peek(min(len(early), reader.Size())) // so that Buffered tells of it
	}
	return nc, bufio.NewReadWriter(reader, bufio.NewWriter(nc)), nil
}

// resumed reads what had been read of a connection, then the connection.
type resumed struct {
	early []byte
	conn  net.Conn
}

func (r *resumed) Read(p []byte) (int, error) {
	if len(r.early) > 0 {
		n := copy(p, r.early)
		r.early = r.early[n:]
		return n, nil
	}
	return r.conn.Read(p)
}

// WriteTo lets the kernel move the bytes between two TCP connections.
func (r *resumed) WriteTo(w io.Writer) (int64, error) {
	var sent int64
	if len(r.early) > 0 {
		n, err := w.Write(r.early)
		r.early = r.early[n:]
		sent = int64(n)
		if err != nil {
			return sent, err
		}
	}
	n, err := io.Copy(w, r.conn)
	return sent + n, err
}
