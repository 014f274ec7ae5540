package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clientTest is a Client with a server at the other end of its connections.
type clientTest struct {
	*Client
	accepted atomic.Int64
}

// newClientTest returns a Client of a server which gives each connection to serve, and closes it
// after that. Both end with the test.
func newClientTest(t testing.TB, set *ClientSet, serve func(*net.TCPConn)) *clientTest {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ct := &clientTest{}
	set.poison = true
	var (
		serving sync.WaitGroup
		mu      sync.Mutex
		conns   []net.Conn
	)
	serving.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			ct.accepted.Add(1)
			mu.Lock()
			conns = append(conns, nc)
			mu.Unlock()
			serving.Go(func() {
				defer nc.Close()
				serve(nc.(*net.TCPConn))
			})
		}
	})
	ct.Client = &Client{Set: set, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	}}
	t.Cleanup(func() {
		ct.Discard(true)
		l.Close()
		mu.Lock()
		for _, nc := range conns {
			nc.Close()
		}
		mu.Unlock()
		serving.Wait()
		waitFor(t, "the client has no connections", func() bool { return ct.Connections() == 0 })
		set.clock.mu.Lock()
		defer set.clock.mu.Unlock()
		if n := set.idle.Load(); n != 0 && len(set.clock.conns) == 0 { // else another Client has them
			t.Errorf("%d connections are counted as idle after all were closed", n)
		}
	})
	return ct
}

// waitFor waits until ok returns true.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("it never became true that %s", what)
		}
	}
}

// replies returns a server that answers each request, once read whole, with the next of the
// given bytes, from the first again on each connection; then it closes the connection. "" waits
// until the client closes.
func replies(bytes ...string) func(*net.TCPConn) {
	return func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		for _, b := range bytes {
			if !readRequest(r) {
				return
			}
			if b == "" {
				io.Copy(io.Discard, r)
				return
			}
			io.WriteString(nc, b)
		}
	}
}

// always answers each request with the same bytes.
func always(bytes string) func(*net.TCPConn) {
	return func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		for readRequest(r) {
			io.WriteString(nc, bytes)
		}
	}
}

func readRequest(r *bufio.Reader) bool {
	req, err := http.ReadRequest(r)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

// hang reads what comes until the client closes.
func hang(nc *net.TCPConn) { io.Copy(io.Discard, nc) }

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// newRequest returns a request as a proxy has it.
func newRequest(t testing.TB, method, target string, body io.Reader) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: method, URL: u, Host: "shop.example", Header: make(http.Header), ProtoMajor: 1, ProtoMinor: 1}
	if body != nil {
		r.ContentLength = -1
		if s, ok := body.(*strings.Reader); ok {
			r.ContentLength = int64(s.Len())
		}
		r.Body = io.NopCloser(body)
	}
	return r.WithContext(t.Context())
}

// roundTrip sends a request and returns the response's status and body.
func (ct *clientTest) roundTrip(req *http.Request, call *Call) (int, string, error) {
	if call == nil {
		call = new(Call)
	}
	resp, err := ct.Do(req, call)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// want fails the test if a round trip has not this outcome.
func (ct *clientTest) want(t testing.TB, req *http.Request, status int, body string) {
	t.Helper()
	if s, b, err := ct.roundTrip(req, nil); err != nil || s != status || b != body {
		t.Fatalf("%s: want %d %q, got %d %q, %v", req.Method, status, body, s, b, err)
	}
}

// wantStage fails the test if err is not a *ClientError of that stage.
func wantStage(t testing.TB, err error, want Stage) *ClientError {
	t.Helper()
	e, ok := err.(*ClientError)
	if !ok {
		t.Fatalf("want an error of %q, got %v", want, err)
	}
	if e.Stage != want {
		t.Fatalf("want an error of %q, got %v", want, err)
	}
	return e
}
