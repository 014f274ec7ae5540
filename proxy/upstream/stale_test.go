package upstream

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// staleBackend answers the first request of each connection, and closes it when the second has come,
// as an endpoint whose idle timeout ends just then. It counts what it was sent.
type staleBackend struct {
	*proxytest.Backend
	mu    sync.Mutex
	heads []*http.Request
}

func newStaleBackend(t *testing.T) *staleBackend {
	s := &staleBackend{}
	s.Backend = start(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		next := reader(c)
		for i := range 2 {
			req, err := next()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.heads = append(s.heads, req)
			s.mu.Unlock()
			if i == 0 {
				io.WriteString(c, okReply)
			}
		}
	}})
	return s
}

func (s *staleBackend) received() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heads
}

// With one endpoint, an idempotent request that met a stale connection goes to it again, over a new one.
func TestRetryStale(t *testing.T) {
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		b := newStaleBackend(t)
		p := newTestPool(t, Options{}, HTTP, b.Addr())
		for range 10 {
			if status, _, err := do(t, p, request(t, method, "/", nil), nil); err != nil || status != 200 {
				t.Errorf("%s: want 200, got %d, %v", method, status, err)
			}
		}
		if _, failed := p.Endpoints()[0].Attempts(); failed != 0 {
			t.Errorf("%s: the endpoint was blamed for %d stale connections", method, failed)
		}
	}
}

// There, all its idle connections may be stale.
func TestRetryAllStale(t *testing.T) {
	b := newStaleBackend(t)
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	var open []*http.Response
	for range usualTries + 1 {
		resp, err := p.Do(request(t, "GET", "/", nil), Hooks{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, resp)
	}
	for _, resp := range open {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	var a Attempts
	if status, _, err := do(t, p, request(t, "DELETE", "/", nil), &a); err != nil || status != 200 || a.Len() != 2 {
		t.Errorf("want 200 by the second try, got %d, %v, %s", status, err, show(&a))
	}
}

// A body that was read is had again from GetBody, if there is one.
func TestRetryStaleBody(t *testing.T) {
	for _, again := range []bool{false, true} {
		b := newStaleBackend(t)
		p := newTestPool(t, Options{}, HTTP, b.Addr())
		get(t, p)
		req := request(t, "GET", "/", newText("body"))
		if again {
			req.GetBody = func() (io.ReadCloser, error) { return newText("body"), nil }
		}
		status, _, err := do(t, p, req, nil)
		if !again {
			wantReason(t, err, UpstreamReset, 502)
		} else if status != 200 || err != nil {
			t.Errorf("want 200, got %d, %v", status, err)
		}
	}
}

// A POST is not sent twice, whatever the Transport thinks of its Idempotency-Key.
func TestRetryStalePost(t *testing.T) {
	for _, key := range []string{"", "Idempotency-Key", "X-Idempotency-Key"} {
		b := newStaleBackend(t)
		p := newTestPool(t, Options{}, HTTP, b.Addr())
		get(t, p)
		req := request(t, "POST", "/", nil)
		if key != "" {
			req.Header.Set(key, "17")
		}
		_, _, err := do(t, p, req, nil)
		wantReason(t, err, UpstreamReset, 502)
		received := b.received()
		if len(received) != 2 {
			t.Errorf("%q: want GET and one POST, got %d requests", key, len(received))
		}
		if key != "" && (received[1].Header.Get(key) != "17" || req.Header.Get(key) != "17") {
			t.Errorf("want %s sent, got %v", key, received[1].Header)
		}
	}
}

// D3: endpoints close connections whenever they like. Every GET succeeds, hardly a POST
// fails, and no request is executed twice.
func TestNeverTwice(t *testing.T) {
	requests := proxytest.Requests(3000, testing.Short())
	var (
		mu       sync.Mutex
		executed = make(map[string]int)
	)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		executed[r.Header.Get("Id")]++
		mu.Unlock()
	})
	var addresses []netip.AddrPort
	for range 3 {
		b := start(t, &proxytest.Backend{Raw: closingAtRandom(handler)})
		addresses = append(addresses, b.Addr())
	}
	p := newTestPool(t, Options{RetryBudget: 1}, HTTP, addresses...)
	var clients sync.WaitGroup
	var failed sync.Map
	for c := range 8 {
		clients.Go(func() {
			for i := range requests / 8 {
				method, body := "GET", io.ReadCloser(nil)
				if i%2 == 1 {
					method, body = "POST", newText("body")
				}
				req := request(t, method, "/", body)
				id := fmt.Sprintf("%d-%d", c, i)
				req.Header.Set("Id", id)
				var a Attempts
				if status, _, err := do(t, p, req, &a); err != nil || status != 200 {
					failed.Store(id, fmt.Sprint(method, status, err, show(&a)))
				}
			}
		})
	}
	clients.Wait()
	posts := 0
	failed.Range(func(id, what any) bool {
		if strings.HasPrefix(what.(string), "GET") {
			t.Errorf("request %s failed: %s", id, what)
		}
		posts++
		return true
	})
	// A connection that is closed just as a POST is written to it cannot be helped.
	if posts > requests/20 {
		t.Errorf("%d POSTs of %d failed", posts, requests/2)
	}
	for id, n := range executed {
		// A GET may be executed twice: its first connection may end after that.
		if odd := id[len(id)-1]%2 == 1; n > 1 && odd {
			t.Errorf("POST %s was executed %d times", id, n)
		}
	}
}

// closingAtRandom serves requests, and after each closes the connection with a chance of one
// in four, without saying so before, some time within a few milliseconds.
func closingAtRandom(h http.Handler) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		next := reader(c)
		for {
			req, err := next()
			if err != nil {
				return
			}
			h.ServeHTTP(discard{}, req)
			io.WriteString(c, okReply)
			if rand.IntN(4) == 0 {
				c.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(3000)) * time.Microsecond))
			}
		}
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// D4: what an endpoint sends beyond its response is not taken for the next one.
func TestUnsolicited(t *testing.T) {
	b := start(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		next := reader(c)
		for {
			req, err := next()
			if err != nil {
				return
			}
			id := req.Header.Get("Id")
			// At once, for what comes after the next request was written is a response to it.
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"+
				"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", len(id), id)
		}
	}})
	p := newTestPool(t, Options{RetryBudget: 1}, HTTP, b.Addr())
	requests := proxytest.Requests(2000, testing.Short())
	for i := range requests {
		req := request(t, "GET", "/", nil)
		id := fmt.Sprint(i)
		req.Header.Set("Id", id)
		_, body, err := do(t, p, req, nil)
		if err != nil || body != id {
			t.Fatalf("request %s got the response %q, %v", id, body, err)
		}
	}
}

// reader reads requests, with their bodies, from c.
func reader(c *net.TCPConn) func() (*http.Request, error) {
	r := bufio.NewReader(c)
	return func() (*http.Request, error) {
		req, err := http.ReadRequest(r)
		if err == nil {
			_, err = io.Copy(io.Discard, req.Body)
		}
		return req, err
	}
}
