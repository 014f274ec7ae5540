package proxy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// keepingFront has one rule, for a.example, that reads bodies whole, the first KiB in memory.
func keepingFront(t *testing.T, limits BodyLimits, b *proxytest.Backend, edit func(*policy.Set)) *front {
	t.Helper()
	set := &policy.Set{Buffer: policy.Buffer{Request: true, Memory: 1 << 10}}
	if edit != nil {
		edit(set)
	}
	r := rule("a.example", "/", webKey)
	r.Policies = set
	f := newFront(t, Config{Hosts: ByHost([]*Rule{r})}, func(f *front) { f.Bodies = limits })
	f.lead(t, webKey, b)
	return f
}

// nothingHeld waits until no body is held, and checks that no file is left.
func (f *front) nothingHeld(t *testing.T) {
	t.Helper()
	eventually(t, "nothing is held", func() bool {
		c := f.BodyCounts()
		return c.MemoryBytes == 0 && c.FileBytes == 0
	})
	if f.Bodies.Dir == "" {
		return
	}
	files, err := os.ReadDir(f.Bodies.Dir)
	if err != nil || len(files) > 0 {
		t.Errorf("files are left: %v, %v", files, err)
	}
}

// digest answers with the length that was announced, and what came.
var digest = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	fmt.Fprintf(w, "%d %d %x %v %s", r.ContentLength, n, h.Sum(nil), err, r.Trailer.Get("Check"))
})

// A body arrives whole, with its length, wherever it was kept.
func TestBodyKept(t *testing.T) {
	f := keepingFront(t, BodyLimits{Dir: t.TempDir()}, &proxytest.Backend{Handler: digest}, nil)
	plain, h2 := client(t, nil), client(t, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = true })
	for _, size := range []int{1, 100, 1<<10 - 1, 1 << 10, 1<<10 + 1, 20 << 10, 32<<10 + 1<<10, 100_000, 3 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
		for _, announced := range []bool{true, false} {
			for url, c := range map[string]*http.Client{"http://" + f.http(): plain, "https://" + f.https(): h2} {
				var r io.Reader = bytes.NewReader(body)
				if !announced {
					r = io.MultiReader(r)
				}
				_, got := do(t, c, request(t, "POST", url, r))
				if want := fmt.Sprintf("%d %d %x <nil> ", size, size, sha256.Sum256(body)); got != want {
					t.Errorf("%d bytes, announced %v, %s: want %s, got %s", size, announced, url[:5], want, got)
				}
			}
		}
	}
	f.nothingHeld(t)
	if c := f.BodyCounts(); c.Memory != 16 || c.File != 20 || c.Streamed+c.Failed != 0 {
		t.Errorf("got %+v", c)
	}
	for _, x := range f.recorded() {
		if x.BytesIn == 0 {
			t.Errorf("want the bytes counted, got %+v", x)
		}
	}
}

// A request depends on the default when its body got a length by it, or was sent again.
func TestBodyKeptByQuirk(t *testing.T) {
	b := &proxytest.Backend{Handler: digest}
	f := keepingFront(t, BodyLimits{}, b, func(s *policy.Set) { s.Quirks = s.Quirks.With(policy.QuirkRequestBuffering) })
	for i, body := range []io.Reader{strings.NewReader("body"), io.MultiReader(strings.NewReader("body")), strings.NewReader("body")} {
		do(t, client(t, nil), request(t, "POST", "http://"+f.http(), body))
		if got := f.QuirkRequests(policy.QuirkRequestBuffering); got != uint64(min(i, 1)) {
			t.Errorf("after %d requests: want %d counted, got %d", i+1, min(i, 1), got)
		}
	}
}

// The backend gets nothing before the body is whole.
func TestBodyKeptFromBackend(t *testing.T) {
	b := &proxytest.Backend{Handler: digest}
	f := keepingFront(t, BodyLimits{Dir: t.TempDir()}, b, nil)
	c := dialRaw(t, f.http())
	c.send(t, "POST / HTTP/1.1", "Host: a.example", "Content-Length: 5000", "", strings.Repeat("x", 4999))
	eventually(t, "the most of it is held", func() bool { return f.BodyCounts().FileBytes > 0 })
	if b.Accepted() != 0 {
		t.Error("a connection was made to the backend")
	}
	c.send(t, "x")
	if resp, body, err := c.receive(t, "POST"); err != nil || resp.StatusCode != 200 || !strings.HasPrefix(body, "5000 5000 ") {
		t.Errorf("got %v, %q, %v", resp, body, err)
	}
	// The connection goes on.
	c.send(t, "GET / HTTP/1.1", "Host: a.example", "", "")
	if resp, _, err := c.receive(t, "GET"); err != nil || resp.StatusCode != 200 {
		t.Errorf("got %v, %v", resp, err)
	}
	f.nothingHeld(t)
}

// Where there is no room a body is streamed, in part or from its beginning. It arrives all the same.
func TestBodyBeyondLimits(t *testing.T) {
	const size = 200_000
	body := bytes.Repeat([]byte("0123456789"), size/10)
	for name, test := range map[string]struct {
		limits    BodyLimits
		announced bool
	}{
		"no directory, announced":   {BodyLimits{}, true},
		"no directory":              {BodyLimits{}, false},
		"no room at all":            {BodyLimits{Memory: -1, Disk: -1}, false},
		"small disk, announced":     {BodyLimits{Disk: 70_000}, true},
		"small disk":                {BodyLimits{Disk: 70_000}, false},
		"no disk":                   {BodyLimits{Disk: -1}, false},
		"no memory and small disk":  {BodyLimits{Memory: -1, Disk: 70_000}, false},
		"little memory, small disk": {BodyLimits{Memory: 100, Disk: 70_000}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.HasPrefix(name, "no directory") {
				test.limits.Dir = t.TempDir()
			}
			f := keepingFront(t, test.limits, &proxytest.Backend{Handler: digest}, nil)
			var r io.Reader = bytes.NewReader(body)
			announced := size
			if !test.announced {
				r, announced = io.MultiReader(r), -1
			}
			_, got := do(t, client(t, nil), request(t, "POST", "http://"+f.http(), r))
			if want := fmt.Sprintf("%d %d %x <nil> ", announced, size, sha256.Sum256(body)); got != want {
				t.Errorf("want %s, got %s", want, got)
			}
			f.nothingHeld(t)
			if c := f.BodyCounts(); c.Streamed != 1 || c.Memory+c.File+c.Failed != 0 {
				t.Errorf("got %+v", c)
			}
		})
	}
}

// Without memory the file takes all.
func TestBodyNoMemory(t *testing.T) {
	f := keepingFront(t, BodyLimits{Dir: t.TempDir(), Memory: -1}, &proxytest.Backend{Handler: digest}, nil)
	if _, got := do(t, client(t, nil), request(t, "POST", "http://"+f.http(), strings.NewReader("body"))); !strings.HasPrefix(got, "4 4 ") {
		t.Errorf("got %s", got)
	}
	if c := f.BodyCounts(); c.File != 1 {
		t.Errorf("got %+v", c)
	}
	f.nothingHeld(t)
}

// A file that cannot be written is an answer of our own, and the backend gets nothing.
func TestBodyFileFails(t *testing.T) {
	b := &proxytest.Backend{Handler: digest}
	f := keepingFront(t, BodyLimits{Dir: filepath.Join(t.TempDir(), "gone")}, b, nil)
	for _, announced := range []bool{true, false} {
		var r io.Reader = bytes.NewReader(make([]byte, 5000))
		if !announced {
			r = io.MultiReader(r)
		}
		resp, _ := do(t, client(t, nil), request(t, "POST", "http://"+f.http(), r))
		if resp.StatusCode != 503 || resp.Header.Get(ReasonHeader) != "body-buffer-failed" {
			t.Errorf("want 503, got %d, %s", resp.StatusCode, resp.Header.Get(ReasonHeader))
		}
	}
	if c := f.BodyCounts(); c.Failed != 2 || b.Accepted() != 0 {
		t.Errorf("got %+v, and %d connections", c, b.Accepted())
	}
	if x := f.exchange(t, 0); !errors.Is(x.Err, errNotKept) {
		t.Errorf("want the reason, got %v", x.Err)
	}
	// What memory holds needs no file.
	if _, got := do(t, client(t, nil), request(t, "POST", "http://"+f.http(), strings.NewReader("body"))); !strings.HasPrefix(got, "4 4 ") {
		t.Errorf("got %s", got)
	}
	f.Bodies.Dir = ""
	f.nothingHeld(t)
}

// A disk that is full while a body is written.
func TestBodyWriteFails(t *testing.T) {
	s := &bodyStore{BodyLimits: BodyLimits{Dir: t.TempDir()}.withDefaults()}
	file, err := os.Open(t.TempDir()) // which cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	b := &keptBody{store: s, file: file}
	if err := b.fill(strings.NewReader("body"), -1, 0); !errors.Is(err, errNotKept) {
		t.Errorf("want errNotKept, got %v", err)
	}
	b.release()
	if c := s.counts(); c.FileBytes != 0 || c.MemoryBytes != 0 {
		t.Errorf("got %+v", c)
	}
}

// Of a client that leaves in the middle, nothing stays and nothing reaches the backend.
func TestBodyClientLeaves(t *testing.T) {
	b := &proxytest.Backend{Handler: digest}
	f := keepingFront(t, BodyLimits{Dir: t.TempDir()}, b, nil)
	for _, head := range []string{"Content-Length: 90000", "Transfer-Encoding: chunked"} {
		c := dialRaw(t, f.http())
		c.send(t, "POST / HTTP/1.1", "Host: a.example", head, "", "")
		if strings.HasPrefix(head, "Transfer") {
			c.send(t, "10000", "")
		}
		c.send(t, strings.Repeat("x", 40000))
		eventually(t, "a part is held", func() bool { return f.BodyCounts().FileBytes > 0 })
		c.Close()
		f.nothingHeld(t)
	}
	if b.Accepted() != 0 {
		t.Errorf("%d connections were made", b.Accepted())
	}
}

// The limit of a body counts while it is read.
func TestBodyKeptTooLarge(t *testing.T) {
	b := &proxytest.Backend{Handler: digest}
	f := keepingFront(t, BodyLimits{Dir: t.TempDir()}, b, func(s *policy.Set) { s.BodySize = 50_000 })
	resp, _ := do(t, client(t, nil), request(t, "POST", "http://"+f.http(), io.MultiReader(bytes.NewReader(make([]byte, 50_001)))))
	if resp.StatusCode != 413 || b.Accepted() != 0 {
		t.Errorf("want 413 and no connection, got %d, %d", resp.StatusCode, b.Accepted())
	}
	f.nothingHeld(t)
}

// A body that was kept is sent again.
func TestBodyKeptRetried(t *testing.T) {
	for _, size := range []int{10, 900, 14 << 10, 500_000} {
		var n atomic.Int64
		b := &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				io.CopyN(io.Discard, r.Body, int64(size/2))
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			digest(w, r)
		})}
		f := keepingFront(t, BodyLimits{Dir: t.TempDir()}, b, func(s *policy.Set) {
			s.Retry = upstream.Retry{On: upstream.OnStatus(503) | upstream.NonIdempotent, Again: true}
		})
		resp, got := do(t, client(t, nil), request(t, "POST", "http://"+f.http(), bytes.NewReader(make([]byte, size))))
		if want := fmt.Sprintf("%d %d ", size, size); resp.StatusCode != 200 || !strings.HasPrefix(got, want) {
			t.Errorf("%d bytes: want them at the second try, got %d, %s", size, resp.StatusCode, got)
		}
		if x := f.exchange(t, 0); x.Attempts.Len() != 2 || x.BytesIn != int64(size) {
			t.Errorf("%d bytes: got %d attempts and %d bytes", size, x.Attempts.Len(), x.BytesIn)
		}
		f.nothingHeld(t)
	}
}

// Trailers come after the body, which then has no length.
func TestBodyKeptTrailers(t *testing.T) {
	f := keepingFront(t, BodyLimits{Dir: t.TempDir()}, &proxytest.Backend{Handler: digest}, nil)
	for _, body := range []string{"", "4\r\nbody\r\n"} {
		c := dialRaw(t, f.http())
		c.send(t, "POST / HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked", "Trailer: Check", "", body+"0", "Check: 17", "", "")
		_, got, err := c.receive(t, "POST")
		if err != nil || !strings.HasPrefix(got, "-1 "+strconv.Itoa(strings.Count(body, "body")*4)+" ") || !strings.HasSuffix(got, " 17") {
			t.Errorf("want a chunked body and the trailer, got %q, %v", got, err)
		}
	}
}

// A client that asks whether it may send is told so by us, and the backend is not asked.
func TestBodyKeptExpect(t *testing.T) {
	f := keepingFront(t, BodyLimits{Dir: t.TempDir()}, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", r.Header["Expect"])
	})}, nil)
	c := dialRaw(t, f.http())
	c.send(t, "POST / HTTP/1.1", "Host: a.example", "Content-Length: 4", "Expect: 100-continue", "", "")
	if line, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("want 100, got %q, %v", line, err)
	}
	c.r.ReadString('\n')
	c.send(t, "body")
	if _, got, err := c.receive(t, "POST"); err != nil || got != "[]" {
		t.Errorf("got %s, %v", got, err)
	}
}

// A stream of gRPC is never kept: its sender waits for what comes back.
func TestBodyOfStream(t *testing.T) {
	f := keepingFront(t, BodyLimits{Dir: t.TempDir()}, &proxytest.Backend{Handler: proxytest.GRPC()}, nil)
	f.pools.Pool(webKey).Set(upstream.Resolution{Protocol: upstream.H2C, Addresses: []upstream.Address{f.pools.Pool(webKey).Endpoints()[0].Address()}})
	reader, writer := io.Pipe()
	req := request(t, "POST", "https://"+f.https()+"/cart.Cart/Add", reader)
	req.Header.Set("Content-Type", "application/grpc+proto; x=y")
	req.Header.Set("Te", "trailers")
	resp, err := client(t, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = true }).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := proxytest.WriteMessage(writer, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := proxytest.ReadMessage(resp.Body); string(got) != "hello" || err != nil {
		t.Errorf("want the message back before the end, got %q, %v", got, err)
	}
	writer.Close()
	io.Copy(io.Discard, resp.Body)
	if c := f.BodyCounts(); c != (BodyCounts{}) {
		t.Errorf("got %+v", c)
	}
}

// What is read from a released body is an error, not another's bytes.
func TestKeptReaderAfterRelease(t *testing.T) {
	s := &bodyStore{BodyLimits: BodyLimits{Dir: t.TempDir()}.withDefaults()}
	b, err := s.keep(strings.NewReader(strings.Repeat("x", 100)), 100, 10)
	if err != nil || !b.whole || b.size != 100 || b.file == nil {
		t.Fatalf("got %+v, %v", b, err)
	}
	one, two := b.reader(nil), b.reader(nil)
	got, err := io.ReadAll(one)
	if len(got) != 100 || err != nil {
		t.Errorf("got %d, %v", len(got), err)
	}
	one.Close()
	if _, err := one.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("want os.ErrClosed, got %v", err)
	}
	b.release()
	if got, err := io.ReadAll(two); len(got) > 10 || err == nil {
		t.Errorf("want an error after what is in memory, got %d, %v", len(got), err)
	}
}
