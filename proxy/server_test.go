package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

func TestListenNamesThePort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f := newFront(t, Config{}, nil)
	s := &Server{Proxy: f.Proxy, HTTPAddress: "127.0.0.1:0", HTTPSAddress: taken.Addr().String(), TLS: f.server.TLS}
	if err := s.Listen(); err == nil || !strings.Contains(err.Error(), "https port") {
		t.Errorf("got error %v, want one that names the https port", err)
	}
}

// gate is a backend whose requests wait until they are let through.
type gate struct {
	arrived, open chan struct{}
}

func newGate() gate { return gate{make(chan struct{}, 100), make(chan struct{})} }

func (g gate) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	g.arrived <- struct{}{}
	<-g.open
	_, _ = io.WriteString(w, "done")
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	g := newGate()
	f := singleBackend(t, &proxytest.Backend{Handler: g}, nil)
	answers := make(chan error, 2)
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		r := request(t, "GET", base+"/", nil)
		go func() {
			resp, err := c.Do(r.WithContext(context.WithoutCancel(r.Context())))
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil && (resp.StatusCode != 200 || string(body) != "done") {
					err = fmt.Errorf("got %d %q", resp.StatusCode, body)
				}
			}
			answers <- err
		}()
		<-g.arrived
	})
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(t.Context()) }()
	eventually(t, "the port closes", func() bool {
		c, err := net.Dial("tcp", f.http())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-down:
		t.Fatalf("Shutdown returned %v while requests were in flight", err)
	default:
	}
	close(g.open)
	for range 2 {
		if err := <-answers; err != nil {
			t.Errorf("a request in flight was lost: %v", err)
		}
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// While load balancers have not heard yet, new connections are served, and each response asks
// the client to go elsewhere.
func TestShutdownDelay(t *testing.T) {
	f := echoFront(t, func(f *front) { f.server.ShutdownDelay = time.Hour })
	idle := dialRaw(t, f.http())
	ask := func(c *raw) (*http.Response, error) {
		c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
		resp, _, err := c.receive(t, "GET")
		return resp, err
	}
	if resp, err := ask(idle); err != nil || resp.Close {
		t.Fatalf("before: %v, %v, want a response that keeps the connection", resp, err)
	}
	h2 := client(t, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = true })
	do(t, h2, request(t, "GET", "https://"+f.https(), nil))

	ctx, cancel := context.WithCancel(t.Context())
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(ctx) }()
	eventually(t, "draining begins", f.draining.Load)

	for name, c := range map[string]*raw{"an idle connection": idle, "a new connection": dialRaw(t, f.http())} {
		if resp, err := ask(c); err != nil || resp.StatusCode != 200 || !resp.Close {
			t.Errorf("%s: %v, %v, want 200 with Connection: close", name, resp, err)
		}
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Errorf("%s: %v, want that it is closed then", name, err)
		}
	}
	for range 3 {
		if resp, _ := do(t, h2, request(t, "GET", "https://"+f.https(), nil)); resp.StatusCode != 200 || resp.Header.Get("Connection") != "" {
			t.Errorf("HTTP/2: got %d %v, want 200 without a Connection field", resp.StatusCode, resp.Header)
		}
	}
	cancel() // the delay is over
	<-down
}

func TestShutdownWaitsForTunnels(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Handler: proxytest.WebSocket("chat-1")}, nil)
	ws, _, err := proxytest.DialWebSocket(t.Context(), f.http(), "a.example", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(t.Context()) }()
	eventually(t, "draining begins", f.draining.Load)
	if err := ws.Write(proxytest.TextFrame, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := ws.Read(); err != nil || string(got) != "still here" {
		t.Fatalf("a tunnel was cut: %q, %v", got, err)
	}
	ws.Close()
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestDrainTimeoutCuts(t *testing.T) {
	g := newGate()
	defer close(g.open)
	f := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey), rule("a.example", "/chat", chatKey)})},
		func(f *front) { f.server.DrainTimeout = 50 * time.Millisecond })
	f.lead(t, webKey, &proxytest.Backend{Handler: g})
	f.lead(t, chatKey, &proxytest.Backend{Handler: proxytest.WebSocket("chat-1")})
	ws, _, err := proxytest.DialWebSocket(t.Context(), f.http(), "a.example", "/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := dialRaw(t, f.http())
	c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	<-g.arrived
	err = f.server.Shutdown(t.Context())
	if err == nil || !strings.Contains(err.Error(), "1 tunnels were cut") || !strings.Contains(err.Error(), "http port: requests were cut") {
		t.Errorf("Shutdown: %v, want what was cut", err)
	}
	if _, _, err := ws.Read(); err == nil {
		t.Error("the tunnel is still open")
	}
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("the request got an answer")
	}
}
