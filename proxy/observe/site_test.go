package observe

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

const deadline = 20 * time.Second // generous: these tests share their processors

// ruleTo is a rule whose Service is "front" of namespace "shop".
func ruleTo(host string) *proxy.Rule {
	return &proxy.Rule{
		Host: host, Path: "/", PathType: router.Prefix, Origin: router.Origin{Namespace: "shop", Name: "web"},
		Backend: upstream.Key{Namespace: "shop", Service: "front", Port: "http"},
	}
}

func resolution(t testing.TB, addresses ...net.Addr) upstream.Resolution {
	t.Helper()
	var r upstream.Resolution
	for _, a := range addresses {
		ap := netip.MustParseAddrPort(a.String())
		r.Addresses = append(r.Addresses, upstream.Address{Host: ap.Addr().String(), Port: ap.Port()})
	}
	return r
}

// output is what logs write to.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Split(strings.TrimSuffix(o.buf.String(), "\n"), "\n")
}

// both logs in both formats.
type both struct {
	m           *Metrics
	json, nginx *AccessLog
}

func (b both) Route(rule *proxy.Rule) proxy.Recorder {
	one, two := Observer{b.m, b.json}.Route(rule), b.nginx.Route(rule)
	return func(x *proxy.Exchange) {
		one(x)
		two(x)
	}
}

// site is a proxy on real ports with both logs.
type site struct {
	t           *testing.T
	m           *Metrics
	p           *proxy.Proxy
	http, https string // addresses
	json, nginx output
	client      *http.Client // HTTP/2 for https; dials the site for every host
}

func newSite(t *testing.T, addresses ...net.Addr) *site {
	t.Helper()
	s := &site{t: t}
	s.p, s.m = newProxy(t, Options{})
	flush := AccessLogOptions{FlushEvery: time.Millisecond}
	jsonOptions, nginxOptions := flush, flush
	nginxOptions.Format, nginxOptions.Location = Nginx, time.UTC
	logs := both{s.m, NewAccessLog(&s.json, jsonOptions), NewAccessLog(&s.nginx, nginxOptions)}
	s.p.Observer = logs
	serve(s.p, ruleTo("shop.example"))
	s.p.Pools.Pool(ruleTo("").Backend).Set(resolution(t, addresses...))

	certificate, err := proxytest.Certificate("shop.example")
	if err != nil {
		t.Fatal(err)
	}
	server := &proxy.Server{
		Proxy: s.p, HTTPAddress: "127.0.0.1:0", HTTPSAddress: "127.0.0.1:0", ShutdownDelay: -1,
		TLS:       &tls.Config{Certificates: []tls.Certificate{*certificate}},
		ConnState: s.m.ConnState,
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- server.Serve() }()
	s.http, s.https = server.Addresses()["http"].String(), server.Addresses()["https"].String()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			to := s.http
			if strings.HasSuffix(address, ":443") {
				to = s.https
			}
			return new(net.Dialer).DialContext(ctx, network, to)
		},
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: true,
	}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, l := range []*AccessLog{logs.json, logs.nginx} {
			if err := l.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// until polls a condition.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(deadline); !ok(); {
		if time.Now().After(end) {
			s.t.Fatalf("waited %v for %s", deadline, what)
		}
		<-time.After(time.Millisecond)
	}
}

// last waits until n exchanges were logged, and returns the lines of the last one.
func (s *site) last(n int) (fields map[string]any, nginx string) {
	s.t.Helper()
	s.until(fmt.Sprint(n, " lines"), func() bool {
		return len(s.json.lines()) >= n && len(s.nginx.lines()) >= n && s.json.lines()[0] != "" && s.nginx.lines()[0] != ""
	})
	lines := s.json.lines()
	if err := json.Unmarshal([]byte(lines[n-1]), &fields); err != nil {
		s.t.Fatalf("%v: %s", err, lines[n-1])
	}
	nginx = s.nginx.lines()[n-1]
	s.t.Log(lines[n-1])
	s.t.Log(nginx)
	return fields, nginx
}

func (s *site) do(req *http.Request) *http.Response {
	s.t.Helper()
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		s.t.Log(err)
	}
	resp.Body.Close()
	return resp
}

func (s *site) request(method, url, body string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("User-Agent", "test/1")
	return req
}

func expect(t *testing.T, fields, want map[string]any) {
	t.Helper()
	for key, v := range want {
		if n, ok := v.(int); ok {
			v = float64(n)
		}
		if fields[key] != v {
			t.Errorf("%s: got %#v, want %#v", key, fields[key], v)
		}
	}
}

func positive(t *testing.T, fields map[string]any, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if n, ok := fields[key].(float64); !ok || n <= 0 {
			t.Errorf("%s: got %v, want more than 0", key, fields[key])
		}
	}
}

// match compares an nginx line with a pattern in which N stands for a number, T for a time in
// seconds, D for a date and ID for a request ID.
func match(t *testing.T, line, pattern string) {
	t.Helper()
	re := regexp.QuoteMeta(pattern)
	for short, long := range map[string]string{
		"<N>": `\d+`, "<T>": `\d+\.\d{3}`, "<ID>": `[0-9a-f]{32}`,
		"<D>": `\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000`,
	} {
		re = strings.ReplaceAll(re, short, long)
	}
	if !regexp.MustCompile("^" + re + "$").MatchString(line) {
		t.Errorf("got  %s\nwant %s", line, pattern)
	}
}
