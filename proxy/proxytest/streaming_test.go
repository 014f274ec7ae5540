package proxytest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"testing"
	"time"
)

func TestStreaming(t *testing.T) {
	b := Start(t, &Backend{Handler: Streaming(time.Millisecond, 3)})
	resp, body := fetch(t, client(t, false, nil), "GET", b.URL(), nil)
	if body != "data: 1\n\ndata: 2\n\ndata: 3\n\n" || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %q, %v", body, resp.Header)
	}
	// Without end, until the client goes.
	b = Start(t, &Backend{Handler: Streaming(time.Hour, 0)})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", b.URL(), nil)
	resp, err := client(t, false, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "data: 1\n" {
		t.Errorf("want the first event at once, got %q, %v", line, err)
	}
	cancel()
}

func TestDuplex(t *testing.T) {
	b := Start(t, &Backend{Handler: Duplex()})
	for _, http2 := range []bool{false, true} {
		r, w := io.Pipe()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", b.URL(), r)
		resp, err := client(t, http2, nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"ping", "pong"} {
			io.WriteString(w, want)
			got := make([]byte, 4)
			if _, err := io.ReadFull(resp.Body, got); string(got) != want {
				t.Errorf("want %q back, got %q, %v", want, got, err)
			}
		}
		w.Close()
		if rest, err := io.ReadAll(resp.Body); len(rest) != 0 || err != nil {
			t.Errorf("want the end, got %q, %v", rest, err)
		}
		resp.Body.Close()
	}
}
