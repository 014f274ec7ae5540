package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// notes collects what OnAttempt is told.
type notes struct {
	mu  sync.Mutex
	all []Attempt
}

func (n *notes) add(a Attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, a)
}

func (n *notes) get() []Attempt {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Attempt(nil), n.all...)
}

// An attempt is in flight until the end of the body, however that comes, and is told once.
func TestInFlight(t *testing.T) {
	b := start(t, &proxytest.Backend{})
	short := raw(t, proxytest.Reply{Bytes: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", End: proxytest.Close})
	read := func(resp *http.Response) { io.Copy(io.Discard, resp.Body) }
	tests := []struct {
		name           string
		method, target string
		backend        *proxytest.Backend
		end            func(*http.Response)
		received       int64
		endsItself     bool
	}{
		{"read", "GET", "/?size=100000", b, read, 100000, false},
		{"closed", "GET", "/?size=100000", b, func(r *http.Response) { r.Body.Close() }, 0, false},
		{"broken", "GET", "/", short, read, 5, false},
		{"empty", "GET", "/?size=0", b, read, 0, true},
		{"HEAD", "HEAD", "/?size=100", b, read, 0, true},
		{"204", "GET", "/?status=204", b, read, 0, true},
		{"304", "GET", "/?status=304", b, read, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var n notes
			p := newTestPool(t, Options{OnAttempt: n.add}, HTTP, test.backend.Addr())
			e := p.Endpoints()[0]
			var a Attempts
			req := request(t, test.method, test.target, nil)
			resp, err := p.Do(req, Hooks{}, &a)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Request != req {
				t.Error("want the caller's request in the response")
			}
			want := int64(1)
			if test.endsItself {
				want = 0
			}
			if e.InFlight() != want || p.active.Load() != want || int64(len(n.get())) != 1-want {
				t.Errorf("want %d in flight, got %d, %d, %d ended", want, e.InFlight(), p.active.Load(), len(n.get()))
			}
			test.end(resp)
			if e.InFlight() != 0 {
				t.Error("want it ended before Close")
			}
			resp.Body.Close()
			resp.Body.Close()
			if e.InFlight() != 0 || p.active.Load() != 0 {
				t.Errorf("want nothing in flight, got %d, %d", e.InFlight(), p.active.Load())
			}
			told := n.get()
			if len(told) != 1 || told[0] != a.Last() {
				t.Fatalf("want the attempt told once, got %+v, want %+v", told, a.Last())
			}
			at := told[0]
			if at.Received != test.received || at.Status != resp.StatusCode || at.Endpoint != e || (at.Err != nil) != (test.name == "broken") ||
				at.Connect <= 0 || at.Header < at.Connect || at.Duration < at.Header || at.Reused {
				t.Errorf("got %+v", at)
			}
		})
	}
}

func TestAttemptsTold(t *testing.T) {
	var n notes
	p := newTestPool(t, Options{OnAttempt: n.add}, HTTP, proxytest.Refused(t), start(t, &proxytest.Backend{}).Addr())
	get(t, p)
	get(t, p)
	told := n.get()
	if len(told) != 3 {
		t.Fatalf("want 3 attempts for 2 requests, got %d", len(told))
	}
	failed := 0
	for _, at := range told {
		if code, _ := Reason(at.Err); code == ConnectRefused {
			failed++
			if at.Connect != 0 || at.Header != 0 || at.Status != 0 || at.Duration <= 0 {
				t.Errorf("got %+v", at)
			}
		}
		if at.Endpoint.Key() != testKey || at.Start.IsZero() {
			t.Errorf("got %+v", at)
		}
	}
	if last := told[2]; failed != 1 || last.Err == nil && !last.Reused {
		t.Errorf("want one refused, one new and one reused, got %+v", told)
	}
}

func TestUpgrade(t *testing.T) {
	b := start(t, &proxytest.Backend{Handler: proxytest.WebSocket("ws")})
	p := newTestPool(t, Options{}, HTTP, b.Addr())
	e := p.Endpoints()[0]
	for _, closeWrite := range []bool{false, true} {
		req := request(t, "GET", "/", nil)
		req.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"},
		}
		var a Attempts
		resp, err := p.Do(req, Hooks{}, &a)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("want 101, got %v, %v", resp, err)
		}
		body := resp.Body.(io.ReadWriteCloser)
		hello := []byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'} // a text frame, masked with zeros
		if _, err := body.Write(hello); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(body, got); err != nil || string(got[2:]) != "hi" {
			t.Errorf("want the message back, got %q, %v", got, err)
		}
		if closeWrite {
			if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Error(err)
			}
			if rest, err := io.ReadAll(body); len(rest) != 0 || err != nil {
				t.Errorf("want the end after CloseWrite, got %q, %v", rest, err)
			}
		}
		if e.InFlight() != 1 {
			t.Errorf("want it in flight until Close, got %d", e.InFlight())
		}
		body.Close()
		if e.InFlight() != 0 || a.Last().Received != 4 {
			t.Errorf("want it ended with 4 bytes, got %d in flight, %+v", e.InFlight(), a.Last())
		}
		eventually(t, "the connection is closed", func() bool { return b.Open() == 0 })
	}
}

// D1: a response that ends early is not taken for a whole one, and the error says whose fault it is.
func TestBodyBroken(t *testing.T) {
	for name, reply := range map[string]proxytest.Reply{
		"length, closed":  {Bytes: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234", End: proxytest.Close},
		"length, reset":   {Bytes: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234", End: proxytest.Reset},
		"chunked, closed": {Bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n", End: proxytest.Close},
		"chunked, wrong":  {Bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\nx\r\n", End: proxytest.Hang},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTestPool(t, Options{}, HTTP, raw(t, reply).Addr())
			var a Attempts
			status, body, err := do(t, p, request(t, "GET", "/", nil), &a)
			if status != 200 || body != "1234" && name != "length, reset" {
				t.Errorf("want the part that came, got %d, %q", status, body)
			}
			wantReason(t, err, UpstreamReset, 502)
			if a.Last().Err != err || a.Last().Status != 200 {
				t.Errorf("want the error in the attempt, got %+v", a.Last())
			}
		})
	}
}

// Trailers go both ways, announced or not.
func TestTrailers(t *testing.T) {
	b := start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		io.Copy(w, r.Body)
		w.Header().Set("Sum", r.Trailer.Get("Check"))
		w.Header().Set(http.TrailerPrefix+"Late", "yes")
	})})
	for _, protocol := range []Protocol{HTTP, H2C} {
		p := newTestPool(t, Options{}, protocol, b.Addr())
		req := request(t, "POST", "/", nil)
		req.Trailer = http.Header{"Check": nil}
		req.ContentLength = -1
		// As in a server, the values are there when the body has been read.
		req.Body = io.NopCloser(io.MultiReader(bytes.NewReader([]byte("body")), readerFunc(func([]byte) (int, error) {
			req.Trailer["Check"] = []string{"17"}
			return 0, io.EOF
		})))
		resp, err := p.Do(req, Hooks{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "body" || err != nil || resp.Trailer.Get("Sum") != "17" || resp.Trailer.Get("Late") != "yes" {
			t.Errorf("%s: want the body and trailers, got %q, %v, %v", protocol, body, resp.Trailer, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A stream in both directions at once, as of gRPC, with its status in the trailers.
func TestGRPC(t *testing.T) {
	p := newTestPool(t, Options{}, H2C, start(t, &proxytest.Backend{Handler: proxytest.GRPC()}).Addr())
	reader, writer := io.Pipe()
	req := request(t, "POST", "/cart.Cart/Add", reader)
	req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Want-Status": {"5"}}
	resp, err := p.Do(req, Hooks{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 3 {
		want := fmt.Sprint("message ", i)
		if err := proxytest.WriteMessage(writer, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := proxytest.ReadMessage(resp.Body); string(got) != want || err != nil {
			t.Fatalf("want %q back before the next is sent, got %q, %v", want, got, err)
		}
	}
	writer.Close()
	if _, err := proxytest.ReadMessage(resp.Body); !errors.Is(err, io.EOF) {
		t.Errorf("want the end, got %v", err)
	}
	if resp.Trailer.Get("Grpc-Status") != "5" || resp.Trailer.Get("Grpc-Message") != "3 messages" {
		t.Errorf("got the trailers %v", resp.Trailer)
	}
	req = request(t, "POST", "/", nil)
	req.Header.Set("Want-Trailers-Only", "1")
	resp, err = p.Do(req, Hooks{}, nil)
	if err != nil || resp.Header.Get("Grpc-Status") != "0" {
		t.Errorf("want the status in the head, got %v, %v", resp, err)
	}
	resp.Body.Close()
}

// What is streamed arrives as it is sent.
func TestStreaming(t *testing.T) {
	b := newHeld(t)
	for _, protocol := range []Protocol{HTTP, H2C} {
		p := newTestPool(t, Options{}, protocol, b.Addr())
		hold(t, p) // has read the first line while the backend waits
	}
}

// When the client goes away, so does the request to the endpoint.
func TestClientGoneWhileStreaming(t *testing.T) {
	gone := make(chan struct{}, 1)
	b := start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})})
	for _, protocol := range []Protocol{HTTP, H2C} {
		p := newTestPool(t, Options{}, protocol, b.Addr())
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := p.Do(request(t, "GET", "/", nil).WithContext(ctx), Hooks{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		_, err = io.ReadAll(resp.Body) // it is noticed, at the latest, by whoever waits for a byte
		wantReason(t, err, ClientClosed, 499)
		if n := p.Endpoints()[0].InFlight(); n != 0 {
			t.Errorf("%s: want nothing in flight, got %d", protocol, n)
		}
		resp.Body.Close()
		<-gone
	}
}

func TestSentBody(t *testing.T) {
	source := newText("body")
	b := &sentBody{source: source}
	if b.Close(); source.closed != 0 {
		t.Error("closed before it was settled")
	}
	if first, second := b.detach(), b.detach(); !first || !second {
		t.Error("want a body that nobody has read to be whole")
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errDetached) || source.read {
		t.Errorf("want no read after it was detached, got %v", err)
	}
	b = &sentBody{source: source}
	b.Read(make([]byte, 1))
	if b.detach() {
		t.Error("want a body that was read not to be whole")
	}
	if b.settle(); source.closed != 0 {
		t.Error("closed by settle alone")
	}
	b.Close()
	if b.Close(); source.closed != 1 {
		t.Errorf("want it closed once, got %d", source.closed)
	}
	b = &sentBody{source: source}
	b.Close()
	b.settle()
	if b.settle(); source.closed != 2 {
		t.Errorf("want it closed once by settle, got %d", source.closed-1)
	}
}
