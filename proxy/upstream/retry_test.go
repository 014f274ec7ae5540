package upstream

import (
	"io"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// each sends the request of make once for each endpoint, so that each is the first to be picked.
func each(t *testing.T, p *Pool, make func() *http.Request, check func(a *Attempts, status int, body string, err error)) {
	t.Helper()
	for range p.Endpoints() {
		var a Attempts
		status, body, err := do(t, p, make(), &a)
		check(&a, status, body, err)
		seen := map[*Endpoint]bool{}
		for _, at := range a.All() {
			if seen[at.Endpoint] {
				t.Errorf("%s was tried twice: %s", at.Endpoint.Address(), show(&a))
			}
			seen[at.Endpoint] = true
		}
	}
}

// A connection that fails is retried elsewhere with any method, and the body arrives whole.
func TestRetryConnect(t *testing.T) {
	certificate, err := proxytest.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	clear := start(t, &proxytest.Backend{})
	secure := start(t, &proxytest.Backend{TLS: serverTLS(certificate)})
	noTLS := raw(t, proxytest.Reply{Blind: true, Bytes: "220 mail.example ESMTP\r\n"})
	tests := []struct {
		name     string
		protocol Protocol
		good     *proxytest.Backend
		bad      []netip.AddrPort
	}{
		{"refused", HTTP, clear, []netip.AddrPort{proxytest.Refused(t), proxytest.Refused(t)}},
		{"refused h2c", H2C, clear, []netip.AddrPort{proxytest.Refused(t), proxytest.Refused(t)}},
		{"refused https", HTTPS, secure, []netip.AddrPort{proxytest.Refused(t), proxytest.Refused(t)}},
		{"no answer", HTTP, clear, []netip.AddrPort{blackhole(t)}},
		{"denied", HTTP, clear, []netip.AddrPort{netip.MustParseAddrPort("169.254.169.254:80")}},
		{"no TLS", HTTPS, secure, []netip.AddrPort{noTLS.Addr()}},
	}
	for _, test := range tests {
		for _, method := range []string{"GET", "POST", "PATCH"} {
			t.Run(test.name+"/"+method, func(t *testing.T) {
				o := Options{ConnectTimeout: patience, EjectAfter: -1}
				if test.name == "no answer" { // those that answer may take long on a busy machine
					o.ConnectTimeout = 500 * time.Millisecond
				}
				p := newTestPool(t, o, test.protocol, append(test.bad, test.good.Addr())...)
				var body *text
				retried := false
				each(t, p, func() *http.Request {
					body = newText("the whole body")
					return request(t, method, "/", body)
				}, func(a *Attempts, status int, answer string, err error) {
					if err != nil || status != 200 {
						t.Fatalf("want 200, got %d, %v, %s", status, err, show(a))
					}
					if e := echoed(t, answer); e.BodyLength != int64(len("the whole body")) || e.Method != method {
						t.Errorf("want the whole body by %s, got %d bytes by %s, %s", method, e.BodyLength, e.Method, show(a))
					}
					retried = retried || a.Len() > 1
					eventually(t, "the body is closed", func() bool { return body.closedTimes() == 1 })
				})
				if !retried {
					t.Error("nothing was retried")
				}
			})
		}
	}
}

func TestRetryThrice(t *testing.T) {
	p := newTestPool(t, Options{EjectAfter: -1}, HTTP, proxytest.Refused(t), proxytest.Refused(t), proxytest.Refused(t), proxytest.Refused(t), proxytest.Refused(t))
	each(t, p, func() *http.Request { return request(t, "POST", "/", newText("body")) },
		func(a *Attempts, _ int, _ string, err error) {
			wantReason(t, err, ConnectRefused, 502)
			if a.Len() != 3 {
				t.Errorf("want three tries, got %s", show(a))
			}
		})
}

// What may have been sent is sent again only if it may be executed twice, and once at most: a request
// that kills its endpoint does not kill them all.
func TestRetrySent(t *testing.T) {
	ends := map[string]proxytest.Reply{
		"closed": {End: proxytest.Close},
		"reset":  {End: proxytest.Reset},
	}
	for name, reply := range ends {
		for method, tries := range map[string]int{
			"GET": 2, "HEAD": 2, "OPTIONS": 2, "TRACE": 2, "PUT": 2, "DELETE": 2,
			"POST": 1, "PATCH": 1, "get": 1, "PROPFIND": 1,
		} {
			t.Run(name+"/"+method, func(t *testing.T) {
				p := newTestPool(t, Options{EjectAfter: -1}, HTTP,
					raw(t, reply).Addr(), raw(t, reply).Addr(), raw(t, reply).Addr())
				each(t, p, func() *http.Request { return request(t, method, "/", nil) },
					func(a *Attempts, _ int, _ string, err error) {
						wantReason(t, err, UpstreamReset, 502)
						if a.Len() != tries {
							t.Errorf("want %d tries, got %s", tries, show(a))
						}
					})
			})
		}
	}
}

// A new connection that ended is no reason to make another one to the same endpoint.
func TestRetrySentElsewhereOnly(t *testing.T) {
	p := newTestPool(t, Options{}, HTTP, raw(t, proxytest.Reply{End: proxytest.Reset}).Addr())
	var a Attempts
	if _, _, err := do(t, p, request(t, "GET", "/", nil), &a); err == nil || a.Len() != 1 {
		t.Errorf("want one try, got %v, %s", err, show(&a))
	}
}

func TestRetrySentSucceeds(t *testing.T) {
	good := start(t, &proxytest.Backend{})
	p := newTestPool(t, Options{}, HTTP, raw(t, proxytest.Reply{End: proxytest.Reset}).Addr(), good.Addr())
	for range 20 {
		get(t, p)
	}
}

// Once a byte of the body was read, or of a response came, there is no way back.
func TestRetryNotAgain(t *testing.T) {
	partial := proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\nA: b\r\n", End: proxytest.Reset}
	hang := proxytest.Reply{End: proxytest.Hang}
	bodyRead := proxytest.Reply{Body: true, End: proxytest.Close}
	interim := proxytest.Reply{Bytes: "HTTP/1.1 103 Early Hints\r\n\r\n", End: proxytest.Close}
	for _, test := range []struct {
		name  string
		reply proxytest.Reply
		body  io.ReadCloser
		code  string
	}{
		{"part of a head", partial, nil, UpstreamReset},
		{"no HTTP", proxytest.Reply{Bytes: "SSH-2.0-x\r\n", End: proxytest.Close}, nil, BadResponse},
		{"interim response", interim, nil, UpstreamReset},
		{"timeout", hang, nil, ResponseTimeout},
		{"body read", bodyRead, newText("x"), UpstreamReset},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := Options{ResponseHeaderTimeout: patience}
			if test.code == ResponseTimeout {
				o.ResponseHeaderTimeout = 100 * time.Millisecond
			}
			p := newTestPool(t, o, HTTP, raw(t, test.reply).Addr(), raw(t, test.reply).Addr())
			var a Attempts
			_, _, err := do(t, p, request(t, "PUT", "/", test.body), &a)
			if code, _ := Reason(err); code != test.code || a.Len() != 1 {
				t.Errorf("want %s after one try, got %v, %s", test.code, err, show(&a))
			}
		})
	}
}

// A body that nobody has read yet, as the endpoint was asked first whether it wants it, is whole.
func TestRetryBodyUnread(t *testing.T) {
	good := start(t, &proxytest.Backend{})
	for _, test := range []struct {
		method string
		tries  int
	}{{"PUT", 2}, {"POST", 1}} {
		p := newTestPool(t, Options{}, HTTP, raw(t, proxytest.Reply{End: proxytest.Reset}).Addr(), good.Addr())
		longest := 0
		each(t, p, func() *http.Request {
			r := request(t, test.method, "/", newText("body"))
			r.Header.Set("Expect", "100-continue")
			return r
		}, func(a *Attempts, _ int, body string, err error) {
			longest = max(longest, a.Len())
			if err == nil && echoed(t, body).BodyLength != 4 {
				t.Errorf("%s: want the whole body, got %d bytes", test.method, echoed(t, body).BodyLength)
			}
		})
		if longest != test.tries {
			t.Errorf("%s: want %d tries, got %d", test.method, test.tries, longest)
		}
	}
}

// A response is never a reason to retry.
func TestRetryNotByStatus(t *testing.T) {
	var addresses []netip.AddrPort
	for range 3 {
		addresses = append(addresses, start(t, &proxytest.Backend{Handler: proxytest.Failing("", 503)}).Addr())
	}
	p := newTestPool(t, Options{}, HTTP, addresses...)
	var a Attempts
	if status, _, err := do(t, p, request(t, "GET", "/", nil), &a); status != 503 || err != nil || a.Len() != 1 {
		t.Errorf("want 503 after one try, got %d, %v, %s", status, err, show(&a))
	}
}

// D27: a service that fails altogether gets no more than a fifth more requests.
func TestRetryBudgetLimitsStorm(t *testing.T) {
	down := []netip.AddrPort{}
	var backends []*proxytest.Backend
	for range 4 {
		b := raw(t, proxytest.Reply{End: proxytest.Reset})
		backends = append(backends, b)
		down = append(down, b.Addr())
	}
	p := newTestPool(t, Options{now: newClock().now}, HTTP, down...) // in one window, however long it takes
	const offered = 1000
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range offered / 4 {
				if _, _, err := do(t, p, request(t, "GET", "/", nil), nil); err == nil {
					t.Error("want an error")
				}
			}
		})
	}
	all.Wait()
	var got int64
	for _, b := range backends {
		got += b.Accepted()
	}
	if got > offered*12/10 || got < offered*11/10 {
		t.Errorf("want at most %d attempts for %d requests, and some retries, got %d", offered*12/10, offered, got)
	}
}

func TestRetryBudgetNone(t *testing.T) {
	p := newTestPool(t, Options{RetryBudget: -1}, HTTP, proxytest.Refused(t), proxytest.Refused(t))
	var a Attempts
	if _, _, err := do(t, p, request(t, "GET", "/", nil), &a); err == nil || a.Len() != 1 {
		t.Errorf("want one try, got %v, %s", err, show(&a))
	}
}
