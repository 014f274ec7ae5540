package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A client that goes away while a handler is at work is noticed, whichever way it goes, and the
// handler can learn it by any of the ways that contexts have.
func TestAbandoned(t *testing.T) {
	ways := map[string]func(ctx context.Context) bool{
		"Done": func(ctx context.Context) bool {
			select {
			case <-ctx.Done():
				return true
			case <-time.After(20 * time.Second):
				return false
			}
		},
		"Err": func(ctx context.Context) bool {
			for range 10000 {
				if ctx.Err() != nil {
					return true
				}
				<-time.After(2 * time.Millisecond)
			}
			return false
		},
		"AfterFunc": func(ctx context.Context) bool {
			called := make(chan bool)
			defer context.AfterFunc(ctx, func() { close(called) })()
			select {
			case <-called:
				return true
			case <-time.After(20 * time.Second):
				return false
			}
		},
		"WithCancel": func(ctx context.Context) bool {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			select {
			case <-child.Done():
				return true
			case <-time.After(20 * time.Second):
				return false
			}
		},
	}
	leaves := map[string]func(c *net.TCPConn){
		"close":      func(c *net.TCPConn) { c.Close() },
		"half close": func(c *net.TCPConn) { c.CloseWrite() },
		"reset":      func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"close behind more": func(c *net.TCPConn) {
			io.WriteString(c, "GET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n")
			c.Close()
		},
	}
	for way, wait := range ways {
		for leave, do := range leaves {
			t.Run(way+", "+leave, func(t *testing.T) {
				entered, noticed := make(chan bool, 1), make(chan bool, 1)
				_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/" {
						return
					}
					entered <- true
					noticed <- wait(r.Context())
				})
				c := dial(t, address)
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				<-entered
				do(c)
				if !<-noticed {
					t.Error("the handler did not notice")
				}
			})
		}
	}
}

// A client that leaves after its body was read is noticed too, and over TLS.
func TestAbandonedTLS(t *testing.T) {
	entered, noticed := make(chan bool, 1), make(chan error, 1)
	address := startTLS(t, nil, func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
		entered <- true
		<-r.Context().Done()
		noticed <- r.Context().Err()
	})
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
	<-entered
	c.Close()
	if err := <-noticed; err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

// A client that stays is not taken to be gone, however long it takes, and whatever it sends.
func TestNotAbandoned(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			t.Error("cancelled")
		case <-time.After(300 * time.Millisecond):
		}
	})
	c := dial(t, address)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-time.After(100 * time.Millisecond)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	r := bufio.NewReader(c)
	for range 2 {
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// A context ends with its request, and what was made of it does not see the next.
func TestContextEnds(t *testing.T) {
	contexts := make(chan context.Context, 1)
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		_ = cancel // it is left to the parent
		if ctx.Err() != nil {
			t.Error("it is cancelled already")
		}
		if _, ok := r.Context().Deadline(); ok {
			t.Error("it has a deadline")
		}
		if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); !ok || a.String() == "" {
			t.Errorf("got local address %v", a)
		}
		contexts <- ctx
	})
	c := dial(t, address)
	r := bufio.NewReader(c)
	var before context.Context
	for range 3 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		ctx := <-contexts
		if ctx == before {
			t.Error("two requests have one context")
		}
		before = ctx
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
			t.Fatal("the context has not ended with its request")
		}
	}
}

// Closing the server cancels what is under way.
func TestCloseCancels(t *testing.T) {
	entered, noticed := make(chan bool), make(chan error, 1)
	s, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-r.Context().Done()
		noticed <- r.Context().Err()
	})
	io.WriteString(dial(t, address), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	s.Close()
	if err := <-noticed; err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
