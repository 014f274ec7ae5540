package http1

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A body that a client holds back until it is asked for must neither be waited for without asking,
// nor be taken for a request when it was not asked for (CVE-2024-24791 is of this kind).

func TestContinue(t *testing.T) {
	_, address := start(t, nil, echo)
	c := dial(t, address)
	r := bufio.NewReader(c)
	for i := range 3 {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		want := "HTTP/1.1 100 Continue\r\n\r\n"
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("request %d: got %q, %v; want %q", i, got, err, want)
		}
		io.WriteString(c, "hello")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); !strings.HasSuffix(string(body), `"hello"`) || err != nil {
			t.Errorf("request %d: got %q, %v", i, body, err)
		}
	}
}

// What the client gets when the handler does not do the usual thing.
func TestContinueNotSent(t *testing.T) {
	for _, tt := range []struct {
		name, head, body string
		handler          http.HandlerFunc
		want             string // the status lines, and what the last response says of the connection
	}{
		{
			name: "answered without reading", head: "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n",
			handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(413) },
			want:    "413 close",
		},
		{
			// The client may send the body though, and it looks like a request.
			name: "answered without reading, body comes", head: "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 38\r\n",
			body:    "GET /evil HTTP/1.1\r\nHost: aaaaaaaaaa\r\n\r\n",
			handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(413) },
			want:    "413 close",
		},
		{
			name: "answered, then read", head: "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", body: "hello",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				body, err := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%q %v", body, err)
			},
			want: "200 keep",
		},
		{
			name: "sent by the handler", head: "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", body: "hello",
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(100)
				io.ReadAll(r.Body)
			},
			want: "100 200 keep",
		},
		{
			name: "HTTP/1.0", head: "HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", body: "hello",
			handler: echo, want: "200 close",
		},
		{
			name: "no body", head: "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n",
			handler: echo, want: "200 keep",
		},
		{
			name: "body sent at once", head: "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", body: "hello",
			handler: echo, want: "100 200 keep",
		},
		{
			name: "chunked, answered without reading", head: "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
			handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(401) },
			want:    "401 close",
		},
		{
			name: "other expectation", head: "HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 5\r\n",
			handler: echo, want: "417 close",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/evil") {
					t.Error("the body was taken for a request")
				}
				tt.handler(w, r)
			})
			answer := exchangeHalf(t, address, "POST / "+tt.head+"\r\n"+tt.body)
			got := ""
			for _, head := range strings.Split(answer, "HTTP/1.1 ")[1:] {
				got += head[:3] + " "
			}
			if strings.Contains(answer, "Connection: close\r\n") {
				got += "close"
			} else {
				got += "keep"
			}
			if got != tt.want {
				t.Errorf("got %q, want %q: %q", got, tt.want, answer)
			}
		})
	}
}

// exchangeHalf is exchange with the client's side closed after raw.
func exchangeHalf(t testing.TB, address, raw string) string {
	t.Helper()
	c := dial(t, address)
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	_ = c.CloseWrite()
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", all, err)
	}
	return string(all)
}

// What nobody reads of a body is skipped if it is short, else the connection ends, and the client
// gets the answer all the same.
func TestUnreadBody(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) })
	for _, tt := range []struct {
		name, framing, body string
		keep                bool
	}{
		{"short", "Content-Length: 5\r\n\r\n", "hello", true},
		{"64 KiB", "Content-Length: 65536\r\n\r\n", strings.Repeat("x", 65536), true},
		{"longer", "Content-Length: 65537\r\n\r\n", strings.Repeat("x", 65537), false},
		{"much longer", "Content-Length: 10000000\r\n\r\n", strings.Repeat("x", 10000000), false},
		{"chunked", "Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", true},
		{"chunked, long", "Transfer-Encoding: chunked\r\n\r\n", "fffff\r\n" + strings.Repeat("x", 0xfffff) + "\r\n0\r\n\r\n", false},
		{"chunked, broken", "Transfer-Encoding: chunked\r\n\r\n", "x\r\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, address)
			go func() {
				io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\n"+tt.framing)
				<-time.After(10 * time.Millisecond)
				io.WriteString(c, tt.body)
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			}()
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != 403 {
				t.Fatalf("got %v, %v", resp, err)
			}
			_, err = http.ReadResponse(r, nil)
			if kept := err == nil; kept != tt.keep {
				t.Errorf("kept: %t, want %t: %v", kept, tt.keep, err)
			}
		})
	}
}

// A client that is still sending sees the answer that ends the connection (RFC 9112, 9.6).
func TestAnswerBeforeBody(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(413) })
	c := dial(t, address)
	go func() {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n")
		buf := make([]byte, 64<<10)
		for range 1 << 14 {
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	}()
	began := time.Now()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 413 || !resp.Close {
		t.Errorf("got %v, %v after %v", resp, err, time.Since(began))
	}
}
