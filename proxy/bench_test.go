package proxy_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/observe"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// BenchmarkProxy is a request over loopback with its client and its backend, most of it system calls. A
// profile of it shows what the proxy's own part is spent on.
func BenchmarkProxy(b *testing.B) {
	once := proxied(b)
	b.ReportAllocs()
	before := userTime(b)
	for b.Loop() {
		once()
	}
	b.ReportMetric(float64(userTime(b)-before)/float64(b.N), "user-ns/op")
}

// userTime is what this process has used outside of system calls.
func userTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano())
}

// proxied returns a function that has a request proxied, over real sockets, with connections kept on
// both sides and metrics on. Client and backend allocate nothing.
func proxied(tb testing.TB) (once func()) { return proxiedBy(tb, func(*proxy.Rule) {}, "") }

// proxiedBy is proxied with a rule that was edited and lines more in the head of the request.
func proxiedBy(tb testing.TB, edit func(*proxy.Rule), fields string) (once func()) {
	backend := cannedBackend(tb, []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n\r\nok"))
	pools := upstream.NewRegistry(upstream.Options{AllowLocal: true})
	tb.Cleanup(pools.Close)
	key := upstream.Key{Namespace: "default", Service: "web", Port: "80"}
	pools.Pool(key).Set(upstream.Resolution{Addresses: []upstream.Address{{Host: backend.Addr().String(), Port: backend.Port()}}})
	p := proxy.New(pools)
	p.Observer = observe.NewMetrics(observe.Options{Table: p.Table})
	rule := &proxy.Rule{
		Host: "example.com", Path: "/", PathType: router.Prefix, Backend: key,
		Origin: router.Origin{Namespace: "default", Name: "web"},
	}
	edit(rule)
	table, _ := p.Compile(proxy.Config{Hosts: proxy.ByHost([]*proxy.Rule{rule})})
	p.Swap(table)
	server := &proxy.Server{Proxy: p, HTTPAddress: "127.0.0.1:0", ShutdownDelay: -1, Engine: proxy.HTTP1}
	if err := server.Listen(); err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	tb.Cleanup(func() {
		server.Close()
		if err := <-served; err != nil {
			tb.Error(err)
		}
	})

	nc, err := net.Dial("tcp", server.Addresses()["http"].String())
	if err != nil {
		tb.Fatal(err)
	}
	client := newBlocking(tb, nc)
	tb.Cleanup(func() { client.file.Close() })
	request := []byte("GET /path?query=1 HTTP/1.1\r\nHost: example.com:8080\r\nUser-Agent: test\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n" + fields + "\r\n")
	buf := make([]byte, 4096)
	return func() {
		if _, err := client.Write(request); err != nil {
			tb.Fatal(err)
		}
		n := 0
		for !bytes.HasSuffix(buf[:n], []byte("\r\n\r\nok")) {
			m, err := client.Read(buf[n:])
			if err != nil || m == 0 {
				tb.Fatalf("%v after %q", err, buf[:n])
			}
			n += m
		}
		if !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200 ")) {
			tb.Fatalf("got %q", buf[:n])
		}
	}
}

// blocking is a connection that the runtime does not poll: a read waits in one system call.
type blocking struct {
	file *os.File
	fd   int
}

// newBlocking takes c over.
func newBlocking(tb testing.TB, c net.Conn) blocking {
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		tb.Error(err)
		return blocking{fd: -1}
	}
	b := blocking{f, int(f.Fd())}
	if err := syscall.SetNonblock(b.fd, false); err != nil {
		tb.Error(err)
	}
	return b
}

func (b blocking) Read(p []byte) (int, error) {
	for {
		if n, err := syscall.Read(b.fd, p); err != syscall.EINTR {
			return n, err
		}
	}
}

func (b blocking) Write(p []byte) (int, error) { return syscall.Write(b.fd, p) }

// cannedBackend answers every head with the same bytes.
func cannedBackend(tb testing.TB, response []byte) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				b := newBlocking(tb, c)
				defer b.file.Close()
				buf, n := make([]byte, 8192), 0
				for {
					m, err := b.Read(buf[n:])
					if err != nil || m == 0 {
						return
					}
					if n += m; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
						continue
					}
					n = 0
					if _, err := b.Write(response); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}
