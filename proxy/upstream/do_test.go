package upstream

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestDoSpreadsEvenly(t *testing.T) {
	var addresses []netip.AddrPort
	var backends []*proxytest.Backend
	for range 10 {
		b := start(t, &proxytest.Backend{})
		backends = append(backends, b)
		addresses = append(addresses, b.Addr())
	}
	p := newTestPool(t, Options{}, HTTP, addresses...)
	for range 100 {
		get(t, p)
	}
	for _, b := range backends {
		if n := b.Requests(); n != 10 {
			t.Errorf("want 10 requests to each of 10 endpoints, got %d", n)
		}
	}
}

func TestDoWithoutEndpoints(t *testing.T) {
	r := newRegistry(t, Options{})
	p := r.Pool(testKey)
	body := newText("x")
	var a Attempts
	_, _, err := do(t, p, request(t, "POST", "/", body), &a)
	wantReason(t, err, "no-ready-endpoints", 503)
	p.Set(Resolution{Reason: "service-not-found"})
	_, _, err = do(t, p, request(t, "GET", "/", nil), &a)
	wantReason(t, err, "service-not-found", 503)
	var none *NoEndpointError
	if !errors.As(err, &none) || none.Key != testKey || a.Len() != 0 || a.Last().Endpoint != nil {
		t.Errorf("want a NoEndpointError of %s and no attempts, got %#v, %s", testKey, err, show(&a))
	}
	if body.closedTimes() != 1 {
		t.Errorf("want the body closed once, got %d", body.closedTimes())
	}
}

// What the caller gave is sent, and nothing else.
func TestDoSendsNothingOfItsOwn(t *testing.T) {
	heads := make(chan string, 1)
	b := start(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		heads <- string(buf[:n])
		io.WriteString(c, okReply)
	}})
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	req := request(t, "GET", "/a%2Fb?x=1;y", nil)
	req.Header = http.Header{"X-One": {"1", "2"}}
	if _, _, err := do(t, p, req, nil); err != nil {
		t.Fatal(err)
	}
	want := "GET /a%2Fb?x=1;y HTTP/1.1\r\nHost: shop.example\r\nX-One: 1\r\nX-One: 2\r\n\r\n"
	if got := <-heads; got != want {
		t.Errorf("want the head\n%q\ngot\n%q", want, got)
	}
	if len(req.Header) != 1 || req.URL.Host != "" || req.RequestURI == "" {
		t.Errorf("the request was changed: %v %v", req.Header, req.URL)
	}
}

func TestDoNilHeader(t *testing.T) {
	p := newTestPool(t, Options{}, HTTP, start(t, &proxytest.Backend{}).Addr())
	req := request(t, "GET", "/", nil)
	req.Header = nil
	if _, _, err := do(t, p, req, nil); err != nil {
		t.Error(err)
	}
}

func TestDoProtocols(t *testing.T) {
	certificate, err := proxytest.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	clear := start(t, &proxytest.Backend{})
	secure := start(t, &proxytest.Backend{TLS: serverTLS(certificate)})
	oldTLS := serverTLS(certificate)
	oldTLS.NextProtos = []string{"http/1.1"}
	secure1 := start(t, &proxytest.Backend{TLS: oldTLS})
	for _, test := range []struct {
		protocol Protocol
		backend  *proxytest.Backend
		want     string
	}{
		{HTTP, clear, "HTTP/1.1"},
		{H2C, clear, "HTTP/2.0"},
		{HTTPS, secure, "HTTP/2.0"},
		{HTTPS, secure1, "HTTP/1.1"},
		{HTTPS1, secure, "HTTP/1.1"},
		{HTTPS1, secure1, "HTTP/1.1"},
		{H2, secure, "HTTP/2.0"},
	} {
		p := newTestPool(t, Options{}, test.protocol, test.backend.Addr())
		if e := echoed(t, get(t, p)); e.Proto != test.want || e.TLS != test.protocol.TLS() || e.Host != "shop.example" {
			t.Errorf("%s: want %s, got %+v", test.protocol, test.want, e)
		}
		get(t, p)
		if n := p.Endpoints()[0].Connections(); n != 1 {
			t.Errorf("%s: want one connection for two requests, got %d", test.protocol, n)
		}
	}
}

// An endpoint that must speak HTTP/2 over TLS and does not is not spoken to otherwise.
func TestDoHTTP2Demanded(t *testing.T) {
	b := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("want no request") }))
	b.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the handshake that failed
	b.StartTLS()
	defer b.Close()
	p := newTestPool(t, Options{}, H2, netip.MustParseAddrPort(b.Listener.Addr().String()))
	_, _, err := do(t, p, request(t, "GET", "/", nil), nil)
	wantReason(t, err, TLSFailed, 502)
}

// The same address with another protocol has connections of its own (golang.org/issue/81656).
func TestDoProtocolsDoNotMix(t *testing.T) {
	b := start(t, &proxytest.Backend{})
	p := newTestPool(t, Options{}, H2C, b.Addr())
	get(t, p)
	p.Set(resolution(HTTP, b.Addr()))
	if e := echoed(t, get(t, p)); e.Proto != "HTTP/1.1" {
		t.Errorf("want HTTP/1.1 after the protocol changed, got %s", e.Proto)
	}
	p.Set(resolution(HTTPS, b.Addr()))
	_, _, err := do(t, p, request(t, "GET", "/", nil), nil)
	wantReason(t, err, TLSFailed, 502)
}

func TestDoVerifiesWhenTold(t *testing.T) {
	certificate, err := proxytest.Certificate("127.0.0.1", "cart.example")
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, &proxytest.Backend{TLS: serverTLS(certificate)})
	for _, test := range []struct {
		name    string
		trusted bool
		server  string
		want    string
	}{
		{"address", true, "", ""},
		{"name", true, "cart.example", ""},
		{"other name", true, "shop.example", TLSFailed},
		{"not trusted", false, "", TLSFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newTestPool(t, Options{TLSConfig: clientTLS(certificate, test.trusted, test.server)}, HTTPS, b.Addr())
			_, body, err := do(t, p, request(t, "GET", "/", nil), nil)
			if code, _ := Reason(err); code != test.want {
				t.Fatalf("want %q, got %v", test.want, err)
			}
			if err == nil && echoed(t, body).ServerName != test.server {
				t.Errorf("want the SNI %q, got %q", test.server, echoed(t, body).ServerName)
			}
		})
	}
}

func TestDoFailures(t *testing.T) {
	long := "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n"
	reply := func(r ...proxytest.Reply) func(*testing.T) netip.AddrPort {
		return func(t *testing.T) netip.AddrPort { return raw(t, r...).Addr() }
	}
	at := func(s string) func(*testing.T) netip.AddrPort {
		return func(*testing.T) netip.AddrPort { return netip.MustParseAddrPort(s) }
	}
	tests := []struct {
		name     string
		protocol Protocol
		address  func(*testing.T) netip.AddrPort
		code     string
		status   int
	}{
		{"refused", HTTP, func(t *testing.T) netip.AddrPort { return proxytest.Refused(t) }, ConnectRefused, 502},
		{"no answer", HTTP, func(t *testing.T) netip.AddrPort { return blackhole(t) }, ConnectTimeout, 504},
		{"denied", HTTP, at("169.254.169.254:80"), AddressDenied, 502},
		{"closed at once", HTTP, reply(proxytest.Reply{Blind: true, End: proxytest.Close}), UpstreamReset, 502},
		{"closed after the request", HTTP, reply(proxytest.Reply{End: proxytest.Close}), UpstreamReset, 502},
		{"reset after the request", HTTP, reply(proxytest.Reply{End: proxytest.Reset}), UpstreamReset, 502},
		{"closed within the head", HTTP, reply(proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\nA: b\r\n", End: proxytest.Close}), UpstreamReset, 502},
		{"reset within the head", HTTP, reply(proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\nA: b\r\n", End: proxytest.Reset}), UpstreamReset, 502},
		{"no HTTP", HTTP, reply(proxytest.Reply{Bytes: "220 mail.example ESMTP\r\n", End: proxytest.Hang}), BadResponse, 502},
		{"bad header", HTTP, reply(proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\nA b\r\n\r\n", End: proxytest.Hang}), BadResponse, 502},
		{"bad length", HTTP, reply(proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", End: proxytest.Hang}), BadResponse, 502},
		{"long head", HTTP, reply(proxytest.Reply{Bytes: long, End: proxytest.Hang}), BadResponse, 502},
		{"silence", HTTP, reply(proxytest.Reply{End: proxytest.Hang}), ResponseTimeout, 504},
		{"silence within the head", HTTP, reply(proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\n", End: proxytest.Hang}), ResponseTimeout, 504},
		{"no TLS", HTTPS, reply(proxytest.Reply{Blind: true, Bytes: "220 mail.example ESMTP\r\n"}), TLSFailed, 502},
		{"no TLS for HTTP/1", HTTPS1, reply(proxytest.Reply{Blind: true, Bytes: "220 mail.example ESMTP\r\n"}), TLSFailed, 502},
		{"silence for TLS", HTTPS, reply(proxytest.Reply{Blind: true, End: proxytest.Hang}), TLSFailed, 502},
		{"HTTP/1 for HTTP/2", H2C, reply(proxytest.Reply{Blind: true, Bytes: "HTTP/1.1 400 Bad Request\r\n\r\n"}), UpstreamReset, 502},
		{"silence for HTTP/2", H2C, reply(proxytest.Reply{Blind: true, End: proxytest.Hang}), ResponseTimeout, 504},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			// Only who is to be found silent has short times: a busy machine is slow itself.
			o := Options{ConnectTimeout: patience, ResponseHeaderTimeout: patience}
			switch {
			case test.code == ConnectTimeout, test.name == "silence for TLS":
				o.ConnectTimeout = time.Second
			case test.code == ResponseTimeout:
				o.ResponseHeaderTimeout = 200 * time.Millisecond
			}
			p := newTestPool(t, o, test.protocol, test.address(t))
			var a Attempts
			_, _, err := do(t, p, request(t, "POST", "/", nil), &a)
			wantReason(t, err, test.code, test.status)
			if a.Len() != 1 {
				t.Errorf("want one attempt, as there is one endpoint, got %s", show(&a))
			}
			var failed *Error
			if !errors.As(err, &failed) || failed.Endpoint != p.Endpoints()[0].Address() {
				t.Errorf("want an Error of the endpoint, got %#v", err)
			}
			if n := p.Endpoints()[0].InFlight(); n != 0 {
				t.Errorf("want nothing in flight, got %d", n)
			}
		})
	}
}

func TestDoClientGone(t *testing.T) {
	b := raw(t, proxytest.Reply{End: proxytest.Hang})
	other := start(t, &proxytest.Backend{})
	for _, protocol := range []Protocol{HTTP, H2C} {
		p := newTestPool(t, Options{}, protocol, b.Addr())
		ctx, cancel := context.WithCancel(t.Context())
		accepted := b.Accepted()
		go func() {
			defer cancel()
			for end := time.Now().Add(patience); b.Accepted() == accepted && time.Now().Before(end); {
				<-time.After(time.Millisecond)
			}
		}()
		var a Attempts
		_, _, err := do(t, p, request(t, "GET", "/", nil).WithContext(ctx), &a)
		wantReason(t, err, ClientClosed, 499)
		if _, failed := p.Endpoints()[0].Attempts(); failed != 0 || a.Len() != 1 {
			t.Errorf("want the endpoint free of blame after one attempt, got %d failures, %s", failed, show(&a))
		}
	}
	// Before, while connecting, and by a deadline; with another endpoint to go to.
	p := newTestPool(t, Options{}, HTTP, blackhole(t), blackhole(t), other.Addr())
	for _, test := range []struct {
		after time.Duration
		code  string
	}{{0, ClientClosed}, {30 * time.Millisecond, ClientClosed}, {30 * time.Millisecond, RequestTimeout}} {
		ctx, cancel := context.WithCancel(t.Context())
		if test.code == RequestTimeout {
			ctx, cancel = context.WithTimeout(t.Context(), test.after)
		} else {
			time.AfterFunc(test.after, cancel)
		}
		if test.after == 0 {
			cancel()
		}
		_, _, err := do(t, p, request(t, "GET", "/", nil).WithContext(ctx), nil)
		if err != nil { // it may have been the turn of the endpoint that works
			if code, _ := Reason(err); code != test.code {
				t.Errorf("want %s, got %v", test.code, err)
			}
		}
		cancel()
	}
}

// A cause that the caller gave to the context is found in the error.
func TestDoCause(t *testing.T) {
	b := raw(t, proxytest.Reply{End: proxytest.Hang})
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	cause := errors.New("the rule's limit")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
	defer cancel()
	_, _, err := do(t, p, request(t, "GET", "/", nil).WithContext(ctx), nil)
	if !errors.Is(err, cause) {
		t.Errorf("want the cause in the error, got %v", err)
	}
	wantReason(t, err, RequestTimeout, 504)
}

// A body that cannot be read is the client's fault.
func TestDoRequestBodyFails(t *testing.T) {
	b := start(t, &proxytest.Backend{})
	other := start(t, &proxytest.Backend{})
	for _, protocol := range []Protocol{HTTP, H2C} {
		p := newTestPool(t, Options{}, protocol, b.Addr(), other.Addr())
		broken := errors.New("connection lost")
		body := &text{Reader: io.MultiReader(strings.NewReader("some"), errorReader{broken})}
		var a Attempts
		_, _, err := do(t, p, request(t, "PUT", "/", body), &a)
		wantReason(t, err, RequestBodyFailed, 400)
		if !errors.Is(err, broken) || a.Len() != 1 {
			t.Errorf("want the reader's error after one attempt, got %v, %s", err, show(&a))
		}
		if _, failed := a.Last().Endpoint.Attempts(); failed != 0 {
			t.Error("the endpoint was blamed for the client's body")
		}
		large := http.MaxBytesReader(nil, newText("too much"), 3)
		_, _, err = do(t, p, request(t, "PUT", "/", large), nil)
		wantReason(t, err, RequestBodyLarge, 413)
		eventually(t, "the body is closed", func() bool { return body.closedTimes() == 1 })
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestDoInterim(t *testing.T) {
	b := raw(t, proxytest.Reply{Bytes: "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + okReply})
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	var got []string
	hooks := Hooks{Interim: func(code int, h http.Header) error {
		got = append(got, http.StatusText(code)+" "+h.Get("Link"))
		return nil
	}}
	status, body, err := doHooked(t, p, request(t, "GET", "/", nil), hooks, nil)
	if err != nil || status != 200 || body != "ok" || len(got) != 1 || got[0] != "Early Hints </a.css>" {
		t.Errorf("want 103, then 200, got %v, %d %q %v", got, status, body, err)
	}
}

// An error that the caller's hook returns ends the request, and is not retried.
func TestDoInterimRefused(t *testing.T) {
	b := raw(t, proxytest.Reply{Bytes: "HTTP/1.1 103 Early Hints\r\n\r\n" + okReply})
	p := newTestPool(t, Options{}, HTTP, b.Addr(), raw(t, proxytest.Reply{Bytes: "HTTP/1.1 103 Early Hints\r\n\r\n" + okReply}).Addr())
	enough := errors.New("too many interim responses")
	var a Attempts
	_, _, err := doHooked(t, p, request(t, "GET", "/", nil), Hooks{Interim: func(int, http.Header) error { return enough }}, &a)
	wantReason(t, err, BadResponse, 502)
	if !errors.Is(err, enough) || a.Len() != 1 {
		t.Errorf("want the hook's error after one attempt, got %v, %s", err, show(&a))
	}
}

func TestDoExpectContinue(t *testing.T) {
	for _, protocol := range []Protocol{HTTP, H2C} {
		var read atomic.Bool
		b := start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/refuse" {
				w.WriteHeader(http.StatusExpectationFailed)
				return
			}
			io.Copy(io.Discard, r.Body)
			read.Store(true)
		})})
		p := newTestPool(t, Options{}, protocol, b.Addr())
		req := request(t, "POST", "/", newText("body"))
		req.Header.Set("Expect", "100-continue")
		if status, _, err := do(t, p, req, nil); err != nil || status != 200 || !read.Load() {
			t.Errorf("%s: want 200 with the body read, got %d, %v", protocol, status, err)
		}
		req = request(t, "POST", "/refuse", newText("body"))
		req.Header.Set("Expect", "100-continue")
		if status, _, err := do(t, p, req, nil); err != nil || status != 417 {
			t.Errorf("%s: want 417, got %d, %v", protocol, status, err)
		}
	}
}

// An endpoint that answers before it has read the body is heard.
func TestDoEarlyResponse(t *testing.T) {
	refuses := map[Protocol]*proxytest.Backend{
		// net/http's server reads some of the body first.
		HTTP: raw(t, proxytest.Reply{Bytes: "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", End: proxytest.Hang}),
		H2C:  start(t, &proxytest.Backend{Handler: proxytest.Failing("", http.StatusRequestEntityTooLarge)}),
	}
	for protocol, b := range refuses {
		p := newTestPool(t, Options{}, protocol, b.Addr())
		reader, writer := io.Pipe()
		status, _, err := do(t, p, request(t, "POST", "/", reader), nil)
		if err != nil || status != 413 {
			t.Errorf("%s: want 413 while the body is sent, got %d, %v", protocol, status, err)
		}
		writer.Close()
	}
}

// A method that the Transport does not know is sent; one that is no token is nobody's failure.
func TestDoMethods(t *testing.T) {
	b := start(t, &proxytest.Backend{})
	p := newTestPool(t, Options{}, HTTP, b.Addr(), proxytest.Refused(t))
	for range 4 {
		if _, body, err := do(t, p, request(t, "purge", "/", nil), nil); err != nil || echoed(t, body).Method != "purge" {
			t.Errorf("want the method as it is, got %s, %v", body, err)
		}
	}
	var a Attempts
	_, _, err := do(t, p, request(t, "B AD", "/", nil), &a)
	wantReason(t, err, Unclassified, 502)
	if _, failed := a.Last().Endpoint.Attempts(); a.Len() != 1 || failed > 2 {
		t.Errorf("want one attempt, got %s", show(&a))
	}
}
