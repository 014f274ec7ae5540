package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const upgradeRequest = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// Nothing that the client sends behind the request is lost, however it is cut, and the limits of
// the server are over.
func TestHijack(t *testing.T) {
	early := strings.Repeat("early", 2000) // more than a buffer
	for _, piece := range []int{1 << 20, 4096, len(upgradeRequest), 700} {
		s, address := start(t, &Server{IdleTimeout: 50 * time.Millisecond, HeadTimeout: 10 * time.Second}, func(w http.ResponseWriter, r *http.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
				t.Errorf("Write after Hijack: %v", err)
			}
			if _, err := r.Body.Read(make([]byte, 1)); err == nil {
				t.Error("the body can be read after Hijack")
			}
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			_, _ = io.Copy(c, rw)
		})
		c := dial(t, address)
		go func() {
			sent := upgradeRequest + early
			for sent != "" {
				n := min(piece, len(sent))
				io.WriteString(c, sent[:n])
				sent = sent[n:]
				<-time.After(2 * time.Millisecond)
			}
			<-time.After(200 * time.Millisecond)
			io.WriteString(c, "late")
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if want := "HTTP/1.1 101 Switching Protocols\r\n\r\n" + early + "late"; string(got) != want || err != nil {
			t.Errorf("in pieces of %d: got %d bytes, want %d: %v", piece, len(got), len(want), err)
		}
		if n := s.Connections(); n != 0 {
			t.Errorf("the server still knows of %d connections", n)
		}
	}
}

func TestHijackBuffered(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if n := rw.Reader.Buffered(); n != len("early") {
			t.Errorf("got %d bytes buffered, want %d", n, len("early"))
		}
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("second Hijack: %v", err)
		}
	})
	exchange(t, address, upgradeRequest+"early")
}

// What was written before is sent before.
func TestHijackAfterWrite(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "hello")
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(c, "world")
		c.Close()
	})
	if got := exchange(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\nhelloworld") {
		t.Errorf("got %q", got)
	}
}

// A handler that panics after Hijack leaves the connection to whom it has given it.
func TestHijackAndPanic(t *testing.T) {
	conns := make(chan net.Conn, 1)
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		conns <- c
		panic("after Hijack")
	})
	c := dial(t, address)
	io.WriteString(c, upgradeRequest)
	go func() {
		c := <-conns
		<-time.After(50 * time.Millisecond)
		io.WriteString(c, "still here")
		c.Close()
	}()
	if got, err := io.ReadAll(c); string(got) != "still here" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// A connection whose client offered another protocol, and did not wait for the answer, is closed
// when the handler does not agree. Else its bytes would be read as requests.
func TestUpgradeRefused(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		// As the proxy does before it forwards.
		delete(r.Header, "Upgrade")
		delete(r.Header, "Connection")
	})
	got := exchange(t, address, upgradeRequest+"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n")
	if strings.Count(got, "HTTP/1.1 ") != 1 || !strings.Contains(got, "Connection: close\r\n") {
		t.Errorf("got %q, want one response with Connection: close", got)
	}

	// One that does wait is kept.
	c := dial(t, address)
	r := bufio.NewReader(c)
	for range 2 {
		io.WriteString(c, upgradeRequest)
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.Close {
			t.Fatalf("got %v, %v", resp, err)
		}
	}
}

func TestHTTP2HandOver(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	_, address := start(t, &Server{HTTP2: func(c net.Conn, read []byte) {
		defer c.Close()
		rest := make([]byte, len(preface+"frames")-len(read))
		_, err := io.ReadFull(c, rest)
		if got := string(read) + string(rest); got != preface+"frames" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		io.WriteString(c, "settings")
	}}, echo)
	for _, piece := range []int{1000, 18, 20, 1} {
		c := dial(t, address)
		sent := preface + "frames"
		for sent != "" {
			n := min(piece, len(sent))
			io.WriteString(c, sent[:n])
			sent = sent[n:]
			<-time.After(time.Millisecond)
		}
		if got, err := io.ReadAll(c); string(got) != "settings" || err != nil {
			t.Errorf("in pieces of %d: got %q, %v", piece, got, err)
		}
	}
	// It is for the beginning of a connection only.
	got := exchange(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"+preface)
	if !strings.Contains(got, "HTTP/1.1 505 ") {
		t.Errorf("got %q, want 505 for a preface after a request", got)
	}
}
