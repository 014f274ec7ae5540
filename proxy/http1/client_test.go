package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestClientReuses(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, always(okReply))
	for range 100 {
		ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
		ct.want(t, newRequest(t, "POST", "/", strings.NewReader("body")), 200, "ok")
	}
	if n := ct.accepted.Load(); n != 1 {
		t.Errorf("want one connection, got %d", n)
	}
	// A response may be there before the goroutine that sent the body has run again. Until then
	// the connection is in use.
	for range 100 {
		ct.want(t, newRequest(t, "POST", "/", io.MultiReader(strings.NewReader("body"))), 200, "ok")
		waitFor(t, "the connection is idle", func() bool { return ct.Set.idle.Load() == 1 })
	}
	if n := ct.accepted.Load(); n != 1 {
		t.Errorf("want one connection, got %d", n)
	}
}

func TestClientWrites(t *testing.T) {
	heads := make(chan string, 1)
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		buf := make([]byte, 4096)
		n, _ := nc.Read(buf)
		heads <- string(buf[:n])
		io.WriteString(nc, okReply)
	})
	req := newRequest(t, "PUT", "/a%2Fb?x=1;y", strings.NewReader("body"))
	req.Header["X-One"] = []string{"1", "2"}
	req.Header["content-length"] = []string{"99"}
	req.Header["Transfer-Encoding"] = []string{"gzip"}
	req.Header["User-Agent"] = nil
	ct.want(t, req, 200, "ok")
	want := "PUT /a%2Fb?x=1;y HTTP/1.1\r\nHost: shop.example\r\nX-One: 1\r\nX-One: 2\r\nContent-Length: 4\r\n\r\nbody"
	if got := <-heads; got != want {
		t.Errorf("want\n%q, got\n%q", want, got)
	}
}

// What cannot be written so that it is read as it is meant is not written.
func TestClientRefuses(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, always(okReply))
	for name, change := range map[string]func(*http.Request){
		"method":         func(r *http.Request) { r.Method = "B AD" },
		"CONNECT":        func(r *http.Request) { r.Method = "CONNECT" },
		"line break":     func(r *http.Request) { r.Header["A"] = []string{"b\r\nC: d"} },
		"LF":             func(r *http.Request) { r.Header["A"] = []string{"b\n"} },
		"CR":             func(r *http.Request) { r.Header["A"] = []string{"\r"} },
		"NUL":            func(r *http.Request) { r.Header["A"] = []string{"\x00"} },
		"field name":     func(r *http.Request) { r.Header["A "] = []string{"b"} },
		"no field name":  func(r *http.Request) { r.Header[""] = []string{"b"} },
		"colon in name":  func(r *http.Request) { r.Header["A:"] = []string{"b"} },
		"space in path":  func(r *http.Request) { r.URL.Opaque = "/a b" },
		"CRLF in path":   func(r *http.Request) { r.URL.Opaque = "/ HTTP/1.1\r\nA: b" },
		"space in query": func(r *http.Request) { r.URL.RawQuery = "a b" },
		"host":           func(r *http.Request) { r.Host = "a b" },
		"host lines":     func(r *http.Request) { r.Host = "a\r\nB: c" },
	} {
		req := newRequest(t, "GET", "/", nil)
		change(req)
		_, _, err := ct.roundTrip(req, nil)
		if e, ok := err.(*ClientError); !ok || e.Stage != StageRefused {
			t.Errorf("%s: want it refused, got %v", name, err)
		}
	}
	if ct.accepted.Load() != 0 {
		t.Error("a connection was made for nothing")
	}
}

func TestClientDialFails(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, hang)
	broken := errors.New("no route")
	ct.Dial = func(ctx context.Context) (net.Conn, error) { return nil, broken }
	_, _, err := ct.roundTrip(newRequest(t, "POST", "/", strings.NewReader("x")), nil)
	if e := wantStage(t, err, StageDialing); !errors.Is(err, broken) || e.BodyRead || !e.Unsent {
		t.Errorf("got %+v", e)
	}
}
