package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hold begins n exchanges at once.
func (ct *clientTest) hold(t testing.TB, n int) []*http.Response {
	t.Helper()
	var all []*http.Response
	for range n {
		resp, err := ct.Do(newRequest(t, "GET", "/", nil), &Call{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, resp)
	}
	return all
}

// finish reads responses to their end and closes them.
func finish(t testing.TB, all []*http.Response) {
	t.Helper()
	for _, resp := range all {
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
		resp.Body.Close()
	}
}

func TestClientMaxIdle(t *testing.T) {
	for _, test := range []struct {
		set  *ClientSet
		want int64
	}{
		{&ClientSet{MaxIdlePerClient: 2}, 2},
		{&ClientSet{MaxIdle: 3}, 3},
		{&ClientSet{}, 5},
	} {
		ct := newClientTest(t, test.set, always(okReply))
		finish(t, ct.hold(t, 5))
		if n := ct.Connections(); n != test.want {
			t.Errorf("want %d connections kept, got %d", test.want, n)
		}
		if n := test.set.idle.Load(); n != test.want {
			t.Errorf("want %d counted as idle, got %d", test.want, n)
		}
	}
}

// The limit of the set is one of all Clients.
func TestClientSetMaxIdle(t *testing.T) {
	set := &ClientSet{MaxIdle: 3}
	one, other := newClientTest(t, set, always(okReply)), newClientTest(t, set, always(okReply))
	finish(t, one.hold(t, 2))
	finish(t, other.hold(t, 2))
	if a, b := one.Connections(), other.Connections(); a != 2 || b != 1 {
		t.Errorf("want 2 and 1 connections kept, got %d and %d", a, b)
	}
}

// The connection used last is used first, so that those which are not needed grow old.
func TestClientLastInFirstOut(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, always(okReply))
	finish(t, ct.hold(t, 3))
	last := ct.idle[2]
	for range 3 {
		resp, err := ct.Do(newRequest(t, "GET", "/", nil), &Call{})
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.(*clientBody).conn != last {
			t.Error("want the connection that was used last")
		}
		finish(t, []*http.Response{resp})
	}
}

func TestClientIdleTimeout(t *testing.T) {
	ct := newClientTest(t, &ClientSet{IdleTimeout: 100 * time.Millisecond}, always(okReply))
	finish(t, ct.hold(t, 3))
	waitFor(t, "idle connections are closed", func() bool { return ct.Connections() == 0 })
	ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
}

func TestClientDiscard(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, always(okReply))
	finish(t, ct.hold(t, 2))
	held := ct.hold(t, 1)
	ct.Discard(true)
	if n := ct.Connections(); n != 1 {
		t.Errorf("want the connection in use alone, got %d", n)
	}
	finish(t, held)
	if n := ct.Connections(); n != 0 {
		t.Errorf("want it closed after its use, got %d", n)
	}
	ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
	if n := ct.Connections(); n != 0 {
		t.Errorf("want nothing kept, got %d", n)
	}
	ct.Discard(false)
	ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
	if n := ct.Connections(); n != 1 {
		t.Errorf("want the connection kept again, got %d", n)
	}
}

func TestClientFresh(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, always(okReply))
	for i := range 3 {
		call := &Call{Fresh: true}
		if status, _, err := ct.roundTrip(newRequest(t, "GET", "/", nil), call); status != 200 || err != nil {
			t.Fatal(status, err)
		}
		if call.Reused || call.Dialed <= 0 || ct.accepted.Load() != int64(i+1) {
			t.Errorf("want a new connection, got %+v", call)
		}
	}
}

// What is left unread of a body decides what becomes of the connection.
func TestClientCloseEarly(t *testing.T) {
	for _, test := range []struct {
		name  string
		reply string
		kept  bool
	}{
		{"rest is there", okReply, true},
		{"rest is not there", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false},
	} {
		ct := newClientTest(t, &ClientSet{}, always(test.reply))
		ct.hold(t, 1)[0].Body.Close()
		if kept := ct.Connections() == 1; kept != test.kept {
			t.Errorf("%s: want it kept: %t, got %t", test.name, test.kept, kept)
		}
	}
}

// An idle connection holds no buffer, whatever the last response was.
func TestClientHoldsNoBuffer(t *testing.T) {
	for _, reply := range []string{okReply, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"} {
		ct := newClientTest(t, &ClientSet{}, always(reply))
		finish(t, ct.hold(t, 1))
		if _, _, err := ct.roundTrip(newRequest(t, "POST", "/", strings.NewReader("body")), nil); err != nil {
			t.Fatal(err)
		}
		if c := ct.idle[0]; c.in.buf != nil || c.wire.out != nil {
			t.Errorf("a buffer is held after %q", reply)
		}
	}
}

// A response is read with one allocation, for the string that its fields are parts of.
func TestClientAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector, allocations say nothing")
	}
	ct := newClientTest(t, &ClientSet{}, answerer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 2\r\nX-Own: 1\r\nServer: x\r\n\r\nok"))
	ct.Set.poison = false
	req := newRequest(t, "GET", "/path?query=1", nil)
	req.Header["Accept"] = []string{"*/*"}
	var call Call
	buf := make([]byte, 100)
	got := testing.AllocsPerRun(1000, func() {
		resp, err := ct.Do(req, &call)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := resp.Body.Read(buf); n != 2 || err != io.EOF {
			t.Fatal(n, err)
		}
		resp.Body.Close()
	})
	if got > 1 {
		t.Errorf("want 1 allocation for an exchange, got %v", got)
	}
}

// D23: without descriptors, idle connections are given up for new ones.
func TestClientDescriptorsShort(t *testing.T) {
	set := &ClientSet{}
	other := newClientTest(t, set, always(okReply))
	finish(t, other.hold(t, 3))
	ct := newClientTest(t, set, always(okReply))
	dial := ct.Dial
	ct.Dial = func(ctx context.Context) (net.Conn, error) {
		if other.Connections() > 0 {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		return dial(ctx)
	}
	ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
	other.Dial = func(context.Context) (net.Conn, error) { return nil, syscall.EMFILE }
	ct.Discard(true)
	if _, _, err := other.roundTrip(newRequest(t, "GET", "/", nil), nil); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("want the shortage told when nothing is idle, got %v", err)
	}
}
