package upstream

import (
	"io"
	"net"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// One request over loopback after the other, over the same connection.
func BenchmarkPoolDo(b *testing.B) {
	backend := start(b, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			io.WriteString(c, okReply)
		}
	}})
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
