package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// start serves h on a loopback port until the test ends, and then checks that nothing of it is
// left. s may be nil.
func start(t testing.TB, s *Server, h http.HandlerFunc) (*Server, string) {
	t.Helper()
	if s == nil {
		s = new(Server)
	}
	s.Handler, s.poison = h, true
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
		until(t, func() bool { return s.Connections() == 0 })
	})
	return s, l.Addr().String()
}

// until waits for ok, which a test cannot be told of.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 20 s")
		}
		<-time.After(2 * time.Millisecond)
	}
}

// dial connects to address until the test ends.
func dial(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c.(*net.TCPConn)
}

// exchange sends raw on a connection of its own and returns all that comes until the server
// closes it.
func exchange(t testing.TB, address, raw string) string {
	t.Helper()
	c := dial(t, address)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", all, err)
	}
	return string(all)
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, "%s %s %s %q", r.Method, r.RequestURI, r.Host, body)
}

func TestServe(t *testing.T) {
	_, address := start(t, nil, echo)
	client := new(http.Transport)
	t.Cleanup(client.CloseIdleConnections)
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		for _, length := range []int{0, 1, 5000, 100000} {
			body := strings.Repeat("x", length)
			r, _ := http.NewRequest(method, "http://"+address+"/path?q", strings.NewReader(body))
			resp, err := client.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf("%s /path?q %s %q", method, address, body); string(got) != want || err != nil {
				t.Errorf("%s with %d bytes: got %.100q (%d bytes), %v", method, length, got, len(got), err)
			}
		}
	}
}

func TestKeepAlive(t *testing.T) {
	_, address := start(t, nil, echo)
	for _, tt := range []struct{ name, request, want string }{
		{"HTTP/1.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"HTTP/1.1 close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close"},
		{"HTTP/1.1 Close in a list", "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE, Close\r\n\r\n", "close"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "close"},
		{"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, address)
			r := bufio.NewReader(c)
			for range 3 {
				if _, err := io.WriteString(c, tt.request); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadAll(resp.Body); err != nil {
					t.Fatal(err)
				}
				got := ""
				if resp.Close {
					got = "close"
				} else if resp.ProtoMinor == 0 || resp.Header.Get("Connection") != "" {
					got = resp.Header.Get("Connection")
				}
				if got != tt.want {
					t.Fatalf("got Connection %q, want %q", got, tt.want)
				}
				if tt.want == "close" {
					if _, err := r.ReadByte(); err != io.EOF {
						t.Errorf("after the response: got %v, want the end of the connection", err)
					}
					return
				}
			}
		})
	}
}

func TestShutdown(t *testing.T) {
	entered, release := make(chan bool), make(chan bool)
	s, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- true
			<-release
		}
	})
	idle, busy := dial(t, address), dial(t, address)
	idleReader := bufio.NewReader(idle)
	io.WriteString(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := http.ReadResponse(idleReader, nil); err != nil {
		t.Fatal(err)
	}
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	if _, err := idleReader.ReadByte(); err != io.EOF {
		t.Errorf("idle connection: got %v, want its end", err)
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("got %d connections while one is busy", n)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || !resp.Close {
		t.Errorf("busy connection: got %v, %v; want a response with Connection: close", resp, err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the listener is still open")
	}
}

// Draining and then shutting down under load costs no request: clients learn from a response that it
// is the last.
func TestShutdownLosesNothing(t *testing.T) {
	var served atomic.Int64
	s, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		io.WriteString(w, "hello")
	})
	var answered atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		c := dial(t, address)
		wg.Go(func() {
			r := bufio.NewReader(c)
			for {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil {
					t.Errorf("got %q, %v", body, err)
				}
				answered.Add(1)
				if resp.Close {
					return
				}
			}
		})
	}
	until(t, func() bool { return answered.Load() > 1000 })
	s.Drain()
	wg.Wait() // every connection has got its last response
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if served.Load() != answered.Load() {
		t.Errorf("%d requests were served, %d answered", served.Load(), answered.Load())
	}
}

// Shutdown does not wait for connections that have sent nothing for a while, nor for ever for a handler.
func TestShutdownGivesUp(t *testing.T) {
	release := make(chan bool)
	entered := make(chan bool)
	s, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-release
	})
	silent := dial(t, address)
	until(t, func() bool { return s.Connections() == 1 })
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("silent connection: %v", err)
	}

	s, address = start(t, nil, s.Handler.ServeHTTP)
	defer close(release)
	io.WriteString(dial(t, address), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// zoned is a connection from a link-local address.
type zoned struct{ net.Conn }

func (zoned) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 4711}
}

func TestPeerHasNoZone(t *testing.T) {
	peer := make(chan netip.Addr, 1)
	s := &Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		peer <- r.Context().(interface{ Peer() netip.Addr }).Peer()
	})}
	ours, theirs := net.Pipe()
	go io.Copy(io.Discard, theirs)
	go io.WriteString(theirs, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	s.ServeConn(zoned{ours}, nil)
	if got := <-peer; got != netip.MustParseAddr("fe80::1") {
		t.Errorf("the peer is %s", got)
	}
}

func TestServeConn(t *testing.T) {
	var states []http.ConnState
	s := &Server{Handler: http.HandlerFunc(echo), ConnState: func(c net.Conn, state http.ConnState) { states = append(states, state) }}
	ours, theirs := net.Pipe()
	go func() {
		io.WriteString(theirs, "TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	}()
	answer := make(chan string)
	go func() {
		all, _ := io.ReadAll(theirs)
		answer <- string(all)
	}()
	s.ServeConn(ours, []byte("GET / HTTP/1.1\r\nHost: b\r\n\r\nGET / HT")) // what was read already
	got := <-answer
	if strings.Count(got, "HTTP/1.1 200") != 2 || !strings.Contains(got, "GET / b") || !strings.Contains(got, "GET / a") {
		t.Errorf("got %q", got)
	}
	want := []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateClosed}
	if !slices.Equal(states, want) {
		t.Errorf("got states %v, want %v", states, want)
	}
}
