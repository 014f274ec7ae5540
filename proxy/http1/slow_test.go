package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Slow clients of all kinds lose their connections (slowloris, slow POST, R-U-Dead-Yet, slow read).
// Where somebody must not be cut, the timeout is a second: a busy machine may stop the test for
// most of it. Such tests run beside one another.

// drip writes pieces of s to c, one every 20 ms, until something comes back or the connection ends;
// then it returns all that came.
func drip(t *testing.T, c net.Conn, s string) string {
	t.Helper()
	stop := make(chan bool)
	done := make(chan bool)
	go func() {
		defer close(done)
		for i := range len(s) {
			if _, err := c.Write([]byte{s[i]}); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	answer, err := io.ReadAll(c)
	close(stop)
	<-done
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("after %q: %v", answer, err)
	}
	return string(answer)
}

func TestSlowHead(t *testing.T) {
	t.Parallel()
	_, address := start(t, &Server{HeadTimeout: time.Second}, func(http.ResponseWriter, *http.Request) {
		t.Error("a request was served")
	})
	for name, tt := range map[string]struct{ sent, want string }{
		"silent":       {"", ""},
		"request line": {"GET /" + strings.Repeat("x", 5000), "HTTP/1.1 408 "},
		"fields":       {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 1000), "HTTP/1.1 408 "},
		"empty line":   {"\r\n" + strings.Repeat("x", 1000), "HTTP/1.1 408 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := drip(t, dial(t, address), tt.sent)
			if !strings.HasPrefix(answer, tt.want) || tt.want == "" && answer != "" {
				t.Errorf("got %q, want %q", answer, tt.want)
			}
		})
	}
}

// A head that comes slowly after a first request has its time from its first byte.
func TestSlowSecondHead(t *testing.T) {
	t.Parallel()
	_, address := start(t, &Server{HeadTimeout: time.Second}, echo)
	c := dial(t, address)
	r := bufio.NewReader(c)
	for range 2 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		<-time.After(1200 * time.Millisecond) // longer than the head may take: this is idle time
	}
	io.WriteString(c, "GET / HT")
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("got %v, %v; want 408", resp, err)
	}
}

func TestIdleTimeout(t *testing.T) {
	_, address := start(t, &Server{IdleTimeout: 200 * time.Millisecond}, echo)
	c := dial(t, address)
	r := bufio.NewReader(c)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v; want the end of the connection and no more", rest, err)
	}
}

// A client that sends nothing of its body, or too little, is not waited for.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	const length = 76 // more than comes within a timeout
	for name, tt := range map[string]struct {
		timeout time.Duration
		rate    int
		rest    string
		want    error
	}{
		"silent":            {200 * time.Millisecond, 0, "", errBodyTimeout},
		"too slow":          {time.Second, 0, strings.Repeat("x", length-1), errBodySlow},
		"slow but no limit": {time.Second, -1, strings.Repeat("x", length-1), nil},
	} {
		for _, framing := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n1", length), fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n1", length)} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				result := make(chan error, 1)
				_, address := start(t, &Server{BodyTimeout: tt.timeout, MinBodyRate: tt.rate}, func(w http.ResponseWriter, r *http.Request) {
					n, err := io.CopyN(io.Discard, r.Body, length)
					if err == nil && n != length {
						t.Errorf("got %d bytes", n)
					}
					result <- err
					w.WriteHeader(http.StatusRequestTimeout)
				})
				c := dial(t, address)
				io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+framing)
				rest := tt.rest
				if strings.HasPrefix(framing, "T") && tt.want == nil {
					rest += "\r\n0\r\n\r\n"
				}
				answer := make(chan string, 1)
				go func() { answer <- drip(t, c, rest) }()
				err := <-result
				if !errors.Is(err, tt.want) || tt.want != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got error %v, want %v", err, tt.want)
				}
				c.CloseWrite()
				if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 408") {
					t.Errorf("got answer %q", got)
				}
			})
		}
	}
}

// After the response has begun a slow body may be half of a dialogue.
func TestSlowDialogue(t *testing.T) {
	t.Parallel()
	const pieces = 65
	_, address := start(t, &Server{BodyTimeout: time.Second}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(pieces))
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		buf := make([]byte, 1)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	})
	c := dial(t, address)
	r := bufio.NewReader(c)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", pieces)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1)
	for range pieces {
		<-time.After(20 * time.Millisecond)
		io.WriteString(c, "x")
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			t.Fatal(err)
		}
	}
}

// A handler that sets a deadline replaces the limits of the server.
func TestOwnDeadline(t *testing.T) {
	result := make(chan error, 2)
	_, address := start(t, &Server{BodyTimeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		}
		_, err := io.ReadAll(r.Body)
		result <- err
	})
	c := dial(t, address)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}

	// It is for that request alone.
	c = dial(t, address)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxPOST /next HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
	if err := <-result; err != nil {
		t.Error(err)
	}
	<-time.After(200 * time.Millisecond)
	io.WriteString(c, "y")
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// A client that takes nothing of a response is cut, and holds little memory until then.
func TestStalledReader(t *testing.T) {
	result := make(chan error, 1)
	var sent atomic.Int64
	_, address := start(t, &Server{WriteTimeout: 200 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1073741824")
		buf := make([]byte, 32<<10)
		for {
			n, err := w.Write(buf)
			sent.Add(int64(n))
			if err != nil {
				result <- err
				return
			}
		}
	})
	c := dial(t, address)
	c.SetReadBuffer(4 << 10)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken from the handler", n) // the kernel's buffers, no more
	}
}

// A client that takes a little now and then is not cut, even if one Write takes very long.
func TestSlowReader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	const size = 8 << 20
	result := make(chan error, 1)
	_, address := start(t, &Server{WriteTimeout: time.Second}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, err := w.Write(make([]byte, size))
		result <- err
	})
	c := dial(t, address)
	c.SetReadBuffer(16 << 10)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	go func() {
		buf := make([]byte, 128<<10)
		for {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
	}()
	if err := <-result; err != nil {
		t.Error(err)
	}
}
