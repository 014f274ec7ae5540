package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// D2: a new connection that ends without an answer.
func TestClientReset(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"closed":  func(*net.TCPConn) {},
		"reset":   func(nc *net.TCPConn) { nc.SetLinger(0) },
		"at once": nil,
	} {
		t.Run(name, func(t *testing.T) {
			ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
				if end != nil && readRequest(bufio.NewReader(nc)) {
					end(nc)
				}
			})
			_, _, err := ct.roundTrip(newRequest(t, "POST", "/", strings.NewReader("body")), nil)
			if e := wantStage(t, err, StageSending); e.Reused || !e.BodyRead || e.Unsent && end != nil {
				t.Errorf("got %+v", e)
			}
			if ct.accepted.Load() != 1 {
				t.Errorf("want one connection, got %d", ct.accepted.Load())
			}
		})
	}
}

// D3: a connection that was closed while it was idle is not written to, so that even a POST
// does not fail.
func TestClientStale(t *testing.T) {
	var served atomic.Int64
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		replies(okReply)(nc)
		served.Add(1)
	})
	for i := range 20 {
		ct.want(t, newRequest(t, "POST", "/", strings.NewReader("body")), 200, "ok")
		waitFor(t, "the server has closed the connection", func() bool { return served.Load() == int64(i+1) })
		waitFor(t, "the client can see that", func() bool {
			ct.mu.Lock()
			defer ct.mu.Unlock()
			return len(ct.idle) == 0 || !ct.idle[0].clean()
		})
	}
	if n := ct.accepted.Load(); n != 20 {
		t.Errorf("want 20 connections, got %d", n)
	}
}

// D4: what a server sends on an idle connection is no response.
func TestClientUnsolicited(t *testing.T) {
	more := make(chan struct{})
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		readRequest(r)
		io.WriteString(nc, okReply)
		<-more
		io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		if readRequest(r) {
			t.Error("a request was written behind an unsolicited response")
		}
	})
	for range 10 {
		ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
		more <- struct{}{}
		waitFor(t, "the bytes have come", func() bool {
			ct.mu.Lock()
			defer ct.mu.Unlock()
			return !ct.idle[0].clean()
		})
	}
}

// A reused connection that ends while an answer is waited for: the caller decides what to do.
func TestClientReusedReset(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		readRequest(r)
		io.WriteString(nc, okReply)
		readRequest(r)
	})
	ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
	_, _, err := ct.roundTrip(newRequest(t, "GET", "/", nil), nil)
	if e := wantStage(t, err, StageSending); !e.Reused || e.Unsent {
		t.Errorf("got %+v", e)
	}
}

func TestClientTimeouts(t *testing.T) {
	const limit = 100 * time.Millisecond
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	sends := func(bytes string) func(*net.TCPConn) {
		return func(nc *net.TCPConn) { io.WriteString(nc, bytes); hang(nc) }
	}
	for _, test := range []struct {
		name  string
		set   *ClientSet
		serve func(*net.TCPConn)
		body  io.Reader
		want  error // of Do, or of the body
	}{
		{"head", &ClientSet{HeadTimeout: limit}, hang, nil, ErrHeadTimeout},
		{"rest of head", &ClientSet{HeadTimeout: limit}, sends("HTTP/1.1 200 OK\r\n"), nil, ErrHeadTimeout},
		{"after an interim response", &ClientSet{HeadTimeout: limit}, sends("HTTP/1.1 103 Early Hints\r\n\r\n"), nil, ErrHeadTimeout},
		{"after an inline body", &ClientSet{HeadTimeout: limit}, hang, strings.NewReader("x"), ErrHeadTimeout},
		{"after a streamed body", &ClientSet{HeadTimeout: limit}, hang, io.MultiReader(strings.NewReader("x")), ErrHeadTimeout},
		{"body", &ClientSet{ReadTimeout: limit}, sends("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"), nil, ErrSilent},
		{"chunk", &ClientSet{ReadTimeout: limit}, sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nsome"), nil, ErrSilent},
		{"upload", &ClientSet{SendTimeout: limit, HeadTimeout: time.Hour}, func(*net.TCPConn) { <-stop }, endless{stop}, ErrSendTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			ct := newClientTest(t, test.set, test.serve)
			_, got, err := ct.roundTrip(newRequest(t, "POST", "/", test.body), nil)
			if !errors.Is(err, test.want) || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("want %v, got %q, %v", test.want, got, err)
			}
			if test.want != ErrSilent {
				wantStage(t, err, StageTimedOut)
			}
			if test.name == "upload" {
				stop <- struct{}{} // the server's turn to end
			}
		})
	}
}

// endless is a body without end.
type endless struct{ done <-chan struct{} }

func (e endless) Read(p []byte) (int, error) {
	select {
	case <-e.done:
		return 0, io.ErrClosedPipe
	default:
		return len(p), nil
	}
}

// The limit of time of a body is one of silence, not of its length.
func TestClientSlowBody(t *testing.T) {
	t.Parallel()
	const length = 22
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		readRequest(bufio.NewReader(nc))
		fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", length)
		for range length {
			<-time.After(100 * time.Millisecond)
			io.WriteString(nc, "x")
		}
	})
	_, body, err := ct.roundTrip(newRequest(t, "GET", "/", nil), &Call{ReadTimeout: 1500 * time.Millisecond})
	if len(body) != length || err != nil {
		t.Errorf("want %d bytes, got %q, %v", length, body, err)
	}
}

// An exchange that nobody wants any more ends, wherever it is, and the server sees it.
func TestClientAbandoned(t *testing.T) {
	for name, test := range map[string]struct {
		reply string
		body  func(context.Context) io.Reader
	}{
		"head":   {"", nil},
		"body":   {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234", nil},
		"chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n", nil},
		"upload": {"", func(ctx context.Context) io.Reader { return endless{ctx.Done()} }},
	} {
		for _, by := range []string{"hook", "context"} {
			t.Run(name+"/"+by, func(t *testing.T) {
				asked, gone := make(chan struct{}), make(chan struct{})
				ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
					defer close(gone)
					io.ReadFull(nc, make([]byte, 1))
					io.WriteString(nc, test.reply)
					close(asked)
					hang(nc)
				})
				var abandoned atomic.Bool
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				call := &Call{}
				if by == "hook" {
					call.Abandoned = abandoned.Load
				}
				go func() {
					<-asked
					<-time.After(20 * time.Millisecond) // for the client to read what there is
					if by == "hook" {
						abandoned.Store(true)
					} else {
						cancel()
					}
				}()
				var body io.Reader
				if test.body != nil {
					body = test.body(t.Context())
				}
				_, _, err := ct.roundTrip(newRequest(t, "POST", "/", body).WithContext(ctx), call)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("want context.Canceled, got %v", err)
				}
				if test.reply == "" {
					wantStage(t, err, StageAbandoned)
				}
				<-gone
			})
		}
	}
}

// The hook is not asked once the exchange has ended, which is when what it looks at is
// used again.
func TestClientAbandonedNotAskedLater(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		for readRequest(r) {
			<-time.After(60 * time.Millisecond) // long enough to be asked
			io.WriteString(nc, okReply)
		}
	})
	asked := 0
	for range 10 {
		var over atomic.Bool
		call := &Call{Abandoned: func() bool {
			asked++ // the race detector would tell
			if over.Load() {
				t.Error("asked after the end")
			}
			return false
		}}
		resp, err := ct.Do(newRequest(t, "GET", "/", nil), call)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		over.Store(true)
		asked += 0
	}
	if asked == 0 {
		t.Error("it was never asked")
	}
}

// While its caller has the response and does not read it, an exchange can be abandoned too.
func TestClientAbandonedUnread(t *testing.T) {
	gone := make(chan struct{})
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		defer close(gone)
		io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234")
		hang(nc)
	})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := ct.Do(newRequest(t, "GET", "/", nil).WithContext(ctx), &Call{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	waitFor(t, "the exchange was interrupted", func() bool { return resp.Body.(*clientBody).conn.interrupted() != nil })
	body, err := io.ReadAll(resp.Body)
	if string(body) != "1234" || !errors.Is(err, context.Canceled) {
		t.Errorf("want what had come, then context.Canceled, got %q, %v", body, err)
	}
	resp.Body.Close()
	<-gone
}
