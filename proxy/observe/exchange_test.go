package observe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// shopLabels end the series of ruleTo.
const shopLabels = `ingress="web",namespace="shop",service="front"}`

func TestAnswered(t *testing.T) {
	b := proxytest.Start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "made")
	})})
	s := newSite(t, net.TCPAddrFromAddrPort(b.Addr()))
	req := s.request("POST", "http://shop.example:80/a%20b?q=1&r", "12345")
	req.Header.Set("Referer", `http://x/"`)
	s.do(req)
	fields, nginx := s.last(1)
	expect(t, fields, map[string]any{
		"client_ip": "127.0.0.1", "method": "POST", "scheme": "http", "host": "shop.example", "path": "/a%20b", "query": "q=1&r",
		"proto": "HTTP/1.1", "status": 201, "reason": "", "error": "", "client_aborted": false, "upgraded": false,
		"bytes_in": 5, "bytes_out": 4, "namespace": "shop", "ingress": "web", "service": "front", "port": "http", "canary": false,
		"attempts": 1, "upstream": b.Addr().String(), "upstream_failed": "", "upstream_status": 201,
		"user_agent": "test/1", "referer": `http://x/"`,
	})
	positive(t, fields, "duration_ms", "ttfb_ms", "upstream_connect_ms", "upstream_header_ms", "upstream_duration_ms")
	if d, h := fields["duration_ms"].(float64), fields["upstream_header_ms"].(float64); d < h {
		t.Errorf("upstream took %v ms, the whole request %v ms", h, d)
	}
	match(t, nginx, fmt.Sprintf(`127.0.0.1 - - [<D>] "POST /a%%20b?q=1&r HTTP/1.1" 201 4 "http://x/\x22" "test/1" `+
		`<N> <T> [shop-front-http] [] %s 4 <T> 201 <ID>`, b.Addr()))
	if !strings.HasSuffix(nginx, " "+fields["request_id"].(string)) {
		t.Error("the request IDs differ")
	}
	check(t, s.m, map[string]float64{
		`fairlead_requests_total{code="2xx",` + shopLabels:                                     1,
		`fairlead_requests_total{code="5xx",` + shopLabels:                                     0,
		`fairlead_request_duration_seconds{` + shopLabels:                                      1,
		`fairlead_request_bytes_total{` + shopLabels:                                           5,
		`fairlead_response_bytes_total{` + shopLabels:                                          4,
		`fairlead_client_aborts_total{` + shopLabels:                                           0,
		`fairlead_upstream_attempts_total{namespace="shop",result="answered",service="front"}`: 1,
		`fairlead_upstream_retries_total{namespace="shop",service="front"}`:                    0,
		`fairlead_connections_accepted_total{listener="http"}`:                                 1,
	})
}

func TestHTTP2(t *testing.T) {
	b := proxytest.Start(t, &proxytest.Backend{})
	s := newSite(t, net.TCPAddrFromAddrPort(b.Addr()))
	s.do(s.request("GET", "https://shop.example/", ""))
	fields, nginx := s.last(1)
	expect(t, fields, map[string]any{"scheme": "https", "proto": "HTTP/2.0", "status": 200, "path": "/", "host": "shop.example"})
	match(t, nginx, fmt.Sprintf(`127.0.0.1 - - [<D>] "GET / HTTP/2.0" 200 <N> "-" "test/1" `+
		`<N> <T> [shop-front-http] [] %s <N> <T> 200 <ID>`, b.Addr()))
	check(t, s.m, map[string]float64{`fairlead_connections_accepted_total{listener="https"}`: 1})
}

func TestNoRule(t *testing.T) {
	s := newSite(t)
	s.do(s.request("GET", "http://other.example/", ""))
	fields, nginx := s.last(1)
	expect(t, fields, map[string]any{"status": 404, "reason": "no-host-rule", "namespace": "", "ingress": "", "service": "", "attempts": 0, "upstream": ""})
	match(t, nginx, `127.0.0.1 - - [<D>] "GET / HTTP/1.1" 404 <N> "-" "test/1" <N> <T> [upstream-default-backend] [] - - - - <ID>`)
	check(t, s.m, map[string]float64{
		`fairlead_requests_total{code="4xx",ingress="",namespace="",service=""}`: 1,
		`fairlead_request_failures_total{reason="no-host-rule"}`:                 1,
	})
}

// What the controller's default backend answers has no rule, but a Service.
func TestDefaultBackend(t *testing.T) {
	b := proxytest.Start(t, &proxytest.Backend{})
	s := newSite(t)
	key := upstream.Key{Namespace: "kube-system", Service: "default", Port: "80"}
	table, _ := s.p.Compile(proxy.Config{DefaultBackend: key})
	s.p.Pools.Pool(key).Set(resolution(t, net.TCPAddrFromAddrPort(b.Addr())))
	s.p.Swap(table)
	for n := range 2 {
		s.do(s.request("GET", "http://other.example/", ""))
		fields, _ := s.last(n + 1)
		expect(t, fields, map[string]any{"status": 200, "namespace": "", "service": "", "upstream": b.Addr().String()})
		check(t, s.m, map[string]float64{
			`fairlead_requests_total{code="2xx",ingress="",namespace="",service=""}`:                        float64(n + 1),
			`fairlead_upstream_attempts_total{namespace="kube-system",result="answered",service="default"}`: float64(n + 1),
		})
	}
}

// The attempts of one recorder's requests are counted for the backend they went to.
func TestSeveralBackends(t *testing.T) {
	b := proxytest.Start(t, &proxytest.Backend{})
	p, m := newProxy(t, Options{})
	record := m.Route(nil)
	p.Observer = keeper(func(x *proxy.Exchange) { record(x) })
	for _, service := range []string{"one", "two", "two", "one"} {
		key := upstream.Key{Namespace: "ns", Service: service, Port: "80"}
		table, _ := p.Compile(proxy.Config{DefaultBackend: key})
		p.Pools.Pool(key).Set(resolution(t, net.TCPAddrFromAddrPort(b.Addr())))
		p.Swap(table)
		get(p, "other.example", "/")
	}
	serve(p, &proxy.Rule{Path: "/", PathType: router.Prefix, Backend: upstream.Key{Namespace: "ns", Service: "one", Port: "80"}},
		&proxy.Rule{Path: "/two", PathType: router.Prefix, Backend: upstream.Key{Namespace: "ns", Service: "two", Port: "80"}})
	check(t, m, map[string]float64{
		`fairlead_upstream_attempts_total{namespace="ns",result="answered",service="one"}`: 2,
		`fairlead_upstream_attempts_total{namespace="ns",result="answered",service="two"}`: 2,
	})
}

func TestNoEndpoints(t *testing.T) {
	s := newSite(t)
	s.do(s.request("GET", "http://shop.example/", ""))
	fields, nginx := s.last(1)
	expect(t, fields, map[string]any{"status": 503, "reason": "no-ready-endpoints", "service": "front", "attempts": 0, "upstream_status": 0})
	match(t, nginx, `127.0.0.1 - - [<D>] "GET / HTTP/1.1" 503 <N> "-" "test/1" <N> <T> [shop-front-http] [] - - - - <ID>`)
	check(t, s.m, map[string]float64{
		`fairlead_requests_total{code="5xx",` + shopLabels:             1,
		`fairlead_request_failures_total{reason="no-ready-endpoints"}`: 1,
	})
}

func TestRetryAndEjection(t *testing.T) {
	b := proxytest.Start(t, &proxytest.Backend{})
	dead := net.TCPAddrFromAddrPort(proxytest.Refused(t))
	s := newSite(t, net.TCPAddrFromAddrPort(b.Addr()), dead)
	tries, retried := 0, 0
	const ejected = `fairlead_endpoint_ejections_total{namespace="shop",service="front"}`
	for end := time.Now().Add(deadline); series(t, s.m)[ejected] == 0; {
		if time.Now().After(end) {
			t.Fatal("the dead endpoint is not ejected")
		}
		s.do(s.request("GET", "http://shop.example/", ""))
		tries++
		fields, nginx := s.last(tries)
		if fields["attempts"] == 1.0 {
			continue
		}
		retried++
		expect(t, fields, map[string]any{
			"status": 200, "reason": "", "attempts": 2, "upstream": b.Addr().String(), "upstream_failed": dead.String(), "upstream_status": 200,
		})
		match(t, nginx, fmt.Sprintf(`127.0.0.1 - - [<D>] "GET / HTTP/1.1" 200 <N> "-" "test/1" `+
			`<N> <T> [shop-front-http] [] %s, %s 0, <N> <T>, <T> 502, 200 <ID>`, dead, b.Addr()))
	}
	check(t, s.m, map[string]float64{
		`fairlead_upstream_attempts_total{namespace="shop",result="answered",service="front"}`:       float64(tries),
		`fairlead_upstream_attempts_total{namespace="shop",result="connect-failed",service="front"}`: float64(retried),
		`fairlead_upstream_retries_total{namespace="shop",service="front"}`:                          float64(retried),
		ejected: 1,
	})
}

func TestAllRefused(t *testing.T) {
	dead := net.TCPAddrFromAddrPort(proxytest.Refused(t))
	s := newSite(t, dead)
	s.do(s.request("POST", "http://shop.example/", "x"))
	fields, nginx := s.last(1)
	expect(t, fields, map[string]any{"status": 502, "reason": "connect-refused", "upstream": dead.String(), "upstream_status": 0, "upstream_connect_ms": 0})
	if e, _ := fields["error"].(string); !strings.Contains(e, "refused") || !strings.Contains(e, dead.String()) {
		t.Errorf("error: %q does not say what happened where", e)
	}
	match(t, nginx, fmt.Sprintf(`127.0.0.1 - - [<D>] "POST / HTTP/1.1" 502 <N> "-" "test/1" `+
		`<N> <T> [shop-front-http] [] %s 0 <T> 502 <ID>`, dead))
}

// A client that goes away while it waits is logged with nginx's 499.
func TestClientAbort(t *testing.T) {
	arrived := make(chan struct{})
	b := proxytest.Start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})})
	s := newSite(t, net.TCPAddrFromAddrPort(b.Addr()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-arrived
		cancel()
	}()
	if resp, err := s.client.Do(s.request("GET", "http://shop.example/", "").WithContext(ctx)); err == nil {
		resp.Body.Close()
		t.Fatalf("got %s", resp.Status)
	}
	fields, nginx := s.last(1)
	expect(t, fields, map[string]any{"status": 499, "client_aborted": true, "reason": "client-aborted", "bytes_out": 0, "ttfb_ms": 0})
	match(t, nginx, fmt.Sprintf(`127.0.0.1 - - [<D>] "GET / HTTP/1.1" 499 0 "-" "test/1" `+
		`<N> <T> [shop-front-http] [] %s 0 <T> - <ID>`, b.Addr()))
	check(t, s.m, map[string]float64{
		`fairlead_requests_total{code="4xx",` + shopLabels:                                     1,
		`fairlead_client_aborts_total{` + shopLabels:                                           1,
		`fairlead_upstream_attempts_total{namespace="shop",result="canceled",service="front"}`: 1,
	})
}

// A response that breaks off keeps its status and says why.
func TestBrokenResponse(t *testing.T) {
	b := proxytest.Start(t, &proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{
		Bytes: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", End: proxytest.Close,
	})})
	s := newSite(t, net.TCPAddrFromAddrPort(b.Addr()))
	s.do(s.request("GET", "http://shop.example/", ""))
	fields, nginx := s.last(1)
	expect(t, fields, map[string]any{"status": 200, "reason": "upstream-reset", "bytes_out": 4, "client_aborted": false, "upstream_status": 200})
	match(t, nginx, fmt.Sprintf(`127.0.0.1 - - [<D>] "GET / HTTP/1.1" 200 4 "-" "test/1" `+
		`<N> <T> [shop-front-http] [] %s 4 <T> 200 <ID>`, b.Addr()))
	check(t, s.m, map[string]float64{
		`fairlead_requests_total{code="2xx",` + shopLabels:         1,
		`fairlead_request_failures_total{reason="upstream-reset"}`: 1,
	})
}

// A WebSocket is one exchange, logged when it ends; its time is no request's duration.
func TestWebSocket(t *testing.T) {
	b := proxytest.Start(t, &proxytest.Backend{Handler: proxytest.WebSocket("ws")})
	s := newSite(t, net.TCPAddrFromAddrPort(b.Addr()))
	c, _, err := proxytest.DialWebSocket(t.Context(), s.http, "shop.example", "/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(1, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(); err != nil {
		t.Fatal(err)
	}
	check(t, s.m, map[string]float64{
		`fairlead_requests_total{code="1xx",` + shopLabels: -1, // not yet
		`fairlead_connections_open{listener="http"}`:       0,
	})
	c.Close()
	fields, _ := s.last(1)
	expect(t, fields, map[string]any{"status": 101, "upgraded": true, "path": "/chat", "upstream": b.Addr().String()})
	positive(t, fields, "bytes_in", "bytes_out")
	check(t, s.m, map[string]float64{
		`fairlead_requests_total{code="1xx",` + shopLabels: 1,
		`fairlead_request_duration_seconds{` + shopLabels:  0,
	})
}

func TestConnectionsOpen(t *testing.T) {
	b := proxytest.Start(t, &proxytest.Backend{})
	s := newSite(t, net.TCPAddrFromAddrPort(b.Addr()))
	for range 3 {
		s.do(s.request("GET", "http://shop.example/", ""))
		s.do(s.request("GET", "https://shop.example/", ""))
	}
	check(t, s.m, map[string]float64{
		`fairlead_connections_accepted_total{listener="http"}`:  1,
		`fairlead_connections_accepted_total{listener="https"}`: 1,
		`fairlead_connections_open{listener="http"}`:            1,
		`fairlead_connections_open{listener="https"}`:           1,
	})
	s.client.CloseIdleConnections()
	s.until("the connections to be closed", func() bool {
		got := series(t, s.m)
		return got[`fairlead_connections_open{listener="http"}`] == 0 && got[`fairlead_connections_open{listener="https"}`] == 0
	})
}

// A whole request through proxy and sockets costs the recorders no allocation: see
// TestRecordAllocations and TestAccessLogAllocations for an exchange without attempts.
func TestAllocationsWithAttempts(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop things")
	}
	b := proxytest.Start(t, &proxytest.Backend{})
	p, m := newProxy(t, Options{})
	var kept *proxy.Exchange
	p.Observer = keeper(func(x *proxy.Exchange) {
		c := *x
		kept = &c
	})
	serve(p, ruleTo("shop.example"))
	p.Pools.Pool(ruleTo("").Backend).Set(resolution(t, net.TCPAddrFromAddrPort(b.Addr())))
	get(p, "shop.example", "/")
	if kept == nil || kept.Attempts.Len() != 1 {
		t.Fatal("no exchange with an attempt")
	}
	for name, f := range map[string]Format{"metrics": Off, "json": JSON, "nginx": Nginx} {
		log := NewAccessLog(discard{}, AccessLogOptions{Format: f})
		record := Observer{m, log}.Route(shopRule)
		if n := testing.AllocsPerRun(1000, func() { record(kept) }); n >= 1 {
			t.Errorf("%s: %v allocations an exchange, want 0", name, n)
		}
		if err := log.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

type keeper proxy.Recorder

func (k keeper) Route(*proxy.Rule) proxy.Recorder { return proxy.Recorder(k) }
