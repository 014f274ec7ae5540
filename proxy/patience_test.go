package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// hasty is a ClientTimeout of these tests.
const hasty = 300 * time.Millisecond

// silence waits for longer than timeout, or until done.
func silence(timeout time.Duration, done <-chan struct{}) {
	select {
	case <-time.After(2*timeout + timeout/2):
	case <-done:
	}
}

// TestQuietResponse: over HTTP/2 the time that a client has to take what is written ran also while
// nothing was written: a stream of events with a long pause was reset.
func TestQuietResponse(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "one, ")
		_ = http.NewResponseController(w).Flush()
		silence(hasty, r.Context().Done())
		_, _ = io.WriteString(w, "two")
	})}, func(f *front) { f.server.ClientTimeout = hasty })
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		if _, body := do(t, c, request(t, "GET", base+"/", nil)); body != "one, two" {
			t.Errorf("got %q, want all of it", body)
		}
	})
}

// TestQuietDialogue: a client that has nothing to say for a while was cut in the middle of a response, as
// of a gRPC call that streams both ways.
func TestQuietDialogue(t *testing.T) {
	const timeout = time.Second // in which the response has to begin
	f := singleBackend(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = control.Flush()
			if err != nil {
				return
			}
		}
	})}, func(f *front) { f.server.ClientTimeout = timeout })
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		body, client := io.Pipe()
		defer body.Close()
		go func() {
			_, _ = io.WriteString(client, "one, ")
			silence(timeout, t.Context().Done())
			_, _ = io.WriteString(client, "two")
			_ = client.Close()
		}()
		if _, got := do(t, c, request(t, "POST", base+"/", body)); got != "one, two" {
			t.Errorf("got %q, want all of it", got)
		}
	})
}

// A client that sends nothing of a body is not waited for as long as there is no response.
func TestSilentBodyOverHTTP2(t *testing.T) {
	f := echoFront(t, func(f *front) { f.server.ClientTimeout = hasty })
	c := dialHTTP2(t, f)
	c.request(t, false, ":method", "POST", ":scheme", "https", ":authority", "a.example", ":path", "/")
	if status, _ := c.answer(t); status != "408" {
		t.Errorf("got %s, want 408", status)
	}
	if x := f.exchange(t, 0); x.Reason != "body-timeout" {
		t.Errorf("recorded reason %q, want body-timeout", x.Reason)
	}
}

// A client that opens no window for a response is cut, be it while that is written or when the
// handler has returned.
func TestStalledReaderOverHTTP2(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length := 10
		if r.URL.Path == "/long" {
			length = 1 << 20
		}
		_, _ = w.Write(make([]byte, length))
	})}, func(f *front) { f.server.ClientTimeout = hasty })
	for _, path := range []string{"/long", "/short"} {
		c := dialHTTP2(t, f, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c.request(t, true, ":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", path)
		if status, end := c.answer(t); status != "200" || end != "INTERNAL_ERROR" {
			t.Errorf("%s: got %s and the end %q, want a reset of a response 200", path, status, end)
		}
	}
}

// TestMalformedHTTP2Requests: what the server of HTTP/2 lets pass was sent to a backend without its body,
// or answered with 502 as if the backend were to blame.
func TestMalformedHTTP2Requests(t *testing.T) {
	b := &proxytest.Backend{Handler: proxytest.Echo("web-1")}
	f := singleBackend(t, b, nil)
	for i, tt := range []struct{ name, fields, reason string }{
		{"length that is none", "POST|/|content-length|5x", "bad-content-length"},
		{"two lengths", "POST|/|content-length|5|content-length|6", "bad-content-length"},
		{"method that is no token", "GET /x|/", "bad-request-line"},
		{"space in the path", "GET|/a b", "bad-target"},
	} {
		fields := strings.Split(tt.fields, "|")
		all := append([]string{":method", fields[0], ":path", fields[1], ":scheme", "https", ":authority", "a.example"}, fields[2:]...)
		c := dialHTTP2(t, f)
		c.request(t, true, all...)
		status, reset := c.answer(t)
		if status != "400" || reset != "" {
			t.Errorf("%s: got %s and the reset %q, want a complete 400", tt.name, status, reset)
		}
		if x := f.exchange(t, i); x.Reason != tt.reason {
			t.Errorf("%s: recorded reason %q, want %q", tt.name, x.Reason, tt.reason)
		}
	}
	if n := b.Requests(); n != 0 {
		t.Errorf("the backend got %d requests, want none", n)
	}
}

// rawHTTP2 is a connection of HTTP/2 that frames are written to as they stand.
type rawHTTP2 struct {
	*http2.Framer
	fields *hpack.Decoder
}

func dialHTTP2(t *testing.T, f *front, settings ...http2.Setting) *rawHTTP2 {
	t.Helper()
	c, err := tls.Dial("tcp", f.https(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	raw := &rawHTTP2{http2.NewFramer(c, c), hpack.NewDecoder(4096, nil)}
	if err := raw.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return raw
}

// request sends the head of a request, of names and values.
func (c *rawHTTP2) request(t *testing.T, whole bool, fields ...string) {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: whole}); err != nil {
		t.Fatal(err)
	}
}

// answer reads a response, drops its body, and returns its status and the code that it was reset
// with, if it was.
func (c *rawHTTP2) answer(t *testing.T) (status, reset string) {
	t.Helper()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			t.Fatalf("after status %q: %v", status, err)
		}
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			fields, err := c.fields.DecodeFull(frame.HeaderBlockFragment())
			if err != nil {
				t.Fatal(err)
			}
			if status == "" {
				status = fields[0].Value
			}
			if frame.StreamEnded() {
				return status, ""
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return status, ""
			}
		case *http2.RSTStreamFrame:
			return status, frame.ErrCode.String()
		}
	}
}
