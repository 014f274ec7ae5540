package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestDescriptorsUsedUp has a process of its own, whose limit of descriptors it lowers.
func TestDescriptorsUsedUp(t *testing.T) {
	const child = "HTTP1_TEST_DESCRIPTORS"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDescriptorsUsedUp$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	var accepts atomic.Int64
	entered, release := make(chan bool), make(chan bool)
	s, address := start(t, &Server{OnError: func(c net.Conn, err error) {
		if c == nil && errors.Is(err, syscall.EMFILE) {
			accepts.Add(1)
		}
	}}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- true
			<-release
		}
	})
	busy := dial(t, address)
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	// Client and server share the limit here: fill it with idle connections, then lower it so
	// that Accept fails for those in the backlog.
	var idle []net.Conn
	for range 100 {
		c := dial(t, address)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	waiting, err := (&net.Dialer{}).Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	until(t, func() bool { return s.Connections() == len(idle)+2 })
	var before, lowered syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	// A descriptor is always the lowest that is free: let there be one, for the client.
	probe, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	lowered = syscall.Rlimit{Cur: uint64(probe.Fd()) + 1, Max: before.Max}
	probe.Close()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lowered); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
	late, err := net.Dial("tcp", address) // takes the last one
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	until(t, func() bool { return accepts.Load() > 0 })

	// The late one gets in as idle ones are closed, and who is busy stays.
	io.WriteString(late, "GET / HTTP/1.0\r\n\r\n")
	_ = late.SetDeadline(time.Now().Add(20 * time.Second))
	if got, err := io.ReadAll(late); !strings.HasPrefix(string(got), "HTTP/1.1 200") {
		t.Errorf("a new connection: got %q, %v", got, err)
	}
	close(release)
	if _, err := http.ReadResponse(bufio.NewReader(busy), nil); err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if n := accepts.Load(); n > 100 {
		t.Errorf("Accept was tried %d times", n)
	}
}

// Goroutines and descriptors go back to what they were.
func TestNothingIsLeft(t *testing.T) {
	settle := func() (goroutines, descriptors int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return runtime.NumGoroutine(), len(entries)
	}
	goroutines, descriptors := settle()
	s := &Server{HeadTimeout: 100 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hijack":
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Close()
		case "/panic":
			panic(http.ErrAbortHandler)
		case "/gone":
			<-r.Context().Done()
		}
	})}
	l := listen(t)
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	for range 20 {
		for _, sent := range []string{
			"", "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "junk\r\n\r\n", "GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n",
			"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n", "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
		} {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, sent)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
		}
	}
	s.Close()
	if err := <-done; err != http.ErrServerClosed {
		t.Error(err)
	}
	until(t, func() bool {
		g, d := settle()
		return g <= goroutines && d <= descriptors
	})
}
