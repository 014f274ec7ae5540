package http1

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// ReadFrom sends the same whatever it reads from, and however it does.
func TestReadFrom(t *testing.T) {
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	source := func(t *testing.T) *net.TCPConn {
		l := listen(t)
		go func() {
			defer l.Close()
			c, err := l.Accept()
			if err == nil {
				c.Write(data)
				c.Close()
			}
		}()
		return dial(t, l.Addr().String())
	}
	for name, src := range map[string]func(t *testing.T) io.Reader{
		"TCP connection":                      func(t *testing.T) io.Reader { return source(t) },
		"limited TCP connection":              func(t *testing.T) io.Reader { return io.LimitReader(source(t), int64(len(data))) },
		"limited more than the connection":    func(t *testing.T) io.Reader { return io.LimitReader(source(t), int64(2*len(data))) },
		"memory":                              func(t *testing.T) io.Reader { return bytes.NewReader(data) },
		"TCP connection behind another thing": func(t *testing.T) io.Reader { return bufio.NewReader(source(t)) },
	} {
		for _, length := range []int{len(data), -1} {
			for _, method := range []string{"GET", "HEAD"} {
				t.Run(fmt.Sprint(name, " ", length, " ", method), func(t *testing.T) {
					_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/next" {
							return
						}
						if length >= 0 {
							w.Header().Set("Content-Length", strconv.Itoa(length))
						}
						from := src(t)
						if length >= 0 { // some of it is written before
							if _, err := io.CopyN(w, from, 100); err != nil {
								t.Error(err)
							}
							if n, err := w.(io.ReaderFrom).ReadFrom(from); n != int64(len(data)-100) || err != nil {
								t.Errorf("got %d, %v", n, err)
							}
							return
						}
						if n, err := io.Copy(w, from); n != int64(len(data)) || err != nil {
							t.Errorf("got %d, %v", n, err)
						}
					})
					c := dial(t, address)
					fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n", method)
					r := bufio.NewReader(c)
					request, _ := http.NewRequest(method, "/", nil)
					resp, err := http.ReadResponse(r, request)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(resp.Body)
					want := data
					if method == "HEAD" {
						want = nil
					}
					if sha256.Sum256(got) != sha256.Sum256(want) || err != nil {
						t.Errorf("got %d bytes, %v", len(got), err)
					}
					if _, err := http.ReadResponse(r, nil); err != nil {
						t.Errorf("the next response: %v", err)
					}
				})
			}
		}
	}
}

// A source that ends too early leaves the client with a response that does too.
func TestReadFromEndsEarly(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		l := listen(t)
		go func() {
			c, err := l.Accept()
			if err == nil {
				io.WriteString(c, strings.Repeat("x", 100000))
				c.Close()
			}
			l.Close()
		}()
		w.Header().Set("Content-Length", "200000")
		if n, err := w.(io.ReaderFrom).ReadFrom(dial(t, l.Addr().String())); n != 100000 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
	})
	c := dial(t, address)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != io.ErrUnexpectedEOF {
		t.Errorf("got %d bytes, %v", n, err)
	}
}
