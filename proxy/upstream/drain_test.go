package upstream

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// held is a backend that begins to answer "/hold" and ends it when it is told to.
type held struct {
	*proxytest.Backend
	release chan struct{}
}

func newHeld(t *testing.T) *held {
	h := &held{release: make(chan struct{})}
	echo := proxytest.Echo("")
	h.Backend = start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hold" {
			echo.ServeHTTP(w, r)
			return
		}
		io.WriteString(w, "begun\n")
		http.NewResponseController(w).Flush()
		select {
		case <-h.release:
			io.WriteString(w, "ended\n")
		case <-r.Context().Done():
		}
	})})
	return h
}

// hold begins a request.
func hold(t *testing.T, p *Pool) (*http.Response, *bufio.Reader) {
	t.Helper()
	resp, err := p.Do(request(t, "GET", "/hold", nil), Hooks{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	body := &closedAtEnd{ReadCloser: resp.Body}
	t.Cleanup(func() { body.Close() })
	resp.Body = body
	r := bufio.NewReader(body)
	if line, err := r.ReadString('\n'); line != "begun\n" {
		t.Fatalf("want the beginning of the response, got %q, %v", line, err)
	}
	return resp, r
}

// closedAtEnd is closed once: when all of it was read, or by Close.
type closedAtEnd struct {
	io.ReadCloser
	once sync.Once
}

func (b *closedAtEnd) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.Close()
	}
	return n, err
}

func (b *closedAtEnd) Close() error {
	b.once.Do(func() { b.ReadCloser.Close() })
	return nil
}

func wantEnd(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(r); string(rest) != "ended\n" || err != nil {
		t.Errorf("want the end of the response, got %q, %v", rest, err)
	}
}

// R6: a removed endpoint ends what it has begun, gets nothing new, and loses its idle connections.
func TestDrainEndpoint(t *testing.T) {
	for _, protocol := range []Protocol{HTTP, H2C} {
		t.Run(protocol.String(), func(t *testing.T) {
			leaving, staying := newHeld(t), start(t, &proxytest.Backend{})
			p := newTestPool(t, Options{}, protocol, leaving.Addr())
			e := p.Endpoints()[0]
			_, first := hold(t, p)
			_, second := hold(t, p)
			get(t, p)
			p.Set(resolution(protocol, staying.Addr()))
			before := leaving.Requests()
			for range 10 {
				get(t, p)
			}
			if leaving.Requests() != before {
				t.Error("a request went to an endpoint that was removed")
			}
			want := 2 // in use, each by a request
			if protocol == H2C {
				want = 1
			}
			eventually(t, "its idle connections are closed", func() bool { return leaving.Open() == want })
			if n := e.InFlight(); n != 2 {
				t.Errorf("want 2 in flight, got %d", n)
			}
			close(leaving.release)
			wantEnd(t, first)
			wantEnd(t, second)
			eventually(t, "all its connections are closed", func() bool { return leaving.Open() == 0 && e.Connections() == 0 })
			if n := e.InFlight(); n != 0 {
				t.Errorf("want nothing in flight, got %d", n)
			}
		})
	}
}

// An endpoint that stays is the same one, with its connection.
func TestSetKeeps(t *testing.T) {
	b := start(t, &proxytest.Backend{})
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	get(t, p)
	e := p.Endpoints()[0]
	e.inARow.Store(2)
	same, other := resolution(HTTP, b.Addr()).Addresses[0], Address{"127.0.0.1", 1}
	p.Set(Resolution{Addresses: []Address{other, same, same, other}})
	if all := p.Endpoints(); len(all) != 2 || all[0].Address() != other && all[1].Address() != other {
		t.Fatalf("want two endpoints, got %d", len(all))
	}
	if endpointAt(t, p, b.Addr()) != e || e.inARow.Load() != 2 {
		t.Error("the endpoint that stayed is another one")
	}
	p.Set(resolution(HTTP, b.Addr()))
	get(t, p)
	if b.Accepted() != 1 {
		t.Errorf("want its connection kept, got %d connections", b.Accepted())
	}
}

// In any order the same endpoints give the same list.
func TestEndpointsSorted(t *testing.T) {
	p := newRegistry(t, Options{}).Pool(testKey)
	p.Set(Resolution{Addresses: []Address{{"b", 2}, {"a", 10}, {"b", 1}, {"a", 9}}})
	var got []string
	for _, e := range p.Endpoints() {
		got = append(got, e.Address().String())
	}
	if fmt.Sprint(got) != "[a:9 a:10 b:1 b:2]" {
		t.Errorf("got %v", got)
	}
}

func keys(wanted ...Key) func(Key) bool {
	return func(k Key) bool { return slices.Contains(wanted, k) }
}

// An orphaned pool serves those who have it, keeps nothing idle, and is forgotten when at rest.
func TestOrphan(t *testing.T) {
	for _, protocol := range []Protocol{HTTP, H2C} {
		t.Run(protocol.String(), func(t *testing.T) {
			r := newRegistry(t, Options{})
			b := newHeld(t)
			p := r.Pool(testKey)
			p.Set(resolution(protocol, b.Addr()))
			_, held := hold(t, p)
			r.Retain(keys(Key{Namespace: "other", Service: "pool", Port: "1"}))
			if got := r.Pools(); len(got) != 1 || got[0] != p {
				t.Fatal("an orphan with a request in flight was forgotten")
			}
			get(t, p) // by someone who has an older table
			close(b.release)
			wantEnd(t, held)
			eventually(t, "its connections are closed", func() bool { return b.Open() == 0 })
			if len(r.Pools()) != 0 {
				t.Error("an orphan at rest was not forgotten")
			}
			// Whoever has it still can use it.
			get(t, p)
			eventually(t, "the new connection is closed too", func() bool { return b.Open() == 0 && b.Accepted() >= 2 })
			p.Set(resolution(protocol, b.Addr(), start(t, &proxytest.Backend{}).Addr()))
			get(t, p)
			get(t, p)
			eventually(t, "so are those of an endpoint that came later", func() bool {
				return p.Endpoints()[0].Connections()+p.Endpoints()[1].Connections() == 0
			})
			if q := r.Pool(testKey); q == p {
				t.Error("a forgotten pool came back")
			}
		})
	}
}

// A pool that is asked for again while it drains is the same one, as if nothing had been.
func TestOrphanComesBack(t *testing.T) {
	for name, back := range map[string]func(*Registry){
		"asked for": func(r *Registry) { r.Pool(testKey) },
		"retained":  func(r *Registry) { r.Retain(keys(testKey)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t, Options{})
			b := newHeld(t)
			p := r.Pool(testKey)
			p.Set(resolution(HTTP, b.Addr()))
			_, held := hold(t, p)
			r.Retain(keys())
			back(r)
			if r.Pool(testKey) != p {
				t.Fatal("want the same pool")
			}
			close(b.release)
			wantEnd(t, held)
			r.Retain(keys(testKey))
			for range 10 {
				get(t, p)
			}
			// The one that was in use when it was an orphan may have been closed.
			if b.Accepted() > 2 {
				t.Errorf("want one connection kept, got %d", b.Accepted())
			}
			eventually(t, "one connection is kept", func() bool { return b.Open() == 1 })
			if len(r.Pools()) != 1 {
				t.Error("it was forgotten")
			}
		})
	}
}

func TestPoolsSorted(t *testing.T) {
	r := newRegistry(t, Options{})
	for _, k := range []Key{
		{Namespace: "b", Service: "a", Port: "1"},
		{Namespace: "a", Service: "b", Port: "1"},
		{Namespace: "a", Service: "a", Port: "2"},
		{Namespace: "a", Service: "a", Port: "1"},
	} {
		r.Pool(k)
	}
	if r.Pool(Key{Namespace: "a", Service: "a", Port: "1"}) != r.Pools()[0] {
		t.Error("want one pool for a key")
	}
	var got []string
	for _, p := range r.Pools() {
		got = append(got, p.Key().String())
	}
	if fmt.Sprint(got) != "[a/a:1 a/a:2 a/b:1 b/a:1]" {
		t.Errorf("got %v", got)
	}
}

// After Close nothing is left: no connection, no goroutine (TestMain looks), no pool.
func TestClose(t *testing.T) {
	certificate, err := proxytest.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	clear := newHeld(t)
	secure := start(t, &proxytest.Backend{TLS: serverTLS(certificate)})
	r := newRegistry(t, Options{})
	for i, protocol := range []Protocol{HTTP, H2C, HTTPS} {
		p := r.Pool(Key{Namespace: "shop", Service: "cart", Port: fmt.Sprint(i)})
		b := clear.Backend
		if protocol == HTTPS {
			b = secure
		}
		p.Set(resolution(protocol, b.Addr()))
		get(t, p)
	}
	p := r.Pool(Key{Namespace: "shop", Service: "cart", Port: "0"})
	_, held := hold(t, p)
	r.Close()
	if n := len(r.Pools()); n != 1 {
		t.Errorf("want the pool with a request in flight, got %d pools", n)
	}
	get(t, p)
	close(clear.release)
	wantEnd(t, held)
	eventually(t, "no connection is open", func() bool { return clear.Open() == 0 && secure.Open() == 0 })
	late := r.Pool(testKey)
	late.Set(resolution(HTTP, clear.Addr()))
	get(t, late)
	r.Retain(keys(testKey))
	eventually(t, "no connection is open", func() bool { return clear.Open() == 0 })
	if n := len(r.Pools()); n != 0 {
		t.Errorf("want no pools, got %d", n)
	}
}

// Endpoints and pools come and go under traffic, and no request fails.
func TestSwapUnderLoad(t *testing.T) {
	var addresses []netip.AddrPort
	var backends []*proxytest.Backend
	for range 3 {
		b := start(t, &proxytest.Backend{})
		backends = append(backends, b)
		addresses = append(addresses, b.Addr())
	}
	for _, protocol := range []Protocol{HTTP, H2C} {
		r := newRegistry(t, Options{})
		p := r.Pool(testKey)
		p.Set(resolution(protocol, addresses...))
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					// No retry is needed.
					var a Attempts
					if status, _, err := do(t, p, request(t, "POST", "/", newText("x")), &a); err != nil || status != 200 || a.Len() != 1 {
						t.Errorf("%s: want 200 at once, got %d, %v, %s", protocol, status, err, show(&a))
						return
					}
				}
			})
		}
		for i := range 200 {
			switch i % 4 {
			case 0:
				p.Set(resolution(protocol, addresses[0], addresses[1]))
			case 1:
				p.Set(resolution(protocol, addresses[1], addresses[2]))
			case 2:
				r.Retain(keys())
			case 3:
				r.Retain(keys(testKey))
			}
			before := backends[1].Requests()
			eventually(t, "there is traffic", func() bool { return backends[1].Requests() > before || t.Failed() })
		}
		close(stop)
		clients.Wait()
	}
}

// Idle connections end by themselves.
func TestIdleTimeout(t *testing.T) {
	b := start(t, &proxytest.Backend{})
	for _, protocol := range []Protocol{HTTP, H2C} {
		p := newTestPool(t, Options{IdleTimeout: 50 * time.Millisecond}, protocol, b.Addr())
		get(t, p)
		eventually(t, "the idle connection is closed", func() bool { return b.Open() == 0 && p.Endpoints()[0].Connections() == 0 })
	}
}

func TestMaxIdle(t *testing.T) {
	b := newHeld(t)
	p := newTestPool(t, Options{MaxIdlePerEndpoint: 2}, HTTP, b.Addr())
	var all []*bufio.Reader
	for range 5 {
		_, r := hold(t, p)
		all = append(all, r)
	}
	if b.Open() != 5 {
		t.Fatalf("want 5 connections, got %d", b.Open())
	}
	close(b.release)
	for _, r := range all {
		wantEnd(t, r)
	}
	eventually(t, "two idle connections are left", func() bool { return b.Open() == 2 })
}
