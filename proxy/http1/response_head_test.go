package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestResponseVectors has a server send the raw bytes of testdata/responses, and compares what
// comes of it. README.md there says how to read and write them.
func TestResponseVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/responses/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	for _, file := range files {
		for _, v := range readVectors(t, file) {
			if other, ok := seen[v.name]; ok {
				t.Errorf("%s: the name %s is taken in %s", v.where, v.name, other)
			}
			seen[v.name] = v.where
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				v.runResponse(t)
			})
		}
	}
	if len(seen) < 80 {
		t.Errorf("got %d vectors, want at least 80", len(seen))
	}
}

func (v *vector) runResponse(t *testing.T) {
	method, want, _ := strings.Cut(strings.Join(v.want, "\n"), " ")
	send, closes := strings.CutSuffix(string(v.send), "<EOF>")
	set := &ClientSet{HeadTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second}
	ct := newClientTest(t, set, func(nc *net.TCPConn) {
		if !readRequest(bufio.NewReader(nc)) {
			return
		}
		io.WriteString(nc, send)
		if !closes {
			hang(nc)
		}
	})
	if got := ct.describe(newRequest(t, method, "/", nil)); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", v.where, got, want)
	}
}

// describe sends a request and says what came of it, in the words of the vectors.
func (ct *clientTest) describe(req *http.Request) string {
	var lines []string
	resp, err := ct.Do(req, &Call{Interim: func(code int, h http.Header) error {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("< %d %s", code, strings.Join(headerLines(h), ", "))))
		return nil
	}})
	if err != nil {
		var failed *ClientError
		if !errors.As(err, &failed) {
			return err.Error()
		}
		return fmt.Sprintf("! %s: %s", failed.Stage, cause(failed.Err))
	}
	lines = append([]string{resp.Status}, lines...)
	lines = append(lines, headerLines(resp.Header)...)
	body, err := io.ReadAll(resp.Body)
	if len(body) > 0 {
		lines = append(lines, "| "+string(body))
	}
	for _, line := range headerLines(resp.Trailer) {
		lines = append(lines, "+ "+line)
	}
	if err != nil {
		lines = append(lines, "! "+cause(err))
	}
	resp.Body.Close()
	ct.mu.Lock()
	defer ct.mu.Unlock()
	if len(ct.idle) > 0 {
		lines = append(lines, "again")
	}
	return strings.Join(lines, "\n")
}

// cause is a Reason, or the error itself.
func cause(err error) string {
	var bad *Fault
	if errors.As(err, &bad) {
		return string(bad.Reason)
	}
	return err.Error()
}

// FuzzResponseHead compares with net/http, which accepts more: what it refuses, so do we, and
// where both accept, they understand the same.
func FuzzResponseHead(f *testing.F) {
	for _, s := range []string{
		okReply,
		"HTTP/1.0 200\r\n\r\nrest",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n1\r\na\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nConnection: close, x\r\n\r\n",
		"HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, raw string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		var s headScanner
		end, err := responseEnd([]byte(raw), &s)
		// However it is cut into reads, the end is found in the same place.
		var pieces headScanner
		cutEnd, cutErr := 0, error(nil)
		for n := 1; n <= len(raw) && cutEnd == 0 && cutErr == nil; n += 1 + n/3 {
			cutEnd, cutErr = responseEnd([]byte(raw[:n]), &pieces)
		}
		if cutEnd == 0 && cutErr == nil && raw != "" {
			cutEnd, cutErr = responseEnd([]byte(raw), &pieces)
		}
		if err == nil && cutErr == nil && cutEnd != end {
			t.Fatalf("the head ends at %d, in pieces at %d", end, cutEnd)
		}
		if err != nil || end == 0 {
			return
		}
		var (
			h      responseHead
			store  fieldStore
			header = make(http.Header)
		)
		if h.parse(raw[:end], method, header, &store) != nil {
			return
		}
		want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if want.StatusCode != h.code || want.ProtoMinor != h.minor || strings.TrimSpace(want.Status) != strings.TrimSpace(h.status) {
			t.Fatalf("want %q 1.%d, got %q 1.%d", want.Status, want.ProtoMinor, h.status, h.minor)
		}
		if h.code >= 200 && want.Close == h.keepAlive && h.code != 204 && !(want.Close && h.minor == 0) {
			t.Fatalf("want close=%t, got keepAlive=%t", want.Close, h.keepAlive)
		}
		for _, moved := range []string{"Trailer", "Connection"} { // net/http takes them out, some of the time
			delete(header, moved)
			delete(want.Header, moved)
		}
		if got, want := headerLines(header), headerLines(want.Header); !slices.Equal(got, want) {
			t.Fatalf("want the fields %q, got %q", want, got)
		}
		if h.framing == framingLength && want.ContentLength != h.length {
			t.Fatalf("want the length %d, got %d", want.ContentLength, h.length)
		}
		if chunked := len(want.TransferEncoding) > 0; h.code >= 200 && !head && chunked != (h.framing == framingChunked) && h.code != 204 && h.code != 304 {
			t.Fatalf("want chunked=%t, got framing %d", chunked, h.framing)
		}
	})
}
