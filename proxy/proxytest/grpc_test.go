package proxytest

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func TestGRPC(t *testing.T) {
	b := Start(t, &Backend{Handler: GRPC()})
	c := client(t, true, nil)
	var sent bytes.Buffer
	WriteMessage(&sent, []byte("one"))
	WriteMessage(&sent, nil)
	resp, body := fetch(t, c, "POST", b.URL()+"/s/m", bytes.NewReader(sent.Bytes()))
	if body != sent.String() || resp.Trailer.Get("Grpc-Status") != "0" || resp.Trailer.Get("Grpc-Message") != "2 messages" {
		t.Errorf("got %q, %v", body, resp.Trailer)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", b.URL(), nil)
	req.Header.Set("want-status", "7")
	req.Header.Set("want-trailers-only", "1")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Grpc-Status") != "7" {
		t.Errorf("got %v", resp.Header)
	}
	if resp, _ := fetch(t, client(t, false, nil), "POST", b.URL(), nil); resp.StatusCode != 505 {
		t.Errorf("want 505 for HTTP/1.1, got %d", resp.StatusCode)
	}
	if _, err := ReadMessage(strings.NewReader("\x01\x00\x00\x00\x00")); err == nil {
		t.Error("want an error for a compressed message")
	}
}
