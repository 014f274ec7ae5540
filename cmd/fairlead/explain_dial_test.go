package main

import (
	"net"
	"net/http"
	"testing"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// Real sockets that fail in each way.
func TestProbeFaults(t *testing.T) {
	echo := proxytest.Start(t, &proxytest.Backend{Handler: proxytest.Echo("")})
	reset := proxytest.Start(t, &proxytest.Backend{Raw: func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }})
	garbage := proxytest.Start(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1024))
		_, _ = c.Write([]byte("220 mail.example ESMTP\r\n"))
	}})
	silent := proxytest.Start(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = c.Read(make([]byte, 1<<20))
		<-t.Context().Done()
	}})
	small := proxytest.Start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Fairlead-Probe") != "" {
			<-r.Context().Done() // as if its packets were lost
		}
	})})
	pools := upstream.NewRegistry(upstream.Options{AllowLocal: true})
	t.Cleanup(pools.Close)
	for _, c := range []struct {
		name   string
		target explain.Target
		want   explain.Reason
		large  bool
	}{
		{"answers", explain.Target{Address: echo.Addr().String()}, "", false},
		{"never connected to", explain.Target{Address: "169.254.169.254:80"}, "EndpointAddressDenied", false},
		{"answers h2c", explain.Target{Address: echo.Addr().String(), H2C: true}, "", false},
		{"refused", explain.Target{Address: proxytest.Refused(t).String()}, "ConnectionRefused", false},
		{"reset", explain.Target{Address: reset.Addr().String()}, "ConnectionReset", false},
		{"no HTTP", explain.Target{Address: garbage.Addr().String()}, "NotHTTP", false},
		{"no TLS", explain.Target{Address: echo.Addr().String(), TLS: true}, "TLSFailed", false},
		{"silent", explain.Target{Address: silent.Addr().String()}, "ResponseTimeout", false},
		{"large requests lost", explain.Target{Address: small.Addr().String()}, "", true},
	} {
		c.target.Host, c.target.Path = "a.example", "/"
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := dial(pools.DialOutside).probeOne(t.Context(), c.target)
			if a.Fault != c.want || a.LargeLost != c.large {
				t.Errorf("got %q (%v), large lost %v; want %q, %v", a.Fault, a.Err, a.LargeLost, c.want, c.large)
			}
		})
	}
}
