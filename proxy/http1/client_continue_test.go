package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// readHeadOnly reads the head of a request and returns the request, whose body is yet to be read.
func readHeadOnly(t *testing.T, nc *net.TCPConn) *http.Request {
	req, err := http.ReadRequest(bufio.NewReader(nc))
	if err != nil {
		t.Errorf("the head of the request: %v", err)
	}
	return req
}

// lateContinue returns a Call with an Interim that returns when the wait for a 100 response has been
// interrupted.
func lateContinue(t *testing.T, ct *clientTest) *Call {
	return &Call{Interim: func(code int, _ http.Header) error {
		if code == http.StatusEarlyHints {
			waitFor(t, "the wait for a 100 response is over", func() bool { return ct.onlyConn().interrupted() == errContinueTimeout })
		}
		return nil
	}}
}

// onlyConn returns the connection of the client.
func (ct *clientTest) onlyConn() *clientConn {
	k := &ct.Set.clock
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conns[0]
}

// TestClientContinueAsTheWaitEnds: a 100 response that was read when the clock had just given up waiting
// for it began to send the body, and then the interruption was found, and began to send it once more: two
// goroutines read the body and wrote to the connection at the same time.
func TestClientContinueAsTheWaitEnds(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 1<<14)
	got := make(chan string, 1)
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		req := readHeadOnly(t, nc)
		io.WriteString(nc, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
		b, err := io.ReadAll(req.Body)
		if err != nil {
			t.Errorf("body: %v", err)
		}
		got <- string(b)
		io.WriteString(nc, okReply)
		hang(nc)
	})
	req := newRequest(t, "POST", "/", strings.NewReader(body))
	req.Header["Expect"] = []string{"100-continue"}
	status, _, err := ct.roundTrip(req, lateContinue(t, ct))
	if err != nil || status != 200 {
		t.Fatalf("got %d, %v, want 200", status, err)
	}
	if b := <-got; b != body {
		t.Errorf("the server got %d bytes that are not the %d of the body", len(b), len(body))
	}
}

// TestClientAnswerAsTheWaitEnds: a final response instead of a 100 one, that was read when the clock had just
// given up waiting, lost its body.
func TestClientAnswerAsTheWaitEnds(t *testing.T) {
	more := make(chan struct{})
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		readHeadOnly(t, nc)
		io.WriteString(nc, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\n")
		<-more
		io.WriteString(nc, "gone")
		hang(nc)
	})
	req := newRequest(t, "POST", "/", strings.NewReader("hello"))
	req.Header["Expect"] = []string{"100-continue"}
	resp, err := ct.Do(req, lateContinue(t, ct))
	close(more)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "gone" {
		t.Errorf("got %q, %v, want the whole body", b, err)
	}
}
