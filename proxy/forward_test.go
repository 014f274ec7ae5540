package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// protocols runs a test over HTTP/1.1 in clear and over TLS with HTTP/2.
func protocols(t *testing.T, f *front, test func(t *testing.T, base string, c *http.Client)) {
	t.Run("HTTP/1.1", func(t *testing.T) { test(t, "http://"+f.http(), client(t, nil)) })
	t.Run("HTTP/2", func(t *testing.T) {
		test(t, "https://"+f.https(), client(t, func(tr *http.Transport) { tr.ForceAttemptHTTP2 = true }))
	})
}

func TestRequestArrivesAsSent(t *testing.T) {
	f := echoFront(t, nil)
	for _, target := range []string{
		"/", "/a?b=c", "/a?", "/a?x=1;y=2&z=%zz", "/a//b", "//a/b", "/%7Euser/caf%C3%A9?q=%20+", `/a"b|c`, "/a%20b", "/a;b=c",
		"/a%3Fb%23c", "/x/y%2Fz", `//a|b"%7e`, "/a;v=1/b",
	} {
		c := dialRaw(t, f.http())
		c.send(t, "GET "+target+" HTTP/1.1", "Host: A.example:8080", "X-One: 1", "X-One: 2", "x_odd: 3", "Accept-Encoding: br", "", "")
		_, body, err := c.receive(t, "GET")
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		e := echoed(t, body)
		if e.Path != target {
			t.Errorf("target %q arrived as %q", target, e.Path)
		}
		if e.Host != "A.example:8080" {
			t.Errorf("Host arrived as %q, want it unchanged", e.Host)
		}
		for name, want := range map[string]string{"X-One": "[1 2]", "X_odd": "[3]", "Accept-Encoding": "[br]", "User-Agent": "[]"} {
			if got := sprint(e.Header[name]); got != want {
				t.Errorf("%s arrived as %s, want %s", name, got, want)
			}
		}
	}
}

// A path with dot segments means one thing to us and may mean another to the backend: it gets
// what we routed by.
func TestDotSegmentsAreResolvedForTheBackend(t *testing.T) {
	f := echoFront(t, nil)
	for target, want := range map[string]string{
		"/a/../b?q=1":    "/b?q=1",
		"/a/%2e%2e/b":    "/b",
		"/a/./b//c":      "/a/b/c",
		"/../../etc":     "/etc",
		"/a/..":          "/",
		"/%7Ea/x/../%41": "/%7Ea/%41",
	} {
		c := dialRaw(t, f.http())
		c.send(t, "GET "+target+" HTTP/1.1", "Host: a.example", "", "")
		_, body, err := c.receive(t, "GET")
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		if got := echoed(t, body).Path; got != want {
			t.Errorf("%s arrived as %s, want %s", target, got, want)
		}
	}
}

func TestBodies(t *testing.T) {
	f := echoFront(t, nil)
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		for _, size := range []int{0, 1, 5000, 300_000} {
			body := strings.Repeat("b", size)
			_, got := do(t, c, request(t, "POST", base+"/up", strings.NewReader(body)))
			if e := echoed(t, got); e.BodyLength != int64(size) || e.ContentLength != int64(size) {
				t.Errorf("a body of %d bytes arrived with %d, announced %d", size, e.BodyLength, e.ContentLength)
			}
			_, got = do(t, c, request(t, "POST", base+"/up", io.MultiReader(strings.NewReader(body)))) // of unknown length
			if e := echoed(t, got); e.BodyLength != int64(size) {
				t.Errorf("a chunked body of %d bytes arrived with %d", size, e.BodyLength)
			}
			resp, got := do(t, c, request(t, "GET", fmt.Sprintf("%s/down?size=%d", base, size), nil))
			if len(got) != size || resp.ContentLength != int64(size) {
				t.Errorf("a response of %d bytes came with %d, announced %d", size, len(got), resp.ContentLength)
			}
		}
	})
	x := f.exchange(t, 6)
	if x.BytesIn != 5000 || x.BytesOut == 0 {
		t.Errorf("recorded %d bytes in and %d out, want 5000 and the answer", x.BytesIn, x.BytesOut)
	}
}

func TestBodylessResponses(t *testing.T) {
	f := echoFront(t, nil)
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		for _, tt := range []struct {
			method string
			status int
			length int64
		}{{"HEAD", 200, 100}, {"GET", 204, 0}, {"GET", 304, 100}, {"HEAD", 404, 100}} {
			resp, body := do(t, c, request(t, tt.method, fmt.Sprintf("%s/x?status=%d&size=100", base, tt.status), nil))
			if resp.StatusCode != tt.status || body != "" {
				t.Errorf("%s %d: got %d with %d bytes", tt.method, tt.status, resp.StatusCode, len(body))
			}
			if tt.status == 204 && resp.Header.Get("Content-Length") != "" {
				t.Errorf("204 has Content-Length %s", resp.Header.Get("Content-Length"))
			}
			// The connection must still be in step.
			if resp, _ := do(t, c, request(t, "GET", base+"/next", nil)); resp.StatusCode != 200 {
				t.Errorf("the request after %s %d: got %d", tt.method, tt.status, resp.StatusCode)
			}
		}
	})
}

func TestResponseHeader(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{End: proxytest.Close, Bytes: "HTTP/1.1 200 OK\r\n" +
		"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Authenticate: Basic\r\n" +
		"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-End: 3\r\nServer: theirs\r\nContent-Length: 2\r\n\r\nok"})}, nil)
	resp, body := do(t, client(t, nil), request(t, "GET", "http://"+f.http(), nil))
	if body != "ok" {
		t.Errorf("body = %q", body)
	}
	for name, want := range map[string]string{
		"X-Hop": "[]", "Keep-Alive": "[]", "Upgrade": "[]", "Proxy-Authenticate": "[]", "Connection": "[]",
		"Set-Cookie": "[a=1 b=2]", "X-End": "[3]", "Server": "[theirs]", "Content-Type": "[]",
	} {
		if got := sprint(resp.Header[name]); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

func TestTrailers(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum, Authorization")
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "got %s %s", r.Trailer.Get("X-Check"), r.Trailer.Get("X-Forwarded-For"))
		w.Header().Set("X-Sum", "7")
		w.Header().Set("Authorization", "forbidden")
		w.Header().Set(http.TrailerPrefix+"X-Undeclared", "8")
	})
	f := singleBackend(t, &proxytest.Backend{Handler: h}, nil)
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		r := request(t, "POST", base+"/", io.MultiReader(strings.NewReader("body")))
		r.Trailer = http.Header{"X-Check": {"5"}, "X-Forwarded-For": {"1.1.1.1"}}
		resp, body := do(t, c, r)
		if body != "got 5 " {
			t.Errorf("the backend %q, want the trailer X-Check and not X-Forwarded-For", body)
		}
		if got := sprint(resp.Trailer); !strings.Contains(got, "X-Sum:[7]") || !strings.Contains(got, "X-Undeclared:[8]") || strings.Contains(got, "forbidden") {
			t.Errorf("trailers = %s, want X-Sum and X-Undeclared alone", got)
		}
	})
}

func TestInterimResponses(t *testing.T) {
	early := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	f := newFront(t, Config{Hosts: ByHost([]*Rule{
		rule("a.example", "/two", webKey), rule("a.example", "/many", upstream.Key{Namespace: "shop", Service: "many", Port: "80"}),
	})}, nil)
	f.lead(t, webKey, &proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{Bytes: early + early + answer, End: proxytest.Close})})
	f.lead(t, upstream.Key{Namespace: "shop", Service: "many", Port: "80"},
		&proxytest.Backend{Raw: proxytest.Script(proxytest.Reply{Bytes: strings.Repeat(early, maxInterim+1) + answer, End: proxytest.Close})})

	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		var got []string
		r := request(t, "GET", base+"/two", nil)
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprintf("%d %v %v", code, h["Link"], h["X-Hop"]))
			return nil
		}}))
		resp, _ := do(t, c, r)
		if want := "[103 [</a.css>] [] 103 [</a.css>] []]"; sprint(got) != want {
			t.Errorf("interim responses %v, want %s", got, want)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Link") != "" {
			t.Errorf("final response %d with Link %q, want 200 and none", resp.StatusCode, resp.Header.Get("Link"))
		}
		if resp, _ := do(t, c, request(t, "GET", base+"/many", nil)); resp.StatusCode != 502 {
			t.Errorf("after more than %d interim responses: got %d, want 502", maxInterim, resp.StatusCode)
		}
	})
	t.Run("none to HTTP/1.0", func(t *testing.T) {
		c := dialRaw(t, f.http())
		c.send(t, "GET /two HTTP/1.0", "Host: a.example", "", "")
		if resp, _, err := c.receive(t, "GET"); err != nil || resp.StatusCode != 200 {
			t.Errorf("got %v, %v, want 200 first", resp, err)
		}
	})
}

func TestExpectContinue(t *testing.T) {
	var read atomic.Int64
	f := singleBackend(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Errorf("Expect arrived as %q", r.Header.Get("Expect"))
		}
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		read.Add(n)
	})}, nil)
	for i, tt := range []struct {
		path string
		want []int
	}{{"/wanted", []int{100, 200}}, {"/refused", []int{417}}} {
		c := dialRaw(t, f.http())
		c.send(t, "POST "+tt.path+" HTTP/1.1", "Host: a.example", "Content-Length: 4", "Expect: 100-continue", "", "")
		for _, status := range tt.want {
			resp, _, err := c.receive(t, "POST")
			if err != nil || resp.StatusCode != status {
				t.Fatalf("%s: got %v, %v, want %d", tt.path, resp, err, status)
			}
			if status == 100 {
				c.send(t, "body")
			}
		}
		f.exchange(t, i)
	}
	if read.Load() != 4 {
		t.Errorf("the backend read %d bytes, want the 4 that it agreed to", read.Load())
	}
}

// Events must come when they are sent, not when a buffer is full or the response ends.
func TestStreamsAreNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	parts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sized" {
			w.Header().Set("Content-Length", "15")
		}
		for range 3 {
			_, _ = io.WriteString(w, "part\n")
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})
	f := singleBackend(t, &proxytest.Backend{Handler: parts}, nil)
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		for _, path := range []string{"/sized", "/chunked"} {
			resp, err := c.Do(request(t, "GET", base+path, nil))
			if err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(resp.Body)
			for range 3 {
				// The backend sends the next part only when this one has arrived.
				if line, err := r.ReadString('\n'); err != nil || line != "part\n" {
					t.Fatalf("%s: got %q, %v", path, line, err)
				}
				next <- struct{}{}
			}
			resp.Body.Close()
		}
	})
}

func TestFullDuplex(t *testing.T) {
	f := singleBackend(t, &proxytest.Backend{Handler: proxytest.Duplex()}, nil)
	protocols(t, f, func(t *testing.T, base string, c *http.Client) {
		r, w := io.Pipe()
		resp, err := c.Do(request(t, "POST", base+"/", r))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		for i := range 3 {
			fmt.Fprintf(w, "%d\n", i)
			if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("%d\n", i) {
				t.Fatalf("got %q, %v, want %d back at once", line, err, i)
			}
		}
		w.Close()
		if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
			t.Errorf("after the end: %q, %v", rest, err)
		}
	})
}
