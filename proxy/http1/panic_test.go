package http1

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A handler that panics loses its own request and connection and nothing else, is reported once, and
// never leaves a client with a response that looks complete.
func TestPanic(t *testing.T) {
	for _, tt := range []struct {
		name     string
		before   func(w http.ResponseWriter, r *http.Request)
		value    any
		reported bool
	}{
		{"at once", func(http.ResponseWriter, *http.Request) {}, "oops", true},
		{"abort", func(http.ResponseWriter, *http.Request) {}, http.ErrAbortHandler, false},
		{"an error", func(http.ResponseWriter, *http.Request) {}, errors.New("oops"), true},
		{"after WriteHeader", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200) }, "oops", true},
		{"after a Write", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }, "oops", true},
		{"after Flush", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
		}, "oops", true},
		{"within a length", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
		}, http.ErrAbortHandler, false},
		{"after reading", func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) }, "oops", true},
		{"after a large Write", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("x", 100000))
		}, "oops", true},
	} {
		for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
			t.Run(tt.name+", "+version, func(t *testing.T) {
				var mu sync.Mutex
				var reports []any
				s, address := start(t, &Server{OnPanic: func(r *http.Request, value any, stack []byte) {
					mu.Lock()
					defer mu.Unlock()
					reports = append(reports, value)
					if r.URL.Path != "/panic" || !strings.Contains(string(stack), "panic_test.go") {
						t.Errorf("got %q and stack %s", r.URL.Path, stack)
					}
				}}, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/panic" {
						tt.before(w, r)
						panic(tt.value)
					}
				})
				other := dial(t, address)
				c := dial(t, address)
				io.WriteString(c, "POST /panic "+version+"\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
				answer, err := io.ReadAll(c)
				if err == nil && complete(string(answer)) {
					t.Errorf("got %.200q, which looks complete", answer)
				}
				io.WriteString(other, "GET / HTTP/1.0\r\n\r\n")
				if got, err := io.ReadAll(other); !strings.HasPrefix(string(got), "HTTP/1.1 200") || err != nil {
					t.Errorf("on another connection: got %q, %v", got, err)
				}
				until(t, func() bool { return s.Connections() == 0 })
				mu.Lock()
				defer mu.Unlock()
				if want := map[bool]int{true: 1}[tt.reported]; len(reports) != want {
					t.Errorf("reported %v, want %d", reports, want)
				}
			})
		}
	}
}

// complete reports whether a client that reads answer, and then the end of the connection, takes it
// for a whole response.
func complete(answer string) bool {
	head, body, ok := strings.Cut(answer, "\r\n\r\n")
	switch {
	case !ok:
		return false
	case strings.Contains(head, "Transfer-Encoding: chunked"):
		return strings.HasSuffix(body, "0\r\n\r\n")
	case strings.Contains(head, "Content-Length: 10"):
		return len(body) == 10
	}
	return true
}

// A handler may end its goroutine; testing.T.FailNow in one does.
func TestGoexit(t *testing.T) {
	s, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) { runtime.Goexit() })
	if got := exchange(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); got != "" {
		t.Errorf("got %q", got)
	}
	until(t, func() bool { return s.Connections() == 0 })
}
