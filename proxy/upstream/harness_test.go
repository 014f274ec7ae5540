package upstream

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// Every test closes its Registry; what then still runs is a leak.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // where the Transport writes about unsolicited responses
	goleak.VerifyTestMain(m)
}

// patience bounds the waits of these tests. It is never the time that something should take.
const patience = 20 * time.Second

var testKey = Key{Namespace: "shop", Service: "cart", Port: "80"}

// newRegistry returns a Registry for endpoints on loopback. It is closed when the test ends.
func newRegistry(t testing.TB, o Options) *Registry {
	o.AllowLocal = true
	r := NewRegistry(o)
	t.Cleanup(r.Close)
	return r
}

// newPool returns a Pool of a Registry of its own.
func newTestPool(t testing.TB, o Options, protocol Protocol, addresses ...netip.AddrPort) *Pool {
	p := newRegistry(t, o).Pool(testKey)
	p.Set(resolution(protocol, addresses...))
	return p
}

func resolution(protocol Protocol, addresses ...netip.AddrPort) Resolution {
	r := Resolution{Protocol: protocol}
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, Address{a.Addr().String(), a.Port()})
	}
	return r
}

// start starts a backend for the test.
func start(t testing.TB, b *proxytest.Backend) *proxytest.Backend { return proxytest.Start(t, b) }

// raw starts a backend that is given its connections.
func raw(t testing.TB, replies ...proxytest.Reply) *proxytest.Backend {
	return start(t, &proxytest.Backend{Raw: proxytest.Script(replies...)})
}

// blackhole returns an address at which connections are not answered.
func blackhole(t testing.TB) netip.AddrPort {
	b, err := proxytest.NewBlackhole()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.Addr()
}

// request returns a request as a proxy hands it on: that of a server, not of a client.
func request(t testing.TB, method, target string, body io.ReadCloser) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{
		Method: method, URL: u, Host: "shop.example", Header: make(http.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: body, RequestURI: target,
	}
	if body != nil && body != http.NoBody {
		r.ContentLength = -1
	}
	return r.WithContext(t.Context())
}

// text is a request body that notes what is done with it.
type text struct {
	io.Reader
	mu     sync.Mutex
	read   bool
	closed int
}

func newText(s string) *text { return &text{Reader: strings.NewReader(s)} }

func (b *text) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.read = true
	b.mu.Unlock()
	return b.Reader.Read(p)
}

func (b *text) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

func (b *text) closedTimes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// do sends a request and returns its status and whole body.
func do(t testing.TB, p *Pool, req *http.Request, a *Attempts) (int, string, error) {
	t.Helper()
	return doHooked(t, p, req, Hooks{}, a)
}

func doHooked(t testing.TB, p *Pool, req *http.Request, h Hooks, a *Attempts) (int, string, error) {
	t.Helper()
	resp, err := p.Do(req, h, a)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// get is do for a GET that must be answered with 200.
func get(t testing.TB, p *Pool) string {
	t.Helper()
	var a Attempts
	status, body, err := do(t, p, request(t, "GET", "/", nil), &a)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET: want 200, got %d, %v; attempts %s", status, err, show(&a))
	}
	return body
}

// show writes attempts down: the endpoint's number in the pool, and the reason it failed for.
func show(a *Attempts) string {
	var s []string
	for _, at := range a.All() {
		code, _ := Reason(at.Err)
		if code == "" {
			code = "ok"
		}
		s = append(s, code)
	}
	return strings.Join(s, " ")
}

// wantReason fails the test if err is not of that code and status.
func wantReason(t testing.TB, err error, code string, status int) {
	t.Helper()
	if c, s := Reason(err); c != code || s != status {
		t.Errorf("want %s, %d, got %s, %d of the error: %v", code, status, c, s, err)
	}
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never became true that %s", what)
		}
	}
}

// clock is a time that stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}
