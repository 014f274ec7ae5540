package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// D23: 2,000 clients come to a process that may have 512 files open.
func TestTwoThousandClients(t *testing.T) {
	const clients = 2000
	// Half of what 512 leaves over the reserve, as docs/limits.md has it.
	const most = 224

	// Who keeps a connection for later makes room: everybody is answered.
	t.Run("idle", func(t *testing.T) {
		at := startWith512(t)
		stream := openStream(t, at, "50ms")
		var answered sync.WaitGroup
		for range clients {
			answered.Go(func() {
				c := dialAt(t, at, "")
				if resp, err := http.ReadResponse(c, nil); err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("a client that kept waiting: got %v, %v; want 200", resp, err)
				}
			})
		}
		all := make(chan struct{})
		go func() { answered.Wait(); close(all) }()
		for n := 0; ; n++ {
			wantAlive(t, at)
			select {
			case <-all:
			case <-time.After(20 * time.Millisecond):
				continue
			}
			break
		}
		wantEvents(t, stream)
		// Both ports may have one more than that.
		if open := metric(t, at, "connections_open"); open > most+1 {
			t.Errorf("%v connections are open, want %d at most", open, most)
		}
		if metric(t, at, "accept_paused_seconds_total") == 0 {
			t.Error("it is not told that connections had to wait")
		}
	})

	// Nobody makes room: who is there is served, and the others wait without costing anything.
	t.Run("busy", func(t *testing.T) {
		at := startWith512(t)
		stream := openStream(t, at, "50ms")
		served, leave := stay(t, at, 2*most)
		waitFor(t, "as many are served as may be", func() bool { return served.Load() >= most-1 })
		waitFor(t, "it is told that others wait", func() bool { return metric(t, at, "accept_paused_seconds_total") > 0 })
		wantRest(t, at)
		if n := served.Load(); n > most+1 {
			t.Errorf("%d are served, want %d at most", n, most)
		}
		wantAlive(t, at)
		wantEvents(t, stream)
		close(leave)
		c := dialAt(t, at, "")
		if resp, err := http.ReadResponse(c, nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("when there is room again: got %v, %v; want 200", resp, err)
		}
	})

	// A limit that the files do not allow: there are none left, but those that were put by.
	t.Run("none left", func(t *testing.T) {
		at := startWith512(t, "--max-connections=100000")
		if !strings.Contains(at.Log(), "too few of the open files") {
			t.Error("the log does not say that the limit is too high")
		}
		stream := openStream(t, at, "50ms")
		stay(t, at, clients)
		waitFor(t, "files are used up", func() bool {
			open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", at.PID()))
			return err == nil && len(open) >= 512-spare
		})
		wantRest(t, at)
		for range 5 * spare {
			wantAlive(t, at)
		}
		wantEvents(t, stream)
	})
}

// spare is how many files the admin port has put by.
const spare = 16

// startWith512 starts a site whose process may have 512 files open.
func startWith512(t *testing.T, flags ...string) *site.Site {
	t.Helper()
	limited := filepath.Join(t.TempDir(), "limited")
	if err := os.WriteFile(limited, fmt.Appendf(nil, "#!/bin/sh\nulimit -n 512\nexec '%s' \"$@\"\n", binary), 0o700); err != nil {
		t.Fatal(err)
	}
	at, err := site.Start(site.Options{Binary: limited, Dir: t.TempDir(), Flags: append(flags, "--access-log=off", "--drain-timeout=1ms"), Files: map[string][]byte{
		"ingress.yaml": []byte(ingress("live", "many.example", "web")),
		"secret.yaml":  []byte(certificate),
		"web.yaml":     []byte(service("web", "web-1")),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	})
	return at
}

// dialAt connects and asks for an echo, a stream if that is not empty. The connection is open until
// the test ends.
func dialAt(t *testing.T, at *site.Site, stream string) *bufio.Reader {
	c, err := (&net.Dialer{Timeout: time.Minute}).Dial("tcp", at.Address("http"))
	if err != nil {
		t.Error(err)
		return bufio.NewReader(strings.NewReader(""))
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	field := ""
	if stream != "" {
		field = "Echo-Stream: " + stream + "\r\n"
	}
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: many.example\r\n"+field+"\r\n")
	return bufio.NewReader(c)
}

// openStream returns a stream of events that has begun.
func openStream(t *testing.T, at *site.Site, every string) *bufio.Reader {
	t.Helper()
	c := dialAt(t, at, every)
	resp, err := http.ReadResponse(c, nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("a stream: got %v, %v", resp, err)
	}
	return bufio.NewReader(resp.Body)
}

// wantEvents reads what has come of a stream, and then some more.
func wantEvents(t *testing.T, stream *bufio.Reader) {
	t.Helper()
	for range max(bytes.Count(peekAll(stream), []byte("\n")), 1) + 20 {
		if _, err := stream.ReadString('\n'); err != nil {
			t.Fatalf("the stream that was there before all others: %v", err)
		}
	}
}

func peekAll(r *bufio.Reader) []byte {
	b, _ := r.Peek(r.Buffered())
	return b
}

// stay connects n clients whose responses do not end before the channel is closed. It counts those that
// were answered 200.
func stay(t *testing.T, at *site.Site, n int) (served *atomic.Int64, leave chan struct{}) {
	served, leave = new(atomic.Int64), make(chan struct{})
	var conns, done sync.WaitGroup
	conns.Add(n)
	for range n {
		done.Go(func() {
			c, err := (&net.Dialer{Timeout: time.Minute}).Dial("tcp", at.Address("http"))
			conns.Done()
			if err != nil {
				return
			}
			defer c.Close()
			go func() {
				select {
				case <-leave:
				case <-t.Context().Done():
				}
				_ = c.Close()
			}()
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: many.example\r\nEcho-Stream: first\r\n\r\n")
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && resp.StatusCode == http.StatusOK {
				served.Add(1)
				_, _ = io.Copy(io.Discard, resp.Body)
			}
		})
	}
	t.Cleanup(done.Wait) // t.Context has ended by then
	conns.Wait()
	return served, leave
}

// wantAlive asks what a kubelet and Prometheus ask.
func wantAlive(t *testing.T, at *site.Site) {
	t.Helper()
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if code, _, err := at.Admin(path); err != nil || code != http.StatusOK {
			t.Errorf("%s: got %d, %v; want 200", path, code, err)
		}
	}
}

// wantRest waits until the process uses little of a processor: what it was about may take a while,
// what spins does so for ever.
func wantRest(t *testing.T, at *site.Site) {
	t.Helper()
	const period = time.Second
	var used time.Duration
	for range 60 {
		before := processorTime(t, at.PID())
		<-time.After(period)
		if used = processorTime(t, at.PID()) - before; used <= period/10 {
			t.Logf("processor: %s of %s", used, period)
			return
		}
	}
	t.Errorf("it still used the processor for %s of %s", used, period)
}

// processorTime is what a process has used of processors.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime: proc(5)
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// metric is the sum of a metric's series.
func metric(t *testing.T, at *site.Site, name string) (sum float64) {
	t.Helper()
	_, text, err := at.Admin("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^fairlead_`+name+`(?:\{.*\})? (\S+)$`).FindAllSubmatch(text, -1) {
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	if err := pollFor(time.Minute, what, func() (bool, error) { return done(), nil }); err != nil {
		t.Fatal(err)
	}
}

// S13: no private key gets to a disk.
func TestNoCoreDumps(t *testing.T) {
	at := startWith512(t)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", at.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("want no core dumps, soft and hard:\n%s", limits)
	}
}
