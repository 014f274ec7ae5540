package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// counting answers with the number of bytes that a body had, and its trailer Check.
func counting(nc *net.TCPConn) {
	r := bufio.NewReader(nc)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, req.Body)
		if err != nil {
			return
		}
		text := fmt.Sprintf("%d%v%s", n, req.TransferEncoding, req.Trailer.Get("Check"))
		fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	}
}

// Bodies of any length arrive whole, announced or not.
func TestClientUpload(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, counting)
	for _, n := range []int{1, inlineBody - 1, inlineBody, inlineBody + 1, 4*smallBuffer - 8, 4 * smallBuffer, 100000, 1 << 20} {
		body := strings.Repeat("x", n)
		ct.want(t, newRequest(t, "POST", "/", strings.NewReader(body)), 200, fmt.Sprint(n, "[]"))
		ct.want(t, newRequest(t, "POST", "/", io.MultiReader(strings.NewReader(body))), 200, fmt.Sprint(n, "[chunked]"))
		ct.want(t, newRequest(t, "POST", "/", iotestOneByte{strings.NewReader(body[:min(n, 1000)])}), 200, fmt.Sprint(min(n, 1000), "[chunked]"))
	}
	ct.want(t, newRequest(t, "POST", "/", io.MultiReader()), 200, "0[chunked]")
	ct.want(t, newRequest(t, "POST", "/", nil), 200, "0[]")
}

type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

func TestClientRequestTrailer(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, counting)
	req := newRequest(t, "POST", "/", nil)
	req.ContentLength = -1
	req.Trailer = http.Header{"Check": nil}
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader("body"), readerFunc(func([]byte) (int, error) {
		req.Trailer["Check"] = []string{"17"} // as in a server, it is there at the end
		return 0, io.EOF
	})))
	ct.want(t, req, 200, "4[chunked]17")
	for _, bad := range []http.Header{{"Check": {"a\r\nB: c"}}, {"Content-Length": {"1"}}} {
		req := newRequest(t, "POST", "/", io.MultiReader(strings.NewReader("body")))
		req.Trailer = bad
		if _, _, err := ct.roundTrip(req, nil); err == nil {
			t.Errorf("want the trailer %v refused", bad)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A body that breaks off is not a shorter body.
func TestClientBodyFails(t *testing.T) {
	broken := errors.New("the client is gone")
	fails := func(n int) io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat("x", n)), readerFunc(func([]byte) (int, error) { return 0, broken }))
	}
	var whole atomic.Int64
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		if readRequest(bufio.NewReader(nc)) {
			whole.Add(1)
		}
	})
	for _, test := range []struct {
		name   string
		body   io.Reader
		length int64
		want   error
	}{
		{"inline", fails(10), 20, broken},
		{"inline short", io.MultiReader(strings.NewReader("x")), 20, io.ErrUnexpectedEOF},
		{"inline empty", io.MultiReader(), 20, io.ErrUnexpectedEOF},
		{"announced", fails(10), 100000, broken},
		{"announced short", io.MultiReader(strings.NewReader("x")), 100000, io.ErrUnexpectedEOF},
		{"chunked", fails(10), -1, broken},
		{"chunked at once", fails(0), -1, broken},
	} {
		body := &closeCounter{Reader: test.body}
		req := newRequest(t, "POST", "/", nil)
		req.Body, req.ContentLength = body, test.length
		_, _, err := ct.roundTrip(req, nil)
		if e := wantStage(t, err, StageBody); !errors.Is(err, test.want) || !e.BodyRead {
			t.Errorf("%s: want %v, got %+v", test.name, test.want, e)
		}
		waitFor(t, "the body is closed", func() bool { return body.closed.Load() == 1 })
	}
	if n := whole.Load(); n != 0 {
		t.Errorf("%d requests looked whole", n)
	}
}

type closeCounter struct {
	io.Reader
	closed atomic.Int64
}

func (c *closeCounter) Close() error {
	c.closed.Add(1)
	return nil
}

// A connection to which nothing was written, as the body could not be read, is used again.
func TestClientBodyFailsUnsent(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, always(okReply))
	for range 5 {
		req := newRequest(t, "POST", "/", io.MultiReader())
		req.ContentLength = 10
		_, _, err := ct.roundTrip(req, nil)
		wantStage(t, err, StageBody)
		ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
	}
	if n := ct.accepted.Load(); n != 1 {
		t.Errorf("want one connection, got %d", n)
	}
}

// D16: a server that answers before it has read the body, and reads no more of it, is heard at
// once, and the connection is not used again.
func TestClientEarlyResponse(t *testing.T) {
	const refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"
	for _, length := range []int64{1 << 30, -1} {
		stop := make(chan struct{})
		ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
			if _, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
				io.WriteString(nc, refusal)
				<-stop
			}
		})
		body := &closeCounter{Reader: endless{stop}}
		req := newRequest(t, "POST", "/", nil)
		req.Body, req.ContentLength = body, length
		start := time.Now()
		if status, _, err := ct.roundTrip(req, nil); status != 413 || err != nil {
			t.Errorf("want 413, got %d, %v", status, err)
		}
		t.Logf("the refusal of %d bytes came after %v", length, time.Since(start))
		waitFor(t, "the connection is closed", func() bool { return ct.Connections() == 0 })
		waitFor(t, "the body is closed", func() bool { return body.closed.Load() == 1 })
		close(stop)
	}
}

// A response that comes while the body is being sent is not cut off by the body's end.
func TestClientFullDuplex(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.WriteString(nc, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			lines := bufio.NewReader(req.Body)
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					break
				}
				fmt.Fprintf(nc, "%x\r\n%s\r\n", len(line), line)
			}
			io.WriteString(nc, "0\r\n\r\n")
		}
	})
	for range 3 {
		r, w := io.Pipe()
		resp, err := ct.Do(newRequest(t, "POST", "/", r), &Call{})
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Body)
		for i := range 10 {
			want := fmt.Sprintln("line", i)
			io.WriteString(w, want)
			if line, err := lines.ReadString('\n'); line != want || err != nil {
				t.Fatalf("want %q back before the next is sent, got %q, %v", want, line, err)
			}
		}
		w.Close()
		if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
			t.Errorf("want the end, got %q, %v", rest, err)
		}
		resp.Body.Close()
	}
}

// D17: the body of a request with Expect is sent after 100, or when that does not come; it is not
// after a final response, and then the connection is not used again.
func TestClientExpectContinue(t *testing.T) {
	const refusal = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
	for _, test := range []struct {
		name   string
		before string // what the server sends when it has the head
		after  string // when it has the body; "" if it does not want it
		status int
	}{
		{"100", "HTTP/1.1 100 Continue\r\n\r\n", okReply, 200},
		{"100 twice", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", okReply, 200},
		{"102 first", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", okReply, 200},
		{"silence", "", okReply, 200},
		{"417", refusal, "", 417},
		{"200 without 100", okReply, "", 200},
		{"100, then early 417", "HTTP/1.1 100 Continue\r\n\r\n" + refusal, "", 417},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
				r := bufio.NewReader(nc)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if r.Buffered() > 0 {
						t.Error("the body came with the head")
					}
					io.WriteString(nc, test.before)
					if test.after == "" {
						hang(nc)
						return
					}
					if body, err := io.ReadAll(req.Body); string(body) != "body" {
						t.Errorf("got the body %q, %v", body, err)
					}
					io.WriteString(nc, test.after)
				}
			})
			for i := range 3 {
				body := &closeCounter{Reader: strings.NewReader("body")}
				req := newRequest(t, "POST", "/", nil)
				req.Body, req.ContentLength = body, 4
				req.Header["Expect"] = []string{"100-Continue"}
				var call Call
				status, _, err := ct.roundTrip(req, &call)
				if status != test.status || err != nil {
					t.Fatalf("want %d, got %d, %v", test.status, status, err)
				}
				if sent := strings.Contains(test.before, "100 Continue") || test.after != ""; call.BodyRead != sent {
					t.Errorf("want bodyRead=%t", sent)
				}
				if test.after == "" && ct.accepted.Load() != int64(i+1) {
					t.Error("a connection was used again after its request was not sent whole")
				}
			}
		})
	}
}

// D17: none of what a server may do about Expect spoils the connection of another request.
func TestClientExpectMixed(t *testing.T) {
	ct := newClientTest(t, &ClientSet{}, func(nc *net.TCPConn) {
		r := bufio.NewReader(nc)
		for i := 0; ; i++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			id := req.URL.RawQuery
			if req.Header.Get("Expect") != "" && i%3 == 0 {
				fmt.Fprintf(nc, "HTTP/1.1 417 No\r\nContent-Length: %d\r\n\r\n%s", len(id), id)
				continue // what comes next must be a request, not the body
			}
			if req.Header.Get("Expect") != "" {
				io.WriteString(nc, "HTTP/1.1 100 Continue\r\n\r\n")
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			if len(body) > 0 && string(body) != id {
				t.Errorf("got the body %q for %s", body, id)
			}
			fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(id), id)
		}
	})
	requests := 10000
	if testing.Short() {
		requests = 500
	}
	for i := range requests {
		id := fmt.Sprint(i)
		req := newRequest(t, "GET", "/?"+id, nil)
		if i%2 == 0 {
			req = newRequest(t, "POST", "/?"+id, strings.NewReader(id))
			req.Header["Expect"] = []string{"100-continue"}
		}
		if _, body, err := ct.roundTrip(req, nil); body != id || err != nil {
			t.Fatalf("request %s got %q, %v", id, body, err)
		}
	}
}

// The memory of an upload does not depend on its length.
func TestClientLargeUpload(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() || raceEnabled {
		size = 64 << 20
	}
	ct := newClientTest(t, &ClientSet{}, counting)
	for _, length := range []int64{size, -1} {
		req := newRequest(t, "POST", "/", io.LimitReader(zeros{}, size))
		req.ContentLength = length
		_, got, err := ct.roundTrip(req, nil)
		if err != nil || !bytes.HasPrefix([]byte(got), fmt.Append(nil, size)) {
			t.Errorf("want %d bytes, got %s, %v", size, got, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
