package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// testEngine is what the fronts of the tests have.
var testEngine Engine

// TestMain runs every test with every engine: what a Proxy does must not depend on it. Benchmarks, and
// profiles of them, are of ours.
func TestMain(m *testing.M) {
	flag.Parse()
	engines := []Engine{HTTP1, NetHTTP}
	if flag.Lookup("test.bench").Value.String() != "" {
		engines = engines[:1]
	}
	for _, testEngine = range engines {
		if code := m.Run(); code != 0 {
			fmt.Fprintf(os.Stderr, "with engine %s\n", testEngine)
			os.Exit(code)
		}
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// patience bounds every wait of these tests. It is never the time that something should take.
const patience = 20 * time.Second

// front is a Proxy behind real listeners.
type front struct {
	*Proxy
	server *Server
	pools  *upstream.Registry

	mu        sync.Mutex
	exchanges []Exchange
	ended     *sync.Cond
}

// Route records every exchange for the tests to look at.
func (f *front) Route(*Rule) Recorder {
	return func(x *Exchange) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.exchanges = append(f.exchanges, *x)
		f.ended.Broadcast()
	}
}

// exchange waits for the nth exchange, from 0, to have ended.
func (f *front) exchange(t *testing.T, n int) Exchange {
	t.Helper()
	timeout := time.AfterFunc(patience, func() { f.mu.Lock(); f.ended.Broadcast(); f.mu.Unlock() })
	defer timeout.Stop()
	start := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.exchanges) <= n {
		if time.Since(start) > patience {
			t.Fatalf("%d exchanges have ended, want %d", len(f.exchanges), n+1)
		}
		f.ended.Wait()
	}
	return f.exchanges[n]
}

// newFront starts a Proxy that serves config; edit may change it before.
func newFront(t *testing.T, config Config, edit func(*front)) *front {
	t.Helper()
	f := &front{pools: upstream.NewRegistry(upstream.Options{AllowLocal: true})}
	f.ended = sync.NewCond(&f.mu)
	f.Proxy = New(f.pools)
	f.Observer = f
	f.server = &Server{
		Proxy: f.Proxy, HTTPAddress: "127.0.0.1:0", HTTPSAddress: "127.0.0.1:0", ShutdownDelay: -1, Engine: testEngine,
		TLS: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}},
	}
	if edit != nil {
		edit(f)
	}
	f.serve(t, config)
	if err := f.server.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.server.Serve() }()
	t.Cleanup(func() {
		f.server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		f.pools.Close()
	})
	return f
}

// setPools replaces the registry, before anything is served.
func (f *front) setPools(o upstream.Options) {
	f.pools.Close()
	f.pools = upstream.NewRegistry(o)
	f.Proxy.Pools = f.pools
}

func (f *front) serve(t *testing.T, config Config) {
	t.Helper()
	table, conflicts := f.Compile(config)
	if len(conflicts) > 0 {
		t.Fatalf("conflicts: %v", conflicts)
	}
	f.Swap(table)
}

func (f *front) http() string  { return f.server.Addresses()["http"].String() }
func (f *front) https() string { return f.server.Addresses()["https"].String() }

// rule leads host and everything below path to the backends, which are started.
func (f *front) lead(t *testing.T, key upstream.Key, backends ...*proxytest.Backend) {
	t.Helper()
	var r upstream.Resolution
	for _, b := range backends {
		proxytest.Start(t, b)
		r.Addresses = append(r.Addresses, addressOf(b))
		if b.TLS != nil {
			r.Protocol = upstream.HTTPS
		}
	}
	f.pools.Pool(key).Set(r)
}

// toFront makes the backend of f's rules another front.
func (f *front) toFront(other *front) {
	a := other.server.Addresses()["http"].(*net.TCPAddr).AddrPort()
	f.pools.Pool(webKey).Set(upstream.Resolution{Addresses: []upstream.Address{{Host: a.Addr().String(), Port: a.Port()}}})
}

func (f *front) recorded() []Exchange {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.exchanges)
}

func addressOf(b *proxytest.Backend) upstream.Address {
	return upstream.Address{Host: b.Addr().Addr().String(), Port: b.Addr().Port()}
}

var (
	webKey  = upstream.Key{Namespace: "shop", Service: "web", Port: "80"}
	chatKey = upstream.Key{Namespace: "shop", Service: "chat", Port: "80"}
)

func rule(host, path string, key upstream.Key) *Rule {
	return &Rule{Host: host, Path: path, PathType: router.Prefix, Backend: key, Origin: router.Origin{Namespace: key.Namespace, Name: "ing"}}
}

// single starts a front whose only host, a.example, leads to one backend.
func singleBackend(t *testing.T, b *proxytest.Backend, edit func(*front)) *front {
	t.Helper()
	f := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}, edit)
	f.lead(t, webKey, b)
	return f
}

// echo starts a front whose only host, a.example, leads to an echo.
func echoFront(t *testing.T, edit func(*front)) *front {
	return singleBackend(t, &proxytest.Backend{Handler: proxytest.Echo("web-1")}, edit)
}

// client is an HTTP client that keeps its own connections.
func client(t *testing.T, edit func(*http.Transport)) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
	if edit != nil {
		edit(tr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport: tr, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// request makes a request for host a.example to address.
func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "a.example"
	return r
}

func do(t *testing.T, c *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	return resp, string(body)
}

func echoed(t *testing.T, body string) proxytest.Echoed {
	t.Helper()
	var e proxytest.Echoed
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return e
}

// raw is a connection that bytes are written to as they stand.
type raw struct {
	net.Conn
	r *bufio.Reader
}

func dialRaw(t *testing.T, address string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &raw{c, bufio.NewReader(c)}
}

func (c *raw) send(t *testing.T, lines ...string) {
	t.Helper()
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")); err != nil {
		t.Fatal(err)
	}
}

// receive reads a response to method with its body. A body that breaks off is an error.
func (c *raw) receive(t *testing.T, method string) (*http.Response, string, error) {
	t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// eventually polls until ok, or fails with what.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func dump(t *testing.T, table *Table) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sprint(v any) string { return fmt.Sprint(v) }
