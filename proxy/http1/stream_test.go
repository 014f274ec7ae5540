package http1

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is flushed arrives while the handler goes on.
func TestFlush(t *testing.T) {
	step := make(chan bool)
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		for i := range 5 {
			if err := control.Flush(); err != nil {
				t.Error(err)
			}
			<-step
			fmt.Fprintf(w, "event %d\n", i)
		}
	})
	c := dial(t, address)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for i := range 5 {
		step <- true
		if got, err := lines.ReadString('\n'); got != fmt.Sprintf("event %d\n", i) || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if _, err := lines.ReadByte(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// A response may be written while the request is still being sent.
func TestFullDuplex(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if err := control.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.WriteHeader(200)
		_ = control.Flush()
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			io.WriteString(w, line)
			_ = control.Flush()
			if err != nil {
				if err != io.EOF {
					t.Error(err)
				}
				return
			}
		}
	})
	c := dial(t, address)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.Body)
	for i := range 10 {
		line := fmt.Sprintf("line %d\n", i)
		fmt.Fprintf(c, "%x\r\n%s\r\n", len(line), line)
		if got, err := lines.ReadString('\n'); got != line || err != nil {
			t.Fatalf("got %q, %v; want %q", got, err, line)
		}
	}
	io.WriteString(c, "0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := lines.ReadByte(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if _, err := http.ReadResponse(r, nil); err != nil {
		t.Errorf("the next response: %v", err)
	}
}

// TestTrailerNamedAsField: a field of the head was sent once more as a trailer where one of its name
// was announced, as Server-Timing often is.
func TestTrailerNamedAsField(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Server-Timing"] = []string{"head"}
		w.Header()["Trailer"] = []string{"Server-Timing, Other"}
		io.WriteString(w, "body")
		w.Header()[http.TrailerPrefix+"Server-Timing"] = []string{"tail"}
		w.Header()["Other"] = []string{"too"}
	})
	c := dial(t, address)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Server-Timing": {"tail"}, "Other": {"too"}}
	if diff := cmp.Diff(want, resp.Trailer); diff != "" || resp.Header.Get("Server-Timing") != "head" {
		t.Errorf("head %q, trailers (-want +got):\n%s", resp.Header, diff)
	}
}

// Whatever the sizes of the writes, what arrives is what was written.
func TestWriteSizes(t *testing.T) {
	sizes := []int{0, 1, 10, 100, 4000, 4096, 16000, 16384, 16385, 33000, 100000}
	for _, flush := range []bool{false, true} {
		for _, length := range []bool{false, true} {
			for _, first := range sizes {
				for _, second := range sizes {
					want := strings.Repeat("a", first) + strings.Repeat("b", second) + "c"
					_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
						if length {
							w.Header().Set("Content-Length", fmt.Sprint(len(want)))
						}
						for _, part := range []string{want[:first], want[first : first+second], "c"} {
							if n, err := io.WriteString(w, part); n != len(part) || err != nil {
								t.Errorf("got %d, %v", n, err)
							}
							if flush {
								w.(http.Flusher).Flush()
							}
						}
					})
					c := dial(t, address)
					io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Fatal(err)
					}
					if got, err := io.ReadAll(resp.Body); string(got) != want || err != nil {
						t.Errorf("%d and %d, flushed %t, length %t: got %d bytes, %v", first, second, flush, length, len(got), err)
					}
					c.Close()
				}
			}
		}
	}
}

func TestResponseTrailers(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Trailer", "X-Announced, x-lower")
		h.Add("Trailer", "X-Missing")
		h.Add("Trailer", "Content-Length")
		h.Set("X-Other", "1")
		io.WriteString(w, "hello")
		h.Set("X-Announced", "2")
		h.Set("X-Lower", "3")
		h.Set("X-Late", "too late for a field")
		h.Set("Content-Length", "4")
		h.Set(http.TrailerPrefix+"X-Prefixed", "5")
		h.Set(http.TrailerPrefix+"Bad Name", "6")
		h.Set(http.TrailerPrefix+"Transfer-Encoding", "7")
	})
	got := exchange(t, address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil {
		t.Fatalf("got %q, %v", body, err)
	}
	want := http.Header{"X-Announced": {"2"}, "X-Lower": {"3"}, "X-Missing": nil, "X-Prefixed": {"5"}}
	if diff := cmp.Diff(want, resp.Trailer); diff != "" {
		t.Errorf("trailers (-want +got):\n%s\n%q", diff, got)
	}
	if resp.Header.Get("X-Other") != "1" || resp.Header.Get("X-Late") != "" {
		t.Errorf("got header %v", resp.Header)
	}
	if got := exchange(t, address, "GET / HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "\r\n\r\nhello") || strings.Contains(got, "Trailer") {
		t.Errorf("HTTP/1.0: got %q", got)
	}
}

// A handler cannot write two lines into one field, nor a field that frames the message.
func TestResponseHeader(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Split"] = []string{"a\r\nX-Evil: b", "c\nd\x00e\x7f"}
		h["Bad Name"] = []string{"x"}
		h["Bad\r\nName"] = []string{"x"}
		h[""] = []string{"x"}
		h["X-Two"] = []string{"1", "2"}
		h["Transfer-Encoding"] = []string{"chunked"}
		h["Connection"] = []string{"keep-alive, X-Two"}
		h["Date"] = []string{"yesterday"}
		w.WriteHeader(418)
	})
	got := exchange(t, address, "GET / HTTP/1.0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"X-Split": {"a  X-Evil: b", "c d e"}, "X-Two": {"1", "2"}, "Date": {"yesterday"},
		"Content-Length": {"0"},
	}
	if diff := cmp.Diff(want, resp.Header); diff != "" || resp.Status != "418 I'm a teapot" {
		t.Errorf("%s (-want +got):\n%s\n%q", resp.Status, diff, got)
	}
}

func TestDate(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			w.Header()["Date"] = nil
		}
	})
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(exchange(t, address, "GET / HTTP/1.0\r\n\r\n"))), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
		t.Error(err)
	}
	if got := exchange(t, address, "GET /none HTTP/1.0\r\n\r\n"); strings.Contains(got, "Date") {
		t.Errorf("got %q", got)
	}
}
