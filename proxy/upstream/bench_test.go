package upstream

import (
	"io"
	"net"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// answersReads answers each read with the same bytes, without looking at what it has read.
func answersReads(reply string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		buf, out := make([]byte, 4096), []byte(reply)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write(out)
		}
	}
}

// One request over loopback after the other, over the same connection.
func BenchmarkPoolDo(b *testing.B) {
	backend := start(b, &proxytest.Backend{Raw: answersReads(okReply)})
	p := newTestPool(b, Options{}, HTTP, backend.Addr())
	req := request(b, "GET", "/", nil)
	req.Header.Set("User-Agent", "benchmark")
	var a Attempts
	b.ReportAllocs()
	for b.Loop() {
		resp, err := p.Do(req, Hooks{}, &a)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
