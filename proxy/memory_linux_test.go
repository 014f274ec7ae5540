//go:build !race

package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// D15: bodies pass both ways in the same memory whatever their length. It is that of this whole process,
// the client and the backend with it. `go run ./load bulk`, in e2e, looks at a process of fairlead alone.
func TestMemoryIsFlat(t *testing.T) {
	if testEngine != HTTP1 {
		t.Skip("the other engine is for comparison")
	}
	size := int64(256 << 20)
	switch {
	case proxytest.Soaking():
		size = 10 << 30
	case testing.Short():
		size = 32 << 20
	}
	f := singleBackend(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		w.Header().Set("Got", strconv.FormatInt(n, 10))
		if size, _ := strconv.ParseInt(r.Header.Get("Send"), 10, 64); err == nil && size > 0 {
			if r.Header.Get("Framing") == "length" {
				w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
			}
			_, _ = io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(endless{}, size), make([]byte, 64<<10))
		}
	})}, nil)
	c := client(t, func(tr *http.Transport) {
		tr.WriteBufferSize = 64 << 10
		tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	})
	c.Timeout = 0 // of 10 GiB
	for _, scheme := range []string{"http", "https"} {
		for _, framing := range []string{"length", "chunked"} {
			for _, up := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s up=%t", scheme, framing, up), func(t *testing.T) {
					send := func(size int64) {
						req := request(t, http.MethodGet, scheme+"://"+f.server.Addresses()[scheme].String(), nil)
						req.Header.Set("Framing", framing)
						if up {
							req = request(t, http.MethodPost, req.URL.String(), io.LimitReader(endless{}, size))
							if framing == "length" {
								req.ContentLength = size
							}
						} else {
							req.Header.Set("Send", strconv.FormatInt(size, 10))
						}
						resp, err := c.Do(req)
						if err != nil {
							t.Fatal(err)
						}
						defer resp.Body.Close()
						n, err := io.Copy(io.Discard, resp.Body)
						if up {
							n, _ = strconv.ParseInt(resp.Header.Get("Got"), 10, 64)
						}
						if err != nil || n != size || resp.StatusCode != http.StatusOK {
							t.Fatalf("%s, %d bytes of %d, %v", resp.Status, n, size, err)
						}
					}
					send(8 << 20)
					before := resetPeak(t)
					send(size)
					if grown := resident(t, "VmHWM:") - before; grown > 8<<20 {
						t.Errorf("%d bytes more were in use for a body of %d", grown, size)
					}
				})
			}
		}
	}
}

// resetPeak returns how much of this process is in RAM, and makes that its peak. Garbage was collected
// and given back.
func resetPeak(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("peaks are not counted anew here: %v", err)
	}
	return resident(t, "VmRSS:")
}

// resident returns what /proc says of this process's memory, in bytes.
func resident(t *testing.T, name string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("no %s in /proc/self/status", name)
	return 0
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
