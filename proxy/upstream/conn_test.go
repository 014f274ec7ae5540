package upstream

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// connPair returns both ends of a connection.
func connPair(t *testing.T, open *atomic.Int64) (*conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := newConn(c.(*net.TCPConn), open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); peer.Close() })
	return ours, peer.(*net.TCPConn)
}

// Nothing is written to a reused connection which the endpoint has closed, or sent something on.
func TestConnStale(t *testing.T) {
	for name, spoil := range map[string]func(*net.TCPConn){
		"closed":      func(c *net.TCPConn) { c.Close() },
		"reset":       func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"unsolicited": func(c *net.TCPConn) { io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			var open atomic.Int64
			c, peer := connPair(t, &open)
			if c.readable() {
				t.Fatal("want a quiet connection not to be readable")
			}
			c.beginRequest(true)
			if n, err := c.Write([]byte("GET ")); n != 4 || err != nil {
				t.Fatalf("want a quiet connection written to, got %d, %v", n, err)
			}
			spoil(peer)
			eventually(t, "the connection is readable", c.readable)
			// Within a request, and for the first of a connection, an answer may come early.
			if _, err := c.Write([]byte("/")); errors.Is(err, errStale) {
				t.Error("a request that had begun was stopped")
			}
			c.beginRequest(false)
			if _, err := c.Write([]byte("GET /")); errors.Is(err, errStale) {
				t.Error("the first request was stopped")
			}
			before := c.written.Load()
			c.beginRequest(true)
			if n, err := c.Write([]byte("GET /")); n != 0 || !errors.Is(err, errStale) || c.written.Load() != before {
				t.Errorf("want nothing written, got %d, %v", n, err)
			}
			c.Close()
			c.Close()
			if n := open.Load(); n != 0 {
				t.Errorf("want no connection counted, got %d", n)
			}
		})
	}
}

func TestConnUnsolicited(t *testing.T) {
	var open atomic.Int64
	c, peer := connPair(t, &open)
	buf := make([]byte, 10)
	c.beginRequest(true)
	io.WriteString(peer, "x")
	c.Read(buf)
	if !c.unsolicited() {
		t.Error("want bytes before the request to be unsolicited")
	}
	c.Write([]byte("GET /"))
	if !c.unsolicited() {
		t.Error("want them to be so after it was written too")
	}
	io.WriteString(peer, "y")
	c.Read(buf)
	if c.unsolicited() {
		t.Error("want what came after it to be a response")
	}
}
