package http1

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Responses that have no body by their status or the request's method, and how all are framed
// (RFC 9110, 6.4.1 and 8.6; RFC 9112, 6.3).
func TestResponseFraming(t *testing.T) {
	type write func(w http.ResponseWriter)
	nothing := write(func(http.ResponseWriter) {})
	hello := write(func(w http.ResponseWriter) { io.WriteString(w, "hello") })
	flushed := write(func(w http.ResponseWriter) { hello(w); w.(http.Flusher).Flush(); hello(w) })
	length := func(n string, then write) write {
		return func(w http.ResponseWriter) { w.Header().Set("Content-Length", n); then(w) }
	}
	large := write(func(w http.ResponseWriter) { io.WriteString(w, strings.Repeat("x", 20000)) })
	for _, tt := range []struct {
		method, version string
		status          int
		write           write
		want            string // framing fields, then the length of the body, and what ends it
	}{
		{"GET", "1.1", 200, nothing, "Content-Length: 0|0"},
		{"GET", "1.1", 200, hello, "Content-Length: 5|5"},
		{"GET", "1.1", 200, length("5", hello), "Content-Length: 5|5"},
		{"GET", "1.1", 200, length("x", hello), "Content-Length: 5|5"},
		{"GET", "1.1", 200, length("-1", hello), "Content-Length: 5|5"},
		{"GET", "1.1", 200, flushed, "Transfer-Encoding: chunked|25"},
		{"GET", "1.1", 200, large, "Transfer-Encoding: chunked|20013"},
		{"GET", "1.1", 200, length("20000", large), "Content-Length: 20000|20000"},
		{"GET", "1.1", 404, nothing, "Content-Length: 0|0"},
		{"GET", "1.1", 599, hello, "Content-Length: 5|5"},
		{"GET", "1.1", 999, hello, "Content-Length: 5|5"},
		{"GET", "1.0", 200, nothing, "Content-Length: 0,Connection: close|0"},
		{"GET", "1.0", 200, hello, "Content-Length: 5,Connection: close|5"},
		{"GET", "1.0", 200, flushed, "Connection: close|10"},
		{"GET", "1.0", 200, large, "Connection: close|20000"},
		{"HEAD", "1.1", 200, nothing, "|0"},
		{"HEAD", "1.1", 200, hello, "Content-Length: 5|0"},
		{"HEAD", "1.1", 200, length("5", nothing), "Content-Length: 5|0"},
		{"HEAD", "1.1", 200, length("5", hello), "Content-Length: 5|0"},
		{"HEAD", "1.1", 200, length("5", large), "Content-Length: 5|0"},
		{"HEAD", "1.1", 200, flushed, "Content-Length: 5|0"},
		{"HEAD", "1.1", 404, nothing, "|0"},
		{"HEAD", "1.1", 304, length("5", nothing), "Content-Length: 5|0"},
		{"HEAD", "1.0", 200, hello, "Content-Length: 5,Connection: close|0"},
		{"GET", "1.1", 204, nothing, "|0"},
		{"GET", "1.1", 204, hello, "|0"},
		{"GET", "1.1", 204, length("5", hello), "|0"},
		{"GET", "1.1", 205, nothing, "Content-Length: 0|0"},
		{"GET", "1.1", 205, length("5", hello), "Content-Length: 0|0"},
		{"GET", "1.1", 304, nothing, "|0"},
		{"GET", "1.1", 304, hello, "|0"},
		{"GET", "1.1", 304, length("5", nothing), "Content-Length: 5|0"},
		{"GET", "1.0", 304, nothing, "Connection: close|0"},
	} {
		t.Run(fmt.Sprint(tt.method, tt.version, tt.status, tt.want), func(t *testing.T) {
			_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/next" {
					return
				}
				early := w.Header()
				early["Transfer-Encoding"] = []string{"gzip"} // is not the handler's to set
				w = lateStatus{w, tt.status}
				tt.write(w)
				if tt.status != 200 || len(early["Content-Length"]) == 0 {
					w.WriteHeader(tt.status)
				}
			})
			host := "Host: a\r\n"
			request := tt.method + " / HTTP/" + tt.version + "\r\n" + host + "\r\n"
			if tt.version == "1.1" {
				request += "GET /next HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
			}
			answer := exchange(t, address, request)
			head, body, _ := strings.Cut(answer, "\r\n\r\n")
			if status := fmt.Sprintf("HTTP/1.1 %d ", tt.status); !strings.HasPrefix(head, status) {
				t.Errorf("got %q, want %q", head, status)
			}
			if tt.version == "1.1" {
				i := strings.LastIndex(body, "HTTP/1.1 200 OK\r\n")
				if i < 0 {
					t.Fatalf("no second response: %q", answer)
				}
				body = body[:i]
			}
			var framing []string
			for _, line := range strings.Split(head, "\r\n") {
				name, _, _ := strings.Cut(line, ":")
				if name == "Content-Length" || name == "Transfer-Encoding" || name == "Connection" {
					framing = append(framing, line)
				}
			}
			if got := strings.Join(framing, ",") + "|" + strconv.Itoa(len(body)); got != tt.want {
				t.Errorf("got %q, want %q: %q", got, tt.want, answer)
			}
		})
	}
}

// lateStatus calls WriteHeader with its status before the first Write.
type lateStatus struct {
	http.ResponseWriter
	status int
}

func (w lateStatus) Write(p []byte) (int, error) {
	w.WriteHeader(w.status)
	return w.ResponseWriter.Write(p)
}

func (w lateStatus) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w lateStatus) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

func TestContentLengthExceeded(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		if n, err := w.Write([]byte("hello!")); n != 0 || err != http.ErrContentLength {
			t.Errorf("got %d, %v; want http.ErrContentLength", n, err)
		}
		if n, err := w.Write([]byte("hello")); n != 5 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	})
	if got := exchange(t, address, "GET / HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\nhello") {
		t.Errorf("got %q", got)
	}
}

// A handler that writes less than it announced leaves the client with a response that ends early.
func TestContentLengthUnmet(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "6")
		io.WriteString(w, "hello")
	})
	got := exchange(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if strings.Count(got, "HTTP/1.1 200") != 1 || !strings.HasSuffix(got, "hello") {
		t.Errorf("got %q, want one response and the end of the connection", got)
	}
}

func TestBodyNotAllowed(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(status)
		n, err := w.Write([]byte("hello"))
		if status == 205 {
			if n != 5 || err != nil {
				t.Errorf("205: got %d, %v; want that it is dropped", n, err)
			}
		} else if n != 0 || err != http.ErrBodyNotAllowed {
			t.Errorf("%d: got %d, %v; want http.ErrBodyNotAllowed", status, n, err)
		}
	})
	for _, status := range []string{"204", "205", "304"} {
		exchange(t, address, "GET /"+status+" HTTP/1.0\r\n\r\n")
	}
}

// What a handler does to its request does not change how the response is framed.
func TestHandlerChangesRequest(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		r.Method, r.ProtoMinor, r.Close = "GET", 1, false
		r.Header.Set("Connection", "keep-alive")
		io.WriteString(w, strings.Repeat("x", 20000))
	})
	got := exchange(t, address, "HEAD / HTTP/1.0\r\n\r\n")
	if head, body, _ := strings.Cut(got, "\r\n\r\n"); body != "" || strings.Contains(head, "chunked") {
		t.Errorf("got %.300q", got)
	}
}

// After CONNECT the client's bytes are for whoever it has asked for: no request is read from them.
func TestConnectEnds(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {})
	got := exchange(t, address, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if strings.Count(got, "HTTP/1.1 ") != 1 || !strings.Contains(got, "Connection: close") {
		t.Errorf("got %q", got)
	}
}
