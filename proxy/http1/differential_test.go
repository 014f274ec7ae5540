package http1

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"
)

// FuzzDifferential plays the same bytes to this engine and to net/http's, which is an oracle in one
// direction: a request that net/http refuses is refused here too, and one that both accept is the
// same to their handlers.
func FuzzDifferential(f *testing.F) {
	seeds(f, func(sent []byte) { f.Add(sent) })
	f.Fuzz(func(t *testing.T, b []byte) { compareEngines(t, b) })
}

// TestDifferential does the same with requests that are put together from pieces which parsers are
// known to disagree about: a mutation of bytes seldom gets that far.
func TestDifferential(t *testing.T) {
	pieces := [][]string{
		{"GET", "GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get", "G(T", ""},
		{" ", " ", " ", " ", "  ", "\t"},
		{"/", "/", "/a?b", "*", "http://a/x", "http://b/", "https://a:443/", "a:443", "//a/b", "/%41", "/%2", "/%zz", "/\xc3\xa9", "/a b", "/a\x00", "/?\x7f", "http://u@a/", "http:a", "?", "/;x", "/#"},
		{" ", " ", " ", "  ", ""},
		{"HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 "},
		{"\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r"},
	}
	fields := []string{
		"Host: a", "Host: a", "Host: a", "Host: a:443", "Host: b", "Host:", "Host: a b", "host: [::1]", "Host: a:x",
		"Content-Length: 5", "Content-Length: 5", "Content-Length: 0", "Content-Length: +5", "Content-Length: 5, 5", "Content-Length: ", "content-length: 05",
		"Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: Chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding : chunked", "Transfer-Encoding:chunked",
		"Connection: close", "Connection: keep-alive", "Connection: Upgrade", "Upgrade: websocket", "Expect: 100-continue", "Expect: x", "Trailer: A", "Trailer: Content-Length",
		"X: y", "X:", "X", ": y", " X: y", "X y: z", "X: a\x00b", "X: a\rb", "X: \xff", "x_y: z", "Pragma: no-cache", "TE: trailers", "X: \ty\t",
	}
	bodies := []string{"", "", "hello", "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nA: b\r\n\r\n", "5;x\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n"}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	// mostly is the usual first piece four times of five.
	mostly := func(from []string) string {
		if random.IntN(5) > 0 {
			return from[0]
		}
		return pick(from)
	}
	accepted := 0
	for range 10000 {
		var b strings.Builder
		for range 1 + random.IntN(2) {
			for _, choices := range pieces {
				b.WriteString(mostly(choices))
			}
			if random.IntN(8) > 0 {
				b.WriteString("Host: a\r\n")
			}
			for range random.IntN(4) {
				b.WriteString(pick(fields) + mostly([]string{"\r\n", "\r\n", "\n"}))
			}
			b.WriteString("\r\n" + pick(bodies))
		}
		accepted += compareEngines(t, []byte(b.String()))
	}
	if accepted < 100 {
		t.Errorf("only %d requests were accepted: the pieces do not fit", accepted)
	}
}

// compareEngines returns how many requests both accept.
func compareEngines(t *testing.T, b []byte) (accepted int) {
	t.Helper()
	ours, _ := playOurs(b)
	theirs, answer := playTheirs(bytes.TrimPrefix(b, crlf)) // RFC 9112, 2.2: it takes none but after a POST
	for i, r := range ours {
		if strings.Contains(r, "\n! ") {
			break // the body did not come; how far each read does not matter
		}
		switch {
		case i < len(theirs) && r == theirs[i]:
			accepted++
			continue
		case i < len(theirs):
			t.Fatalf("%q, request %d\nhere     %q\nnet/http %q", b, i, r, theirs[i])
		case i > 0 && (bytes.Contains(b, []byte("\r\n\r\n\r\n")) || !strings.Contains(ours[i-1], "\n| \"\"")):
			// there may be such a line here too
		case refusedLast(answer):
			t.Fatalf("%q, request %d is accepted here: %q\nand refused by net/http: %q", b, i, r, answer)
		}
		break // net/http has closed the connection earlier than we
	}
	return accepted
}

// refusedLast reports whether the last response is not one of the handler.
func refusedLast(answer string) bool {
	i := strings.LastIndex(answer, "HTTP/1.1 ")
	if j := strings.LastIndex(answer, "HTTP/1.0 "); j > i {
		i = j
	}
	return i >= 0 && !strings.HasPrefix(answer[i+len("HTTP/1.1 "):], "200")
}

func playOurs(b []byte) (requests []string, answer string) {
	s := new(Server)
	return play(b, func(h http.Handler, c net.Conn) {
		s.Handler = h
		s.ServeConn(c, nil)
	})
}

func playTheirs(b []byte) (requests []string, answer string) {
	s := &http.Server{DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0)}
	return play(b, func(h http.Handler, c net.Conn) {
		s.Handler = h
		_ = s.Serve(&oneConn{c: c})
		<-c.(*scripted).closed
	})
}

func play(b []byte, serve func(h http.Handler, c net.Conn)) (requests []string, answer string) {
	var mu sync.Mutex
	c := &scripted{in: bytes.NewReader(b), closed: make(chan bool)}
	serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		description := describeBoth(r)
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, description)
		if strings.Contains(description, "\n! ") {
			panic(http.ErrAbortHandler)
		}
	}), c)
	mu.Lock()
	defer mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return requests, c.out.String()
}

// describeBoth is what two engines have to agree on.
func describeBoth(r *http.Request) string {
	if values := r.Header["Pragma"]; len(values) > 0 && values[0] == "no-cache" {
		delete(r.Header, "Cache-Control") // net/http makes one up
	}
	text := outline(r)
	body, err := io.ReadAll(r.Body)
	text += fmt.Sprintf("\n| %q", body)
	for name, values := range r.Trailer {
		if !httpguts.ValidTrailerHeader(name) || len(values) == 0 {
			delete(r.Trailer, name) // dropped here, or announced and not sent
		}
	}
	text += fmt.Sprintf("\n+ %q", headerLines(r.Trailer))
	if err != nil {
		text += "\n! " + err.Error()
	}
	return text
}

// scripted is a connection whose client has sent all that it will.
type scripted struct {
	mu     sync.Mutex
	in     *bytes.Reader
	out    bytes.Buffer
	once   sync.Once
	closed chan bool
}

func (c *scripted) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.Read(p)
}

func (c *scripted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *scripted) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *scripted) SetDeadline(time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

// oneConn is a listener that accepts one connection.
type oneConn struct {
	c    net.Conn
	done bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.done {
		return nil, io.EOF
	}
	l.done = true
	return l.c, nil
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
