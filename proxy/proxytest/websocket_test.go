package proxytest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

func TestWebSocket(t *testing.T) {
	b := Start(t, &Backend{Handler: WebSocket("ws")})
	ws, resp, err := DialWebSocket(t.Context(), b.Addr().String(), "ws.example", "/chat", http.Header{"Sec-WebSocket-Protocol": {"v2, v1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if resp.Header.Get("Sec-WebSocket-Protocol") != "v2" || resp.Header.Get("Backend-Name") != "ws" {
		t.Errorf("got %v", resp.Header)
	}
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		want := make([]byte, n)
		letters{}.Read(want)
		go ws.Write(BinaryFrame, want)
		if op, got, err := ws.Read(); op != BinaryFrame || !bytes.Equal(got, want) || err != nil {
			t.Fatalf("want %d bytes back, got frame %d of %d, %v", n, op, len(got), err)
		}
	}
	ws.Write(PingFrame, []byte("p"))
	if op, got, err := ws.Read(); op != PongFrame || string(got) != "p" {
		t.Errorf("want a pong, got %d, %q, %v", op, got, err)
	}
	// A message in two frames comes back as one.
	ws.conn.Write([]byte{0x01, 0x81, 0, 0, 0, 0, 'a', 0x80, 0x81, 0, 0, 0, 0, 'b'})
	if op, got, err := ws.Read(); op != TextFrame || string(got) != "ab" {
		t.Errorf("want the joined message, got %d, %q, %v", op, got, err)
	}
	ws.Write(CloseFrame, []byte{3, 232})
	if op, got, err := ws.Read(); op != CloseFrame || !bytes.Equal(got, []byte{3, 232}) {
		t.Errorf("want the close frame back, got %d, %v, %v", op, got, err)
	}
	if _, _, err := ws.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("want the end, got %v", err)
	}
	if resp, _ := fetch(t, client(t, false, nil), "GET", b.URL(), nil); resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("want 426, got %d", resp.StatusCode)
	}
	// A frame that is not masked, or too large, ends the connection.
	for _, frame := range [][]byte{{0x81, 0x01, 'a'}, {0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, {0xc1, 0x80, 1, 2, 3, 4}} {
		ws, _, err := DialWebSocket(t.Context(), b.Addr().String(), "ws.example", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		ws.conn.Write(frame)
		if _, _, err := ws.Read(); err == nil {
			t.Errorf("% x: want the end", frame)
		}
		ws.Close()
	}
	echo := Start(t, &Backend{})
	if _, resp, err := DialWebSocket(t.Context(), echo.Addr().String(), "a", "/", nil); err == nil || resp == nil || resp.StatusCode != 200 {
		t.Errorf("want an error with the response, got %v, %v", resp, err)
	}
}

func TestAcceptKey(t *testing.T) {
	if got := acceptKey("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %s", got)
	}
}
