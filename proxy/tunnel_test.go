package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

func TestWebSocket(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Handler: proxytest.WebSocket("chat-1")}, nil)
	for name, dial := range map[string]func() (net.Conn, error){
		"clear": func() (net.Conn, error) { return net.Dial("tcp", f.http()) },
		"TLS": func() (net.Conn, error) {
			return tls.Dial("tcp", f.https(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			ws, resp, err := proxytest.UpgradeWebSocket(conn, "a.example", "/chat", nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Header.Get("Backend-Name") != "chat-1" {
				t.Errorf("the backend's header is missing: %v", resp.Header)
			}
			if f.Tunnels() != 1 {
				t.Errorf("%d tunnels are open, want 1", f.Tunnels())
			}
			for _, message := range []string{"hello", strings.Repeat("x", 100_000)} {
				if err := ws.Write(proxytest.TextFrame, []byte(message)); err != nil {
					t.Fatal(err)
				}
				if _, got, err := ws.Read(); err != nil || string(got) != message {
					t.Fatalf("%d bytes came back as %d, %v", len(message), len(got), err)
				}
			}
			ws.Close()
			eventually(t, "the tunnel ends with its client", func() bool { return f.Tunnels() == 0 })
		})
	}
	for i := range 2 {
		x := f.exchange(t, i)
		if x.Status != 101 || !x.Upgraded || x.BytesIn < 100_000 || x.BytesOut < 100_000 {
			t.Errorf("recorded %d upgraded %t, %d bytes in and %d out", x.Status, x.Upgraded, x.BytesIn, x.BytesOut)
		}
	}
}

// Bytes that come with the handshake, before the backend agreed, must reach it only if it does:
// otherwise they would be a second request that no rule has seen.
func TestBytesBeforeTheUpgrade(t *testing.T) {
	early := "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
	handshake := "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

	t.Run("refused", func(t *testing.T) {
		b := &proxytest.Backend{Handler: proxytest.Echo("web-1")}
		f := singleBackend(t, b, nil)
		c := dialRaw(t, f.http())
		c.send(t, handshake+early)
		for _, path := range []string{"/chat", "/smuggled"} {
			_, body, err := c.receive(t, "GET")
			if path == "/smuggled" && errors.Is(err, io.ErrUnexpectedEOF) {
				break // the connection was closed: nobody has seen them
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := echoed(t, body); got.Path != path || len(got.Header["X-Forwarded-For"]) == 0 {
				t.Errorf("the backend got %s with %v, want %s through the proxy's rules", got.Path, got.Header, path)
			}
		}
	})
	t.Run("agreed", func(t *testing.T) {
		f := singleBackend(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
			buf := make([]byte, 4096)
			n, _ := c.Read(buf)
			if strings.Contains(string(buf[:n]), "smuggled") {
				_, _ = io.WriteString(c, "HTTP/1.1 500 Too Early\r\nContent-Length: 0\r\n\r\n")
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(c, c)
		}}, nil)
		c := dialRaw(t, f.http())
		c.send(t, handshake+early)
		if resp, _, err := c.receive(t, "GET"); err != nil || resp.StatusCode != 101 {
			t.Fatalf("got %v, %v, want 101", resp, err)
		}
		got := make([]byte, len(early))
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != early {
			t.Errorf("the bytes came back as %q, %v", got, err)
		}
	})
}

// Only WebSocket is switched to. golang/go#80416: an h2c upgrade would carry any number of
// requests past the rules.
func TestOtherUpgradesAreOrdinaryRequests(t *testing.T) {
	f := echoFront(t, nil)
	for _, upgrade := range []string{"h2c", "TLS/1.0", "websocket, h2c", "foo"} {
		c := dialRaw(t, f.http())
		c.send(t, "GET / HTTP/1.1", "Host: a.example", "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+upgrade, "HTTP2-Settings: AAMAAABkAAQAAP__", "", "")
		resp, body, err := c.receive(t, "GET")
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: got %v, %v", upgrade, resp, err)
		}
		e := echoed(t, body)
		for _, name := range []string{"Upgrade", "Connection", "Http2-Settings"} {
			if e.Header[name] != nil {
				t.Errorf("%s: %s: %v reached the backend", upgrade, name, e.Header[name])
			}
		}
	}
}

// golang/go#80875: a failed handshake must not leave the backend's connection behind.
func TestRefusedHandshakeLeavesNothing(t *testing.T) {
	b := &proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{
		Bytes: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: something\r\n\r\n", End: proxytest.Hang,
	})}
	f := singleBackend(t, b, nil)
	c := dialRaw(t, f.http())
	c.send(t, "GET / HTTP/1.1", "Host: a.example", "Connection: Upgrade", "Upgrade: websocket", "", "")
	if resp, _, err := c.receive(t, "GET"); err != nil || resp.StatusCode != 502 {
		t.Fatalf("got %v, %v, want 502", resp, err)
	}
	eventually(t, "the backend's connection is closed", func() bool { return b.Open() == 0 })
}

func TestTunnelEndsWithItsBackend(t *testing.T) {
	b := &proxytest.Backend{Handler: proxytest.WebSocket("chat-1")}
	f := singleBackend(t, b, func(f *front) { f.tunnels.linger = time.Millisecond })
	ws, _, err := proxytest.DialWebSocket(t.Context(), f.http(), "a.example", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	b.CloseConnections()
	if _, _, err := ws.Read(); err == nil {
		t.Error("the client still waits for a backend that is gone")
	}
	eventually(t, "the tunnel ends", func() bool { return f.Tunnels() == 0 })
}
