package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Requests after the first are served within syscall.RawConn.Read, where no wake-up may get lost.

// Whatever requests follow one another, in whatever pieces they come and with whatever pauses, each is
// answered, and in order. A wake-up that is lost shows as a time-out.
func TestPipelines(t *testing.T) {
	_, address := start(t, &Server{IdleTimeout: time.Hour, MinBodyRate: -1}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "%s %d", r.URL.Path, len(body))
	})
	count := 2000
	if testing.Short() {
		count = 300
	}
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 1))
		var sent strings.Builder
		var want []string
		for i := range count {
			path, body := fmt.Sprintf("/%d", i), 0
			switch random.IntN(10) {
			case 0:
				body = random.IntN(6000)
				fmt.Fprintf(&sent, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, body, strings.Repeat("x", body))
			case 1:
				body = random.IntN(100) + 1
				fmt.Fprintf(&sent, "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", path, body, strings.Repeat("x", body))
			case 2:
				fmt.Fprintf(&sent, "GET %s HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", path, strings.Repeat("x", random.IntN(6000)))
			default:
				fmt.Fprintf(&sent, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
			}
			want = append(want, fmt.Sprintf("%s %d", path, body))
		}
		c := dial(t, address)
		_ = c.SetDeadline(time.Now().Add(60 * time.Second))
		pace := []int{1 << 20, 5000, 100, 40}[seed%4]
		wg.Go(func() {
			for rest := sent.String(); rest != ""; {
				n := min(len(rest), random.IntN(pace)+1)
				if seed%2 == 0 {
					n = min(len(rest), pace) // as many as a buffer, or nearly so
				}
				if _, err := io.WriteString(c, rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
				if random.IntN(200) == 0 {
					<-time.After(time.Duration(random.IntN(3)) * time.Millisecond)
				}
			}
		})
		wg.Go(func() {
			r := bufio.NewReader(c)
			for _, w := range want {
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Errorf("want %s: %v", w, err)
					return
				}
				if got, err := io.ReadAll(resp.Body); string(got) != w || err != nil {
					t.Errorf("got %q, %v; want %q", got, err, w)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Requests that come while the handler is at work, and those that come just as it ends, are seen.
func TestArrivalsMeetWaits(t *testing.T) {
	_, address := start(t, &Server{IdleTimeout: time.Hour}, func(w http.ResponseWriter, r *http.Request) {})
	var wg sync.WaitGroup
	for range 8 {
		c := dial(t, address)
		wg.Go(func() {
			r := bufio.NewReader(c)
			for i := range 3000 {
				// Two at once, then one, sent before and after the first answer is read.
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if i%3 == 0 {
					io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				}
				for range 1 + (3-i%3)/3 {
					if _, err := http.ReadResponse(r, nil); err != nil {
						t.Errorf("request %d: %v", i, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// second sends a first request on c, waits for its answer and returns the reader of the rest.
func second(t *testing.T, c net.Conn) *bufio.Reader {
	t.Helper()
	io.WriteString(c, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
	r := bufio.NewReader(c)
	if _, err := http.ReadResponse(r, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// The end of a connection that comes with a request is seen, though no byte tells of it.
func TestRequestAndEnd(t *testing.T) {
	s, address := start(t, &Server{IdleTimeout: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-time.After(30 * time.Millisecond) // the end comes meanwhile
		}
	})
	for _, path := range []string{"/", "/slow"} {
		for range 20 {
			c := dial(t, address)
			r := second(t, c)
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
			c.CloseWrite()
			if _, err := http.ReadResponse(r, nil); err != nil {
				t.Error(err)
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("got %v, want the end", err)
			}
		}
	}
	until(t, func() bool { return s.Connections() == 0 })
}

// An idle connection lives as long as it should, and not longer.
func TestIdleLonger(t *testing.T) {
	t.Parallel()
	_, address := start(t, &Server{IdleTimeout: 1200 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {})
	c := dial(t, address)
	r := second(t, c)
	for range 4 {
		<-time.After(600 * time.Millisecond) // looked at once, and not found to be over
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.Close {
			t.Fatalf("got %v, %v", resp, err)
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

// A connection may be taken over by any request.
func TestHijackLater(t *testing.T) {
	for name, request := range map[string]string{
		"upgrade": upgradeRequest,
		"plain":   "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"body":    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			s, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/first" {
					return
				}
				io.Copy(io.Discard, r.Body)
				c, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				if _, ok := c.(*net.TCPConn); !ok {
					t.Errorf("got a %T", c)
				}
				_, err = io.Copy(c, rw) // within the handler
				if err != nil {
					t.Error(err)
				}
				c.Close()
			})
			c := dial(t, address)
			r := second(t, c)
			io.WriteString(c, request+"early")
			<-time.After(50 * time.Millisecond)
			io.WriteString(c, " late")
			c.CloseWrite()
			if got, err := io.ReadAll(r); string(got) != "early late" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			until(t, func() bool { return s.Connections() == 0 })
		})
	}
}

// A handler within the read can be told to end, and by all the ways that there are.
func TestLaterHandlerEnds(t *testing.T) {
	for name, do := range map[string]func(s *Server, c *net.TCPConn){
		"client closes": func(s *Server, c *net.TCPConn) { c.Close() },
		"server closes": func(s *Server, c *net.TCPConn) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			entered, noticed := make(chan bool, 1), make(chan error, 1)
			s, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/first" {
					entered <- true
					<-r.Context().Done()
					noticed <- r.Context().Err()
				}
			})
			c := dial(t, address)
			second(t, c)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			<-entered
			do(s, c)
			if err := <-noticed; err != context.Canceled {
				t.Errorf("got %v", err)
			}
			until(t, func() bool { return s.Connections() == 0 })
		})
	}
}

// What ends a connection does so after a later request too.
func TestLaterEnds(t *testing.T) {
	_, address := start(t, &Server{ReasonHeader: "Reason"}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/deadline":
			http.NewResponseController(w).SetReadDeadline(time.Now())
		}
	})
	for _, tt := range []struct{ send, want string }{
		{"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", "Reason: bad-field"},
		{"junk\r\n\r\n", "Reason: bad-request-line"},
		{"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "Connection: close"},
		{"GET /abort HTTP/1.1\r\nHost: a\r\n\r\n", "hello"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "Connection: close"},
		{"GET /deadline HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "Connection: close"},
	} {
		c := dial(t, address)
		r := second(t, c)
		io.WriteString(c, tt.send)
		if got, err := io.ReadAll(r); !strings.Contains(string(got), tt.want) || err != nil {
			t.Errorf("after %q: got %q, %v; want %q", tt.send, got, err, tt.want)
		}
	}
	c := dial(t, address)
	r := second(t, c)
	io.WriteString(c, "GET /abort HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("a response without length that is aborted: got %q and a clean end", got)
	}
}
