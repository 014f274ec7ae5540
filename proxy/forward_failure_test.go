package proxy

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// A backend may refuse a large body after its head: the client must get that answer.
func TestEarlyResponse(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})}, nil)
	c := dialRaw(t, f.http())
	c.send(t, "POST /up HTTP/1.1", "Host: a.example", "Content-Length: 1000000000", "", "begin")
	resp, _, err := c.receive(t, "POST")
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("got %v, %v, want 413 before the body is sent", resp, err)
	}
}

// A response that breaks off must never look complete, wherever it does.
func TestBackendDiesWithinTheResponse(t *testing.T) {
	heads := map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	}
	bodies := map[string]string{"length": "0123456789", "chunked": "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"}
	for framing, head := range heads {
		for n := range len(bodies[framing]) {
			for _, end := range []proxytest.End{proxytest.Close, proxytest.Reset} {
				f := singleBackend(t, &proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{Bytes: head + bodies[framing][:n], End: end})}, nil)
				c := dialRaw(t, f.http())
				c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
				resp, body, err := c.receive(t, "GET")
				if resp != nil && resp.StatusCode == 502 {
					continue // the reset overtook the head
				}
				if err == nil {
					t.Errorf("%s, %d bytes: got a complete response %q", framing, n, body)
				}
				if x := f.exchange(t, 0); x.Reason != "upstream-reset" {
					t.Errorf("%s, %d bytes: recorded reason %q, want upstream-reset", framing, n, x.Reason)
				}
			}
		}
	}
}

func TestUpstreamSilence(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{
		Bytes: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", End: proxytest.Hang,
	})}, func(f *front) { f.setPools(upstream.Options{AllowLocal: true, ReadTimeout: 50 * time.Millisecond}) })
	c := dialRaw(t, f.http())
	c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	if _, body, err := c.receive(t, "GET"); err == nil || body != "01234" {
		t.Errorf("got %q, %v, want the first half and that it breaks off", body, err)
	}
	if x := f.exchange(t, 0); x.Reason != "read-timeout" {
		t.Errorf("recorded reason %q, want read-timeout", x.Reason)
	}
}

func TestClientFaultsInTheBody(t *testing.T) {
	f := echoFront(t, func(f *front) { f.server.ClientTimeout = 50 * time.Millisecond })
	for i, tt := range []struct {
		name, framing, body string
		status              int
		reason              string
	}{
		{"bad chunk", "Transfer-Encoding: chunked", "zz\r\n", 400, "bad-body"},
		{"silence", "Content-Length: 10", "01234", 408, "body-timeout"},
	} {
		c := dialRaw(t, f.http())
		c.send(t, "POST / HTTP/1.1", "Host: a.example", tt.framing, "", tt.body)
		resp, _, err := c.receive(t, "POST")
		if err != nil || resp.StatusCode != tt.status {
			t.Errorf("%s: got %v, %v, want %d", tt.name, resp, err, tt.status)
		}
		if x := f.exchange(t, i); x.Reason != tt.reason {
			t.Errorf("%s: recorded reason %q, want %q", tt.name, x.Reason, tt.reason)
		}
	}
}

// The case of kubernetes/ingress-nginx#11332: a client that is gone must not leave its request
// running.
func TestClientAbortCancelsUpstream(t *testing.T) {
	arrived, canceled := make(chan struct{}, 1), make(chan struct{}, 1)
	f := singleBackend(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begun" {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
		canceled <- struct{}{}
	})}, nil)
	n := 0
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		for path, status := range map[string]int{"/waiting": StatusClientClosedRequest, "/begun": 200} {
			r := request(t, "GET", base+path, nil)
			ctx, cancel := context.WithCancel(r.Context())
			begun, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				if resp, err := c.Do(r.WithContext(ctx)); err == nil {
					close(begun)
					_, _ = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
			}()
			<-arrived
			if status == 200 {
				<-begun
			}
			cancel()
			<-done
			select {
			case <-canceled:
			case <-time.After(patience):
				t.Fatalf("%s: the backend still works", path)
			}
			x := f.exchange(t, n)
			n++
			if x.Status != status || !x.ClientAborted || x.Reason != "client-aborted" {
				t.Errorf("%s: recorded %d %q aborted %t, want %d client-aborted", path, x.Status, x.Reason, x.ClientAborted, status)
			}
		}
	})
}

func TestUpstreamFailures(t *testing.T) {
	refused := upstream.Address{Host: "127.0.0.1", Port: proxytest.Refused(t).Port()}
	for reason, tt := range map[string]struct {
		backend *proxytest.Backend
		address upstream.Address
		status  int
	}{
		"connect-refused":  {nil, refused, 502},
		"upstream-reset":   {&proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{End: proxytest.Reset})}, upstream.Address{}, 502},
		"bad-response":     {&proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{Bytes: "nonsense\r\n\r\n", End: proxytest.Close})}, upstream.Address{}, 502},
		"response-timeout": {&proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{End: proxytest.Hang})}, upstream.Address{}, 504},
		"unexpected-upgrade": {&proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{
			Bytes: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", End: proxytest.Hang,
		})}, upstream.Address{}, 502},
	} {
		t.Run(reason, func(t *testing.T) {
			f := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}, func(f *front) {
				o := upstream.Options{AllowLocal: true}
				if reason == "response-timeout" { // the others may take long on a busy machine
					o.ResponseHeaderTimeout = 50 * time.Millisecond
				}
				f.setPools(o)
			})
			if tt.backend != nil {
				proxytest.Start(t, tt.backend)
				tt.address = addressOf(tt.backend)
			}
			f.pools.Pool(webKey).Set(upstream.Resolution{Addresses: []upstream.Address{tt.address}})
			resp, body := do(t, client(t, nil), request(t, "GET", "http://"+f.http(), nil))
			if resp.StatusCode != tt.status || !strings.Contains(body, reason) {
				t.Errorf("got %d %q, want %d %s", resp.StatusCode, body, tt.status, reason)
			}
			x := f.exchange(t, 0)
			if x.Reason != reason || x.Err == nil || x.Attempts.Len() == 0 {
				t.Errorf("recorded %q, %v, %d attempts", x.Reason, x.Err, x.Attempts.Len())
			}
		})
	}
}

func TestRecordOfARetriedRequest(t *testing.T) {
	f := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}, nil)
	bad := &proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{End: proxytest.Reset})}
	f.lead(t, webKey, bad, &proxytest.Backend{Handler: proxytest.Echo("web-2")})
	c := client(t, nil)
	for range 4 {
		if resp, body := do(t, c, request(t, "GET", "http://"+f.http(), nil)); resp.StatusCode != 200 {
			t.Fatalf("got %d %q, want that the other endpoint answers", resp.StatusCode, body)
		}
	}
	retried := false
	for i := range 4 {
		x := f.exchange(t, i)
		retried = retried || x.Attempts.Len() == 2 && x.Attempts.All()[0].Err != nil && x.Attempts.Last().Err == nil
	}
	if !retried {
		t.Error("no exchange shows the failed attempt and the one that worked")
	}
}
