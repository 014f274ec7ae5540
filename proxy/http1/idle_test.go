package http1

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkIdle reports what an idle keep-alive connection costs the server, after a request of
// ordinary size: bytes of the process's memory beyond what it had without connections, stacks
// included. The clients are in a process of their own. Run it with -benchtime=1x.
func BenchmarkIdle(b *testing.B) {
	if address := os.Getenv(idleClients); address != "" {
		beIdle(b, address)
		return
	}
	for _, secure := range []bool{false, true} {
		for _, engine := range []string{"http1", "net/http"} {
			name := engine + "/plain"
			if secure {
				name = engine + "/tls"
			}
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					measureIdle(b, engine, secure)
				}
			})
		}
	}
}

const (
	idleClients = "HTTP1_BENCH_IDLE"
	idleCount   = 9000 // and as many descriptors in each of the two processes
)

func measureIdle(b *testing.B, engine string, secure bool) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	l := listen(b)
	address := l.Addr().String()
	if secure {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(b)}})
	}
	var stop func() error
	before := memory()
	if engine == "http1" {
		s := &Server{Handler: h, IdleTimeout: time.Hour}
		go s.Serve(l)
		stop = s.Close
	} else {
		s := &http.Server{Handler: h}
		go s.Serve(l)
		stop = s.Close
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkIdle$", "-test.benchtime=1x")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %t", idleClients, address, secure))
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	for lines := bufio.NewScanner(out); ; {
		if !lines.Scan() {
			b.Fatal("the clients did not come up")
		}
		if strings.Contains(lines.Text(), "all idle") {
			break
		}
	}
	after := memory()
	b.ReportMetric(float64(after-before)/idleCount, "bytes/conn")
	b.ReportMetric(0, "ns/op")
	_ = in.Close()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if err := stop(); err != nil {
		b.Fatal(err)
	}
}

// memory is what the process holds, once garbage is gone, in bytes.
func memory() int64 {
	for range 3 {
		runtime.GC() // a sync.Pool forgets after two, stacks shrink with each
	}
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10
}

// beIdle is the other process: it opens connections, makes a request on each, and keeps them until
// its input ends.
func beIdle(b *testing.B, where string) {
	address, secure, _ := strings.Cut(where, " ")
	for range idleCount {
		var c net.Conn
		var err error
		if secure == "true" {
			c, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		} else {
			c, err = net.Dial("tcp", address)
		}
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, benchRequest)
		buf := make([]byte, 1<<10)
		if n, err := c.Read(buf); err != nil || !strings.HasSuffix(string(buf[:n]), "hello") {
			b.Fatalf("got %q, %v", buf[:n], err)
		}
	}
	fmt.Fprintln(os.Stdout, "\nall idle")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
