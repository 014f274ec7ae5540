package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// late opens a connection to a port, and begins a shutdown before anything was sent.
func (f *front) late(t *testing.T, port string) (*raw, <-chan error) {
	t.Helper()
	var in *entrance
	for _, p := range f.server.ports {
		if p.name == port {
			in = p.listener
		}
	}
	c := dialRaw(t, in.Addr().String())
	eventually(t, "the connection is accepted", func() bool { return in.begun.len() == 1 })
	down := make(chan error, 1)
	go func() { down <- f.server.Shutdown(t.Context()) }()
	eventually(t, "the port is closed", in.retired.Load)
	<-time.After(150 * time.Millisecond) // a client that takes its time
	return c, down
}

// TestShutdownServesWhatHasNotBegun: connections that had sent nothing yet were closed at once when
// the ports closed, where a host is passed on or the PROXY protocol is on; others have a second.
func TestShutdownServesWhatHasNotBegun(t *testing.T) {
	if testEngine == NetHTTP {
		t.Skip("net/http answers no request that it reads after Shutdown was called")
	}
	passed, _ := passing(nil)
	behind := behindBalancer("127.0.0.0/8")
	both := passed
	both.Listener = behind.Listener
	for _, tt := range []struct {
		name, port, header string
		config             Config
	}{
		{"a ClientHello", "https", "", passed},
		{"a PROXY header", "http", header1, behind},
		{"a PROXY header and a ClientHello", "https", header1, both},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := echoFront(t, nil)
			f.serve(t, tt.config)
			c, down := f.late(t, tt.port)
			c.send(t, tt.header)
			if tt.port == "https" {
				secure := tls.Client(c.Conn, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
				c = &raw{secure, bufio.NewReader(secure)}
			}
			c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
			if resp, _, err := c.receive(t, "GET"); err != nil || resp.StatusCode != 200 || !resp.Close {
				t.Errorf("got %v, %v, want 200 with Connection: close", resp, err)
			}
			if err := <-down; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

// TestShutdownPassesOnWhatHasNotBegun: the same for a connection that is passed on, which Shutdown
// then waits for as a tunnel, without the deadline that its beginning had.
func TestShutdownPassesOnWhatHasNotBegun(t *testing.T) {
	f, _ := passFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "passed") }))
	config, _ := passing(nil)
	f.serve(t, config)
	c, down := f.late(t, "https")
	secure := tls.Client(c.Conn, &tls.Config{ServerName: "p.example", InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	<-time.After(lastBegin + 200*time.Millisecond) // past the deadline of what has not begun
	select {
	case err := <-down:
		t.Fatalf("Shutdown returned %v before the tunnel ended", err)
	default:
	}
	_, _ = io.WriteString(secure, "GET / HTTP/1.1\r\nHost: p.example\r\nConnection: close\r\n\r\n")
	if got, err := io.ReadAll(secure); err != nil || !strings.HasSuffix(string(got), "passed") {
		t.Errorf("got %q, %v", got, err)
	}
	secure.Close()
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// TestShutdownOfSilentConnections: who sends nothing does not hold a shutdown up for long, and is
// no refusal.
func TestShutdownOfSilentConnections(t *testing.T) {
	var seen refused
	f := echoFront(t, func(f *front) { f.server.Refused = seen.note })
	config, _ := passing(nil)
	f.serve(t, config)
	c, down := f.late(t, "https")
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("error %v, want the end", err)
	}
	select {
	case err := <-down:
		if err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	case <-time.After(defaultHeadTimeout - 2*time.Second):
		t.Error("Shutdown waits for a silent client")
	}
	if got := seen.last(); got != "" {
		t.Errorf("told as refused: %s", got)
	}
}
