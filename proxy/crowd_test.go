package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// D23: clients that keep connections give them up for those that come.
func TestMaxConnections(t *testing.T) {
	if testEngine == NetHTTP {
		t.Skip("it closes no connection that waits")
	}
	const most = 3
	f := echoFront(t, func(f *front) { f.server.MaxConnections = most })
	for n := range 10 {
		// One after the other on both ports: what waits on one makes room for the other.
		c := dialRaw(t, f.http())
		if n%2 == 1 {
			s := tls.Client(dialRaw(t, f.https()), &tls.Config{InsecureSkipVerify: true})
			c = &raw{s, c.r}
			c.r.Reset(s)
		}
		c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
		if resp, _, err := c.receive(t, "GET"); err != nil || resp.StatusCode != 200 {
			t.Fatalf("connection %d: got %v, %v", n, resp, err)
		}
		// Each port asks for itself: one too many for the second.
		if open := f.server.connections(); open > most+1 {
			t.Errorf("%d connections, want %d at most", open, most)
		}
	}
}

// What is no connection of the HTTP/1 server any more counts all the same, and nobody who has
// something under way loses it.
func TestMaxConnectionsCountsAll(t *testing.T) {
	g := newGate()
	var waited atomic.Int64
	f := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey), rule("a.example", "/chat", chatKey)})}, func(f *front) {
		f.server.MaxConnections = 3
		f.server.Waited = func(listener string, d time.Duration) {
			if listener == "http" {
				waited.Add(int64(d))
			}
		}
	})
	f.lead(t, webKey, &proxytest.Backend{Handler: g})
	f.lead(t, chatKey, &proxytest.Backend{Handler: proxytest.WebSocket("chat-1")})

	busy := client(t, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = true })
	answered := make(chan error, 1)
	go func() {
		resp, err := busy.Do(request(t, "GET", "https://"+f.https(), nil))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		answered <- err
	}()
	<-g.arrived
	ws, _, err := proxytest.DialWebSocket(t.Context(), f.http(), "a.example", "/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	slow := dialRaw(t, f.http())
	slow.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	<-g.arrived
	if n := f.server.connections(); n != 3 {
		t.Fatalf("a tunnel, a request, and one over HTTP/2 are %d connections, want 3", n)
	}
	late := dialRaw(t, f.http())
	late.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	eventually(t, "the port stops accepting", func() bool { return waited.Load() > 0 })
	select {
	case <-g.arrived:
		t.Fatal("a fourth connection is served")
	default:
	}
	if err := ws.Write(proxytest.TextFrame, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.Read(); err != nil || string(got) != "still here" {
		t.Fatalf("the tunnel was cut: %q, %v", got, err)
	}
	ws.Close()
	<-g.arrived // the late one
	close(g.open)
	for name, c := range map[string]*raw{"the slow one": slow, "the late one": late} {
		if _, body, err := c.receive(t, "GET"); err != nil || !strings.Contains(body, "done") {
			t.Errorf("%s: got %q, %v", name, body, err)
		}
	}
	if err := <-answered; err != nil {
		t.Errorf("over HTTP/2: %v", err)
	}
}

// A port that accepts nothing can be shut down.
func TestMaxConnectionsAndShutdown(t *testing.T) {
	g := newGate()
	var waited atomic.Bool
	f := singleBackend(t, &proxytest.Backend{Handler: g}, func(f *front) {
		f.server.MaxConnections = 1
		f.server.Waited = func(string, time.Duration) { waited.Store(true) }
	})
	c := dialRaw(t, f.http())
	c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	<-g.arrived
	eventually(t, "the port stops accepting", waited.Load)
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(t.Context()) }()
	eventually(t, "the port closes", func() bool {
		c, err := net.Dial("tcp", f.http())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(g.open)
	if _, body, err := c.receive(t, "GET"); err != nil || body != "done" {
		t.Errorf("the request under way: got %q, %v", body, err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
