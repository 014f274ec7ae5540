package http1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

// answerer answers what is one read for it with one write. It costs as little as can be.
func answerer(reply string) func(*net.TCPConn) {
	return func(nc *net.TCPConn) {
		buf, out := make([]byte, 32<<10), []byte(reply)
		for {
			n, err := nc.Read(buf)
			if err != nil {
				return
			}
			for range bytes.Count(buf[:n], []byte("\r\n\r\n")) {
				nc.Write(out)
			}
		}
	}
}

// One request after the other over loopback, with six fields, answered by as many and 1 KiB.
// What is measured includes the server's part, which is the same for both.
func BenchmarkClient(b *testing.B) {
	reply := "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Type: text/plain\r\n" +
		"Content-Length: 1024\r\nCache-Control: no-store\r\nX-Request-Id: 0123456789abcdef\r\n\r\n" + string(make([]byte, 1024))
	header := http.Header{
		"Accept": {"*/*"}, "User-Agent": {"bench/1.0"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"http"},
		"X-Real-Ip": {"192.0.2.1"}, "X-Request-Id": {"0123456789abcdef"},
	}
	ct := newClientTest(b, &ClientSet{}, answerer(reply))
	ct.Set.poison = false
	buf := make([]byte, 4096)
	run := func(b *testing.B, do func(*http.Request) (*http.Response, error)) {
		req := newRequest(b, "GET", "/path?query=1", nil)
		req.Header = header
		req.URL.Scheme, req.URL.Host = "http", "shop.example"
		b.ReportAllocs()
		for b.Loop() {
			resp, err := do(req)
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for err == nil {
				var m int
				m, err = resp.Body.Read(buf)
				n += m
			}
			if err != io.EOF || n != 1024 {
				b.Fatal(n, err)
			}
			resp.Body.Close()
		}
	}
	b.Run("http1", func(b *testing.B) {
		var call Call
		run(b, func(req *http.Request) (*http.Response, error) { return ct.Do(req, &call) })
	})
	b.Run("net-http", func(b *testing.B) {
		transport := &http.Transport{
			DisableCompression: true,
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return ct.Dial(ctx) },
		}
		defer transport.CloseIdleConnections()
		run(b, transport.RoundTrip)
	})
}
