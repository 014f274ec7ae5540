package http1

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// stressed is how many requests a stress test sends.
func stressed(most int) int {
	if raceEnabled && !proxytest.Soaking() {
		return most / 10
	}
	return proxytest.Requests(most, testing.Short())
}

// D3: a server that closes connections whenever it likes, most of them while they are idle. A
// GET that meets one is sent again, as a pool would do it, and never fails; a POST is not, and
// none is executed twice.
func TestClientNeverTwice(t *testing.T) {
	var (
		mu       sync.Mutex
		executed = make(map[string]int)
	)
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			mu.Lock()
			executed[req.URL.RawQuery]++
			mu.Unlock()
			io.WriteString(nc, okReply)
			if rand.IntN(4) == 0 && !idleFor(nc, r, time.Duration(rand.IntN(50))*time.Millisecond) {
				return
			}
		}
	})
	requests := stressed(40000)
	var failedPosts, retries atomic.Int64
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := range requests / 8 {
				id := fmt.Sprintf("%d-%d", c, i)
				if i%2 == 1 {
					var body io.Reader = strings.NewReader(id)
					if i%4 == 1 {
						body = io.MultiReader(body) // chunked
					}
					status, _, err := ct.roundTrip(newRequest(t, "POST", "/?"+id, body), nil)
					if err != nil || status != 200 {
						failedPosts.Add(1)
					}
					continue
				}
				status, _, err := ct.roundTrip(newRequest(t, "GET", "/?"+id, nil), nil)
				if e, ok := err.(*ClientError); ok && e.Stage == StageSending && e.Reused {
					retries.Add(1)
					status, _, err = ct.roundTrip(newRequest(t, "GET", "/?"+id, nil), &Call{Fresh: true})
				}
				if err != nil || status != 200 {
					t.Errorf("GET %s: %d, %v", id, status, err)
				}
			}
		})
	}
	clients.Wait()
	for id, n := range executed {
		if n > 1 && strings.Contains("13579", id[len(id)-1:]) {
			t.Errorf("POST %s was executed %d times", id, n)
		}
	}
	t.Logf("%d requests over %d connections: %d GETs sent again, %d POSTs failed", requests, ct.accepted.Load(), retries.Load(), failedPosts.Load())
	// Those that cross with the server's closing cannot be helped. On a busy machine it is a
	// long way from its decision to close to our seeing it.
	if n := failedPosts.Load(); n > int64(requests/100) {
		t.Errorf("%d POSTs of %d failed", n, requests/2)
	}
}

// idleFor waits for a request. It reports false when none has come in time.
func idleFor(nc *net.TCPConn, r *bufio.Reader, d time.Duration) bool {
	nc.SetReadDeadline(time.Now().Add(d))
	_, err := r.Peek(1)
	nc.SetReadDeadline(time.Time{})
	if err != nil { // there may be one all the same
		raw, _ := nc.SyscallConn()
		raw.Control(func(fd uintptr) {
			if readable(fd) && !atEnd(fd) {
				err = nil
			}
		})
	}
	return err == nil
}

// D4, S21: whatever a server does wrong, nobody gets what was meant for another, nor what lay in
// a buffer.
func TestClientPollution(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			id := req.URL.RawQuery
			right := fmt.Sprintf("HTTP/1.1 200 OK\r\nToken: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(id), id)
			switch rand.IntN(8) {
			case 0: // a second response
				right += "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
			case 1: // a longer body than announced
				right += "evil"
			case 2: // chunked, with a trailer
				right = fmt.Sprintf("HTTP/1.1 200 OK\r\nToken: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nToken: %s\r\n\r\n", id, len(id), id, id)
			case 3: // it ends within the response
				io.WriteString(nc, right[:rand.IntN(len(right))])
				return
			}
			io.WriteString(nc, right)
		}
	})
	requests := stressed(60000)
	var whole atomic.Int64
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := range requests / 8 {
				id := fmt.Sprintf("%d-%d", c, i)
				var body io.Reader
				if i%3 == 0 {
					body = strings.NewReader(id)
				}
				resp, err := ct.Do(newRequest(t, "PUT", "/?"+id, body), &Call{})
				if err != nil {
					continue
				}
				token := resp.Header.Get("Token")
				got, err := io.ReadAll(resp.Body)
				trailer := resp.Trailer
				if token != id || !strings.HasPrefix(id, string(got)) || err == nil && string(got) != id {
					t.Errorf("request %s got the token %q and the body %q, %v", id, token, got, err)
				}
				resp.Body.Close()
				if len(trailer) > 0 && trailer.Get("Token") != id { // it may be kept
					t.Errorf("request %s got the trailer %v", id, trailer)
				}
				if err == nil {
					whole.Add(1)
				}
			}
		})
	}
	clients.Wait()
	t.Logf("%d whole responses to %d requests over %d connections", whole.Load(), requests, ct.accepted.Load())
	if whole.Load() < int64(requests/2) {
		t.Error("want most responses whole")
	}
}

// Interim responses, bodies of all kinds and lengths, uploads that are answered early, and
// abandoned exchanges, all at once, leave nothing behind; newClientTest looks.
func TestClientMixed(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if rand.IntN(10) == 0 {
				io.WriteString(nc, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			if rand.IntN(5) == 0 {
				io.WriteString(nc, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
			}
			fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(req.Method), req.Method)
		}
	})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := range stressed(5000) / 8 {
				var body io.Reader
				switch i % 4 {
				case 1:
					body = strings.NewReader(strings.Repeat("x", rand.IntN(40000)+1))
				case 2:
					body = io.MultiReader(strings.NewReader(strings.Repeat("x", rand.IntN(40000))))
				}
				var asked atomic.Int64
				call := &Call{Abandoned: func() bool { return asked.Add(1) > 3 }}
				if status, got, err := ct.roundTrip(newRequest(t, "PUT", "/", body), call); err == nil && status == 200 && got != "PUT" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	clients.Wait()
}
