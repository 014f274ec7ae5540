package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// stalled is a backend that sends some of a response, if it is asked for "/some", and no more until
// the request is given up.
func stalled(gone chan<- struct{}) *proxytest.Backend {
	return &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/some" {
			io.WriteString(w, "some")
			http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
		gone <- struct{}{}
	})}
}

// A request that nobody waits for any more ends, and the endpoint is not to blame.
func TestHooksAbandoned(t *testing.T) {
	gone := make(chan struct{}, 1)
	b := start(t, stalled(gone))
	other := start(t, stalled(gone))
	for _, protocol := range []Protocol{HTTP, H2C} {
		for _, path := range []string{"/", "/some"} {
			p := newTestPool(t, Options{}, protocol, b.Addr(), other.Addr())
			var asked atomic.Int64
			var a Attempts
			_, body, err := doHooked(t, p, request(t, "GET", path, nil), Hooks{Abandoned: func() bool { return asked.Add(1) > 1 }}, &a)
			wantReason(t, err, ClientClosed, 499)
			if want := strings.TrimPrefix(path, "/"); body != want {
				t.Errorf("%s%s: want the body %q, got %q", protocol, path, want, body)
			}
			if _, failed := a.Last().Endpoint.Attempts(); failed != 0 || a.Len() != 1 {
				t.Errorf("%s%s: want one attempt and nobody blamed, got %s, %d failures", protocol, path, show(&a), failed)
			}
			<-gone
		}
	}
}

// windowless is a backend of HTTP/2 that opens no window beyond the first 64 KiB. If begins, it answers at
// once with the head of a response.
func windowless(begins bool) *proxytest.Backend {
	return &proxytest.Backend{Raw: func(c *net.TCPConn) {
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(c, c)
		if framer.WriteSettings() != nil {
			return
		}
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if s, ok := frame.(*http2.SettingsFrame); ok && !s.IsAck() {
				_ = framer.WriteSettingsAck()
			}
			if h, ok := frame.(*http2.HeadersFrame); ok && begins {
				const status200 = "\x88" // of the static table of HPACK
				_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, BlockFragment: []byte(status200), EndHeaders: true})
			}
		}
	}}
}

// TestSendTimeoutOverHTTP2: an endpoint that took no more of a body was waited for as long as the client did.
func TestSendTimeoutOverHTTP2(t *testing.T) {
	for _, begins := range []bool{false, true} {
		p := newTestPool(t, Options{}, H2C, start(t, windowless(begins)).Addr())
		req := request(t, "POST", "/", io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20))))
		var a Attempts
		want, code, limit := ResponseTimeout, 504, 100*time.Millisecond
		if begins {
			want, code, limit = UpstreamReset, 502, time.Second // in which a busy machine can answer
		}
		status, _, err := doHooked(t, p, req, Hooks{SendTimeout: limit}, &a)
		wantReason(t, err, want, code)
		if begins != (status == 200) || !errors.Is(err, http1.ErrSendTimeout) || a.Len() != 1 {
			t.Errorf("begun %t: got %d, %v, %s", begins, status, err, show(&a))
		}
	}
}

// TestEndsWithoutWindow: an exchange whose response had begun, while more of its request was to be sent
// than the endpoint had a window for, ended by nothing: neither by a silence nor by the client's leaving.
func TestEndsWithoutWindow(t *testing.T) {
	for reason, hooks := range map[string]Hooks{ReadTimeout: {ReadTimeout: time.Second}, ClientClosed: {}} {
		p := newTestPool(t, Options{}, H2C, start(t, windowless(true)).Addr())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req := request(t, "POST", "/", io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20)))).WithContext(ctx)
		resp, err := p.Do(req, hooks, nil)
		if err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		if reason == ClientClosed {
			cancel()
		}
		_, err = resp.Body.Read(make([]byte, 1))
		if code, _ := Reason(err); code != reason {
			t.Errorf("got %v, want %s", err, reason)
		}
		resp.Body.Close()
	}
}

// A client that is slow to send is no fault of the endpoint.
func TestSendTimeoutIsOfTheEndpoint(t *testing.T) {
	b := start(t, &proxytest.Backend{Handler: proxytest.Echo("")})
	p := newTestPool(t, Options{}, H2C, b.Addr())
	body, client := io.Pipe()
	go func() {
		_, _ = io.WriteString(client, "one")
		<-time.After(time.Second)
		_ = client.Close()
	}()
	if status, _, err := doHooked(t, p, request(t, "POST", "/", body), Hooks{SendTimeout: 300 * time.Millisecond}, nil); err != nil || status != 200 {
		t.Errorf("got %d, %v, want 200", status, err)
	}
}

func TestReadTimeout(t *testing.T) {
	gone := make(chan struct{}, 1)
	b := start(t, stalled(gone))
	for _, protocol := range []Protocol{HTTP, H2C} {
		for name, o := range map[string]struct {
			options Options
			hooks   Hooks
		}{
			"options": {Options{ReadTimeout: 100 * time.Millisecond}, Hooks{}},
			"hooks":   {Options{}, Hooks{ReadTimeout: 100 * time.Millisecond}},
		} {
			p := newTestPool(t, o.options, protocol, b.Addr())
			var a Attempts
			_, body, err := doHooked(t, p, request(t, "GET", "/some", nil), o.hooks, &a)
			// The hook limits the wait for the head too, which takes what a busy machine takes.
			for code, _ := Reason(err); code == ResponseTimeout && o.hooks.ReadTimeout < patience; code, _ = Reason(err) {
				<-gone
				o.hooks.ReadTimeout *= 2
				a = Attempts{}
				_, body, err = doHooked(t, p, request(t, "GET", "/some", nil), o.hooks, &a)
			}
			wantReason(t, err, ReadTimeout, 504)
			if body != "some" || a.Last().Received != 4 || !errors.Is(a.Last().Err, err) {
				t.Errorf("%s by %s: got %q, %+v", protocol, name, body, a.Last())
			}
			<-gone
		}
	}
}

// The wait for a head is limited by the request's own timeout, shorter or longer than that of all.
func TestHeadTimeout(t *testing.T) {
	slow := start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var late <-chan time.Time
		if r.URL.Path == "/late" {
			late = time.After(400 * time.Millisecond)
		}
		select {
		case <-late:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "late")
	})})
	for _, protocol := range []Protocol{HTTP, H2C} {
		p := newTestPool(t, Options{}, protocol, slow.Addr())
		var a Attempts
		_, _, err := doHooked(t, p, request(t, "GET", "/never", nil), Hooks{ReadTimeout: 100 * time.Millisecond}, &a)
		wantReason(t, err, ResponseTimeout, 504)
		if a.Len() != 1 {
			t.Errorf("%s: want one attempt, got %s", protocol, show(&a))
		}
		p = newTestPool(t, Options{ResponseHeaderTimeout: 100 * time.Millisecond}, protocol, slow.Addr())
		_, body, err := doHooked(t, p, request(t, "GET", "/late", nil), Hooks{ReadTimeout: time.Minute}, &a)
		if err != nil || body != "late" {
			t.Errorf("%s: want the late response, got %q, %v", protocol, body, err)
		}
	}
}

func TestConnectTimeout(t *testing.T) {
	address := blackhole(t)
	for _, protocol := range []Protocol{HTTP, H2C, HTTPS1, H2} {
		p := newTestPool(t, Options{ConnectTimeout: time.Hour}, protocol, address)
		_, _, err := doHooked(t, p, request(t, "GET", "/", nil), Hooks{ConnectTimeout: 50 * time.Millisecond}, nil)
		wantReason(t, err, ConnectTimeout, 504)
	}
}

// An endpoint that takes nothing of a long body is given up after the request's own timeout.
func TestSendTimeout(t *testing.T) {
	stop := make(chan struct{})
	b := start(t, &proxytest.Backend{Raw: func(*net.TCPConn) { <-stop }})
	defer close(stop)
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	body := newText(strings.Repeat("x", 64<<20))
	_, _, err := doHooked(t, p, request(t, "POST", "/", body), Hooks{SendTimeout: 100 * time.Millisecond}, nil)
	wantReason(t, err, ResponseTimeout, 504)
	if !errors.Is(err, http1.ErrSendTimeout) {
		t.Errorf("want the error of sending, got %v", err)
	}
}

// A body that the endpoint has answered without is closed all the same.
func TestBodyUnwanted(t *testing.T) {
	b := raw(t, proxytest.Reply{Bytes: "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", End: proxytest.Hang})
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	body := newText("body")
	req := request(t, "POST", "/", body)
	req.Header.Set("Expect", "100-continue")
	if status, _, err := do(t, p, req, nil); err != nil || status != 417 || body.read || body.closedTimes() != 1 {
		t.Errorf("want 417 and the body closed unread, got %d, %v, read=%t, closed %d times", status, err, body.read, body.closedTimes())
	}
}

// An endpoint may come to choose another version of HTTP, as it does when it is replaced.
func TestProtocolChoiceChanges(t *testing.T) {
	certificate, err := proxytest.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	offer := func(protocols ...string) *tls.Config {
		c := serverTLS(certificate)
		c.NextProtos = protocols
		return c
	}
	b := start(t, &proxytest.Backend{Address: proxytest.Refused(t).String(), TLS: offer("h2", "http/1.1")})
	p := newTestPool(t, Options{}, HTTPS, b.Addr())
	for _, want := range []string{"HTTP/2.0", "HTTP/1.1", "HTTP/2.0"} {
		for range 3 {
			req := request(t, "POST", "/", newText("the whole body"))
			var a Attempts
			_, body, err := do(t, p, req, &a)
			if err != nil || a.Len() != 1 {
				t.Fatalf("want one attempt over %s, got %v, %s", want, err, show(&a))
			}
			if e := echoed(t, body); e.Proto != want || e.BodyLength != int64(len("the whole body")) {
				t.Errorf("want the whole body over %s, got %d bytes over %s", want, e.BodyLength, e.Proto)
			}
		}
		b.Close()
		eventually(t, "the endpoint's connections are gone", func() bool { p.Endpoints()[0].wire().closeIdle(); return p.Endpoints()[0].Connections() == 0 })
		next := offer("http/1.1")
		if want == "HTTP/1.1" {
			next = offer("h2", "http/1.1")
		}
		b = start(t, &proxytest.Backend{Address: b.Address, TLS: next})
	}
}

// A request over a warm connection costs little besides the fields of its response.
func TestDoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations say nothing with the race detector")
	}
	b := start(t, &proxytest.Backend{Raw: answersReads(okReply)})
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	req := request(t, "GET", "/", nil)
	var a Attempts
	buf := make([]byte, 100)
	got := testing.AllocsPerRun(1000, func() {
		resp, err := p.Do(req, Hooks{}, &a)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := resp.Body.Read(buf); n != 2 || err != io.EOF {
			t.Fatal(n, err)
		}
		resp.Body.Close()
	})
	if got > 1 {
		t.Errorf("want 1 allocation, got %v", got)
	}
}
