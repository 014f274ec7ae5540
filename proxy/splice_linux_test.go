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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// A long body in clear is moved by the kernel: of what this process reads and writes, only the
// backend's and the client's part is counted.
func TestLongBodiesAreSpliced(t *testing.T) {
	if testEngine != HTTP1 {
		t.Skip("the other engine copies")
	}
	const size = 64 << 20
	body := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		copy(body[i:], strconv.Itoa(i))
	}
	f := singleBackend(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
			if _, err := c.Write(body); err != nil {
				return
			}
		}
	}}, nil)
	want := sha256.Sum256(body)
	for i := range 2 {
		c := dialRaw(t, f.http())
		before := ioCounters(t)
		c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
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
