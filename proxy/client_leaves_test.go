package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// A client that leaves in the middle of its body has made no mistake: it was recorded as 400, and is
// 499 like any other that has not waited.
func TestClientLeavesWithinItsBody(t *testing.T) {
	streamed, kept := rule("a.example", "/", webKey), rule("a.example", "/kept", webKey)
	kept.Policies = &policy.Set{Buffer: policy.Buffer{Request: true, Memory: 1 << 10}}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{streamed, kept})}, func(f *front) { f.Bodies = BodyLimits{Dir: t.TempDir()} })
	f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
	n := 0
	want := func(t *testing.T) {
		t.Helper()
		x := f.exchange(t, n)
		n++
		if x.Status != StatusClientClosedRequest || !x.ClientAborted || x.Reason != "client-aborted" {
			t.Errorf("recorded %d %q aborted %t, %v; want 499 client-aborted", x.Status, x.Reason, x.ClientAborted, x.Err)
		}
		eventually(t, "the request is no longer under way", func() bool { return f.InFlight() == 0 }) // or it would be taken for the next
	}
	leave := map[string]func(c net.Conn) error{
		"close": func(c net.Conn) error { return c.Close() },
		"reset": func(c net.Conn) error {
			if err := c.(*net.TCPConn).SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		},
		"half": func(c net.Conn) error { return c.(*net.TCPConn).CloseWrite() },
	}
	for name, leave := range leave {
		for _, path := range []string{"/", "/kept"} {
			for _, body := range []string{"Content-Length: 100000\r\n\r\n", "Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n10000\r\n", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"} {
				for _, secure := range []bool{false, true} {
					t.Run(strings.Join([]string{name, path, strings.Fields(body)[1], map[bool]string{true: "https", false: "http"}[secure]}, " "), func(t *testing.T) {
						c := dialRaw(t, map[bool]string{true: f.https(), false: f.http()}[secure])
						out := net.Conn(c)
						if secure {
							out = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
						}
						if _, err := io.WriteString(out, "POST "+path+" HTTP/1.1\r\nHost: a.example\r\n"+body+"1"); err != nil {
							t.Fatal(err)
						}
						eventually(t, "the request is under way", func() bool { return f.InFlight() > 0 })
						if err := leave(c.Conn); err != nil {
							t.Fatal(err)
						}
						want(t)
					})
				}
			}
		}
	}
	for _, path := range []string{"/", "/kept"} {
		for name, leave := range map[string]func(conn net.Conn, cancel func()){
			"reset of the stream": func(_ net.Conn, cancel func()) { cancel() },
			"connection":          func(conn net.Conn, _ func()) { _ = conn.Close() },
		} {
			t.Run("HTTP/2 "+name+" "+path, func(t *testing.T) {
				var conn net.Conn
				c := client(t, func(tr *http.Transport) {
					tr.ForceAttemptHTTP2 = true
					tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
						var err error
						conn, err = new(net.Dialer).DialContext(ctx, network, address)
						return conn, err
					}
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				body, more := io.Pipe()
				defer more.Close()
				done := make(chan struct{})
				go func() {
					defer close(done)
					if resp, err := c.Do(request(t, "POST", "https://"+f.https()+path, body).WithContext(ctx)); err == nil {
						resp.Body.Close()
					}
				}()
				if _, err := io.WriteString(more, "begin"); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the request is under way", func() bool { return f.InFlight() > 0 })
				leave(conn, cancel)
				want(t)
				more.Close()
				<-done
			})
		}
	}
}
