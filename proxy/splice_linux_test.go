package proxy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// A long body in clear is moved by the kernel: of what this process reads and writes, only the
// backend's and the client's part is counted. Policies that change no more than the head keep that.
func TestLongBodiesAreSpliced(t *testing.T) {
	if testEngine != HTTP1 {
		t.Skip("the other engine copies")
	}
	const size = 64 << 20
	body := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		copy(body[i:], strconv.Itoa(i))
	}
	want := sha256.Sum256(body)
	backend := func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n", size)
			if _, err := c.Write(body); err != nil {
				return
			}
		}
	}
	for name, policies := range map[string]*policy.Set{
		"no policies":   nil,
		"PROXY header":  nil,
		"fields hidden": {Fields: &policy.Fields{Hide: []string{"Server"}}},
		"CORS":          {CORS: &policy.CORS{Origins: []string{"*"}}},
		"not gzipped":   {Gzip: &policy.Compression{Level: 1, Types: []string{"text/plain"}}},
		"all of them": {
			Fields: &policy.Fields{Hide: []string{"Server"}}, CORS: &policy.CORS{Origins: []string{"*"}},
			Gzip: &policy.Compression{Level: 1}, BodySize: 1 << 20, HSTS: "max-age=1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			web := rule("a.example", "/", webKey)
			web.Policies = policies
			config := Config{Hosts: ByHost([]*Rule{web})}
			if name == "PROXY header" {
				config.Listener = behindBalancer("127.0.0.0/8").Listener
			}
			f := newFront(t, config, nil)
			f.lead(t, webKey, &proxytest.Backend{Raw: backend})
			for i := range 2 {
				c := dialRaw(t, f.http())
				if config.Listener.ProxyProtocol != nil {
					c.send(t, header1)
				}
				before := ioCounters(t)
				c.send(t, "GET / HTTP/1.1", "Host: a.example", "Accept-Encoding: gzip", "", "")
				resp, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Fatal(err)
				}
				got := sha256.New()
				if _, err := io.Copy(got, resp.Body); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Sum(nil), want[:]) {
					t.Error("another body arrived")
				}
				after := ioCounters(t)
				for _, name := range []string{"rchar", "wchar"} {
					if n := after[name] - before[name]; n > size*3/2 {
						t.Errorf("%s: %d bytes for a body of %d, which were copied here", name, n, size)
					}
				}
				if x := f.exchange(t, i); x.BytesOut != size || x.Attempts.Last().Received != size {
					t.Errorf("%d bytes out, %d received, want %d", x.BytesOut, x.Attempts.Last().Received, size)
				}
			}
		})
	}
}

// ioCounters are those of this process: bytes that system calls have copied.
func ioCounters(t *testing.T) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skipf("no accounting here: %v", err)
	}
	counters := make(map[string]int64)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		counters[name], _ = strconv.ParseInt(value, 10, 64)
	}
	return counters
}

// The same for the body of a request, whatever came of it together with the head, and for the next
// request on both connections.
func TestLongRequestBodiesAreSpliced(t *testing.T) {
	if testEngine != HTTP1 {
		t.Skip("the other engine copies")
	}
	const size = 64 << 20
	body := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		copy(body[i:], strconv.Itoa(i))
	}
	want := sha256.Sum256(body)
	for name, early := range map[string]int{"head alone": 0, "some with the head": 1000, "expected": -1} {
		t.Run(name, func(t *testing.T) {
			web := rule("a.example", "/", webKey)
			web.Policies = &policy.Set{BodySize: size, Fields: &policy.Fields{Hide: []string{"Server"}}}
			f := newFront(t, Config{Hosts: ByHost([]*Rule{web})}, nil)
			f.lead(t, webKey, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sum := sha256.New()
				n, err := io.Copy(sum, r.Body)
				if n != size || err != nil || !bytes.Equal(sum.Sum(nil), want[:]) {
					t.Errorf("got %d bytes, %v, of the sum %x", n, err, sum.Sum(nil))
				}
			})})
			c := dialRaw(t, f.http())
			for i := range 3 {
				before := ioCounters(t)
				expect := "X-Expect: nothing"
				if early < 0 {
					expect = "Expect: 100-continue"
				}
				rest := body[max(early, 0):]
				c.send(t, "POST / HTTP/1.1", "Host: a.example", expect, fmt.Sprintf("Content-Length: %d", size), "", string(body[:max(early, 0)]))
				if early < 0 {
					if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
						t.Fatalf("got %q, %v", line, err)
					}
					_, _ = c.r.ReadString('\n')
				}
				if _, err := c.Write(rest); err != nil {
					t.Fatal(err)
				}
				resp, _, err := c.receive(t, "POST")
				if err != nil || resp.StatusCode != http.StatusOK || resp.Close {
					t.Fatalf("got %v, %v", resp, err)
				}
				after := ioCounters(t)
				for _, name := range []string{"rchar", "wchar"} {
					if n := after[name] - before[name]; n > size*3/2 {
						t.Errorf("%s: %d bytes for a body of %d, which were copied here", name, n, size)
					}
				}
				if x := f.exchange(t, i); x.BytesIn != size || x.Status != http.StatusOK {
					t.Errorf("status %d, %d bytes in, want %d", x.Status, x.BytesIn, size)
				}
			}
			if x := f.exchange(t, 2); !x.Attempts.Last().Reused {
				t.Error("the backend's connection was not used again")
			}
		})
	}
}

// A body that the kernel moves breaks off like any other, and who is to blame is told apart.
func TestSplicedRequestBodyBreaks(t *testing.T) {
	if testEngine != HTTP1 {
		t.Skip("the other engine copies")
	}
	const size = 64 << 20
	piece := make([]byte, 1<<20)
	var stop chan struct{} // of a test; the end of those who take no more
	takes := func(n int64) func(*net.TCPConn) {
		return func(c *net.TCPConn) {
			r := bufio.NewReader(c)
			if req, err := http.ReadRequest(r); err == nil {
				_, _ = io.CopyN(io.Discard, req.Body, n)
			}
		}
	}
	stays := func(c *net.TCPConn) {
		takes(1 << 20)(c)
		<-stop
	}
	for name, tt := range map[string]struct {
		backend func(*net.TCPConn)
		sends   int // pieces
		drips   bool
		leaves  bool
		status  int
		reasons []string
	}{
		"backend closes":                     {takes(4 << 20), 64, false, false, 502, []string{"upstream-reset"}},
		"client leaves":                      {takes(size), 4, false, true, 499, []string{"client-aborted"}},
		"client stops":                       {takes(size), 4, false, false, 408, []string{"body-timeout"}},
		"client drips":                       {takes(size), 4, true, false, 408, []string{"body-timeout"}},
		"backend stops":                      {stays, 64, false, false, 504, []string{"response-timeout"}},
		"client leaves as the backend stops": {stays, 64, false, true, 499, []string{"client-aborted"}},
		"backend answers early, and is silent": {func(c *net.TCPConn) {
			takes(1 << 20)(c)
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
			stays(c)
		}, 64, false, false, 413, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			stop = make(chan struct{})
			defer close(stop)
			web := rule("a.example", "/", webKey)
			// Short times are for those who are to be found out, on a machine that may be slow itself.
			forClient, forBackend := patience, patience
			switch tt.reasons[0] {
			case "body-timeout":
				forClient = 400 * time.Millisecond
			case "response-timeout":
				forBackend = 300 * time.Millisecond
			}
			web.Policies = &policy.Set{Timeouts: policy.Timeouts{Send: forBackend}}
			f := newFront(t, Config{Hosts: ByHost([]*Rule{web})}, func(f *front) { f.server.ClientTimeout = forClient })
			f.lead(t, webKey, &proxytest.Backend{Raw: tt.backend})
			c := dialRaw(t, f.http())
			c.send(t, "POST / HTTP/1.1", "Host: a.example", fmt.Sprintf("Content-Length: %d", size), "", "")
			sent := make(chan struct{})
			var written atomic.Int64
			go func() {
				defer close(sent)
				for range tt.sends {
					if _, err := c.Write(piece); err != nil {
						return
					}
					written.Add(1)
				}
				for tt.drips {
					if _, err := c.Write(piece[:1]); err != nil {
						return
					}
					<-time.After(10 * time.Millisecond)
				}
				if tt.leaves {
					c.Close()
				}
			}()
			if tt.leaves && tt.sends == 64 {
				before, since := int64(-1), time.Now()
				eventually(t, "nothing moves any more", func() bool {
					if now := written.Load(); now != before {
						before, since = now, time.Now()
					}
					return time.Since(since) > 300*time.Millisecond
				})
				_ = c.Conn.(*net.TCPConn).SetLinger(0) // else its end would come after what it has sent
				c.Close()
			}
			if !tt.leaves {
				resp, err := http.ReadResponse(c.r, nil)
				if err != nil || resp.StatusCode != tt.status || !resp.Close {
					t.Errorf("got %v, %v, want %d and the end", resp, err, tt.status)
				}
				c.Close()
			}
			<-sent
			x := f.exchange(t, 0)
			if tt.status != 0 && x.Status != tt.status || !slices.Contains(tt.reasons, x.Reason) {
				t.Errorf("status %d, reason %q, %v, want %d, %q", x.Status, x.Reason, x.Err, tt.status, tt.reasons)
			}
			if x.BytesIn >= size {
				t.Errorf("%d bytes in", x.BytesIn)
			}
		})
	}
}

// A backend that dies within a spliced body, and a client that leaves, are told apart.
func TestSplicedBodyBreaks(t *testing.T) {
	for name, tt := range map[string]struct {
		backendDies bool
		reason      string
	}{"backend": {true, "upstream-reset"}, "client": {false, "client-aborted"}} {
		t.Run(name, func(t *testing.T) {
			f := singleBackend(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
				piece := make([]byte, 1<<20)
				for i := range 100 {
					if tt.backendDies && i == 10 {
						return
					}
					if _, err := c.Write(piece); err != nil {
						return
					}
				}
			}}, nil)
			c := dialRaw(t, f.http())
			c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.backendDies {
				if n, err := io.Copy(io.Discard, resp.Body); err == nil {
					t.Errorf("a body of %d bytes seems complete", n)
				}
			} else {
				if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
			if x := f.exchange(t, 0); x.Reason != tt.reason || x.Status != 200 || x.ClientAborted == tt.backendDies {
				t.Errorf("reason %q, status %d, client aborted %t, want %q", x.Reason, x.Status, x.ClientAborted, tt.reason)
			}
		})
	}
}

// A client that takes nothing of a spliced body is given up like any other.
func TestSplicedBodyToAStoppedClient(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
		_, _ = c.Write(make([]byte, 100000000))
	}}, func(f *front) { f.server.ClientTimeout = 200 * time.Millisecond })
	c := dialRaw(t, f.http())
	c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	if x := f.exchange(t, 0); x.Reason != "client-aborted" {
		t.Errorf("reason %q, want client-aborted", x.Reason)
	}
}
