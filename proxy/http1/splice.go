package http1

import (
	"io"
	"net"
)

// minSplice is the least that is worth two more system calls for each piece.
const minSplice = 64 << 10

// CanSplice reports whether v says by a method of that name that it lets the kernel move the bytes of
// a body: a response's Body by WriteTo, a ResponseWriter by ReadFrom.
func CanSplice(v any) bool {
	s, ok := v.(interface{ CanSplice() bool })
	return ok && s.CanSplice()
}

// CanSplice reports whether ReadFrom lets the kernel move what it is given.
func (w *writer) CanSplice() bool {
	return w.t.c.tcp != nil && w.framing == sized && w.length-w.written >= minSplice && w.err == nil
}

// ReadFrom writes what src has. When src is a *net.TCPConn, or an io.LimitedReader of one, the
// client's connection is cleartext, and the response has a Content-Length of which much is
// left, the kernel moves the bytes.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	var sent int64
	if w.status == 0 {
		w.WriteHeader(200)
	}
	if w.CanSplice() {
		if from, most, ok := tcpSource(src); ok && most >= minSplice {
			n, err := w.splice(from, min(w.length-w.written, most))
			if limited, ok := src.(*io.LimitedReader); ok {
				limited.N -= n
			}
			if sent = n; err != nil {
				return sent, err
			}
		}
	}
	buf := getBuffer(8 * smallBuffer)
	defer putBuffer(buf, w.t.c.server.poison)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			m, werr := w.Write(buf[:n])
			sent += int64(m)
			if werr != nil {
				return sent, werr
			}
		}
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return sent, err
		}
	}
}

// tcpSource returns the connection that src reads from, and how much of it.
func tcpSource(src io.Reader) (from *net.TCPConn, most int64, ok bool) {
	most = 1<<63 - 1
	if limited, isLimited := src.(*io.LimitedReader); isLimited {
		src, most = limited.R, limited.N
	}
	from, ok = src.(*net.TCPConn)
	return from, most, ok
}

// splice moves n bytes from another connection, or fewer if that ends.
func (w *writer) splice(from *net.TCPConn, n int64) (int64, error) {
	if err := w.emit(nil, false); err != nil {
		return 0, err
	}
	c := w.t.c
	c.slot.out.set(waitWrite, c.server.wheel.due(c.server.writeTimeout()))
	sent, err := c.tcp.ReadFrom(&io.LimitedReader{R: from, N: n})
	w.written += sent
	return sent, c.written(err)
}
