package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// Bodies pass through whatever their length: what is allocated for them does not depend on it.
func TestLargeBodies(t *testing.T) {
	size := int64(1 << 30)
	if raceEnabled || testing.Short() {
		size = 64 << 20
	}
	piece := make([]byte, 256<<10)
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			buf := make([]byte, 32<<10)
			var n int64
			for {
				m, err := r.Body.Read(buf)
				n += int64(m)
				if err == io.EOF {
					break
				} else if err != nil {
					t.Error(err)
					return
				}
			}
			if n != size {
				t.Errorf("got %d bytes, want %d", n, size)
			}
			return
		}
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		for range size / int64(len(piece)) {
			if _, err := w.Write(piece); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for name, tt := range map[string]struct {
		head string
		send func(c net.Conn) error
	}{
		"up, length": {fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size), func(c net.Conn) error {
			for range size / int64(len(piece)) {
				if _, err := c.Write(piece); err != nil {
					return err
				}
			}
			return nil
		}},
		"up, chunked": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", func(c net.Conn) error {
			chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(piece), piece)
			for range size / int64(len(piece)) {
				if _, err := c.Write(chunk); err != nil {
					return err
				}
			}
			_, err := io.WriteString(c, "0\r\n\r\n")
			return err
		}},
		"down, length":  {"GET /length HTTP/1.1\r\nHost: a\r\n\r\n", nil},
		"down, chunked": {"GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, address)
			buf := make([]byte, 256<<10)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			io.WriteString(c, tt.head)
			if tt.send != nil {
				if err := tt.send(c); err != nil {
					t.Fatal(err)
				}
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			var n int64
			for {
				m, err := resp.Body.Read(buf)
				n += int64(m)
				if err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			if tt.send == nil && n != size {
				t.Errorf("got %d bytes, want %d", n, size)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 2<<20 && !raceEnabled {
				t.Errorf("%d bytes were allocated", allocated)
			}
		})
	}
}

// Chunks of one byte are honest streams; framing that is nearly all of what comes is an attack on our
// CPU.
func TestTinyChunks(t *testing.T) {
	result := make(chan error, 1)
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		result <- err
	})
	const head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
	exchange(t, address, head+strings.Repeat("1\r\nx\r\n", 100000)+"0\r\n\r\n")
	if err := <-result; err != nil {
		t.Errorf("one-byte chunks: %v", err)
	}
	for name, chunk := range map[string]string{
		"extensions": "1;" + strings.Repeat("x", 500) + "\r\nx\r\n",
		"zeros":      "0000000000000001\r\nx\r\n",
	} {
		c := dial(t, address)
		go func() {
			io.WriteString(c, head)
			for range 100 {
				if _, err := io.WriteString(c, strings.Repeat(chunk, 1000)); err != nil {
					return
				}
			}
		}()
		err := <-result
		if f, ok := err.(*Fault); !ok || f.Reason != WastefulChunks {
			t.Errorf("%s: got %v, want %s", name, err, WastefulChunks)
		}
	}
}

// Two thousand clients that never finish their heads cost little memory while they last.
func TestSlowHeadMemory(t *testing.T) {
	const count = 2000
	s, address := start(t, nil, echo)
	use := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := use()
	for range count {
		c := dial(t, address)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nX: ")
	}
	until(t, func() bool { return s.Connections() == count })
	if each := (use() - before) / count; each > 20<<10 && !raceEnabled {
		t.Errorf("%d bytes for each, with its client", each)
	}
}
