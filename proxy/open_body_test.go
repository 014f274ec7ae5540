package proxy

import (
	"io"
	"net/http"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// TestBackendEndsFirst: a backend that speaks HTTP/2 ends a call while the client may still send, as a
// gRPC server does with a status. The end, and an error too, got to the client only when that had sent
// something: the Transport waited for the Read of a body that nobody ended.
func TestBackendEndsFirst(t *testing.T) {
	for _, protocol := range []upstream.Protocol{upstream.HTTP, upstream.H2C} {
		b := proxytest.Start(t, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			_ = control.EnableFullDuplex()
			if r.URL.Path == "/reset" {
				_, _ = io.ReadFull(r.Body, make([]byte, 5))
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = io.WriteString(w, "done")
			_ = control.Flush()
			w.Header().Set("Grpc-Status", "8")
		})})
		f := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}, nil)
		f.pools.Pool(webKey).Set(upstream.Resolution{Protocol: protocol, Addresses: []upstream.Address{addressOf(b)}})
		protocols(t, f, func(t *testing.T, base string, c *http.Client) {
			for _, path := range []string{"/status", "/reset"} {
				if path == "/reset" && (protocol == upstream.HTTP || testEngine == NetHTTP) {
					continue // net/http reads the rest of a body before it answers or closes the connection
				}
				body, client := io.Pipe()
				defer client.Close()
				go func() { _, _ = io.WriteString(client, "hello") }()
				resp, got := do(t, c, request(t, "POST", base+path, body))
				want, status := "done", "8"
				if path == "/reset" {
					want, status = "", ""
				}
				if (path == "/reset") != (resp.StatusCode == 502) || want != "" && got != want || resp.Trailer.Get("Grpc-Status") != status {
					t.Errorf("%s%s: got %d %q with the trailers %v", protocol, path, resp.StatusCode, got, resp.Trailer)
				}
			}
		})
	}
}
