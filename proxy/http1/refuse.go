package http1

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// refuse answers a request that is not understood, if err is a *Fault, and ends the connection.
func (c *conn) refuse(err error) {
	var f *Fault
	if !errors.As(err, &f) {
		return // there is nobody to answer
	}
	c.server.failed(c.nc, f)
	status := f.Reason.Status()
	b := getBuffer(smallBuffer)[:0]
	b = appendStatusLine(b, status)
	b = append(b, *c.server.wheel.date.Load()...)
	text := strconv.Itoa(status) + " " + string(f.Reason) + "\n"
	b = appendField(b, "Content-Type", "text/plain; charset=utf-8")
	b = appendField(b, "X-Content-Type-Options", "nosniff")
	if c.server.ReasonHeader != "" {
		b = appendField(b, c.server.ReasonHeader, string(f.Reason))
	}
	b = appendContentLength(b, int64(len(text)))
	b = append(b, "Connection: close\r\n\r\n"...)
	b = append(b, text...)
	err = c.write(b)
	putBuffer(b, c.server.poison)
	if err == nil {
		c.parting = lingering
	}
}

// Bounds of linger.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 8 << 20
)

// linger ends the sending side and reads on for a while: to close a connection on which there are
// bytes to read resets it, and the client may lose the answer (RFC 9112, 9.6).
func (c *conn) linger() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.in.drop()
	from := below(c.nc) // what comes need not be decrypted
	_ = from.SetReadDeadline(time.Time{})
	c.slot.in.set(waitLinger, c.server.wheel.due(lingerTime))
	buf := getBuffer(smallBuffer)
	defer putBuffer(buf, c.server.poison)
	for total := 0; total < lingerBytes; {
		n, err := from.Read(buf)
		total += n
		if err != nil {
			return
		}
	}
}

// reset makes that the end of the connection cannot be taken for the end of a response.
func (c *conn) reset() {
	nc := below(c.nc)
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close() // without a closing alert of TLS
}

// below is the connection that c is made of, TLS for instance, or c itself.
func below(c net.Conn) net.Conn {
	for {
		t, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = t.NetConn()
	}
}

// failed tells the hook.
func (s *Server) failed(c net.Conn, err error) {
	if s.OnError != nil {
		s.OnError(c, err)
	}
}

// allowedTrailer reports whether a response may have a trailer field of that name.
func allowedTrailer(name string) bool {
	if name == "" || !all(name, tokenByte) {
		return false
	}
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
		return false
	}
	return true
}
