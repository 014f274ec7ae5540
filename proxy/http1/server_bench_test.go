package http1

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

const benchRequest = "GET /api/v1/items/42?fields=name HTTP/1.1\r\n" +
	"Host: shop.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"

// BenchmarkServe is one request on a warm loopback connection, the client's share included:
// it writes constant bytes and reads as many as it expects.
func BenchmarkServe(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1024)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = plainText
		w.Header()["Content-Length"] = length1024
		w.Write(body)
	})
	b.Run("http1", func(b *testing.B) {
		s := &Server{Handler: h}
		l := listen(b)
		go s.Serve(l)
		defer s.Close()
		benchmarkServer(b, l.Addr().String())
	})
	b.Run("net/http", func(b *testing.B) {
		s := &http.Server{Handler: h}
		l := listen(b)
		go s.Serve(l)
		defer s.Close()
		benchmarkServer(b, l.Addr().String())
	})
}

var (
	plainText  = []string{"text/plain"}
	length1024 = []string{"1024"}
)

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func benchmarkServer(b *testing.B, address string) {
	c := dial(b, address)
	request := []byte(benchRequest)
	buf := make([]byte, 8<<10)
	_, _ = c.Write(request)
	first, err := c.Read(buf)
	if err != nil {
		b.Fatal(err)
	}
	size := first
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf[:size]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used, which a busy machine disturbs less than time.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// An ordinary request costs one allocation: the string of its head.
func TestServeAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget")
	}
	body := bytes.Repeat([]byte("x"), 1024)
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = plainText
		w.Header()["Content-Length"] = length1024
		w.Write(body)
	})}
	l := listen(t)
	go s.Serve(l)
	defer s.Close()
	c := dial(t, l.Addr().String())
	request, buf := []byte(benchRequest), make([]byte, 8<<10)
	size := 0
	once := func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		n, err := io.ReadAtLeast(c, buf, max(size, 1))
		if err != nil {
			t.Fatal(err)
		}
		size = n
	}
	once()
	if got := testing.AllocsPerRun(1000, once); got > 1 {
		t.Errorf("got %v allocations a request, want at most 1", got)
	}
}
