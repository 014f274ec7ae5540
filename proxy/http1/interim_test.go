package http1

import (
	"net/http"
	"strings"
	"testing"
)

func TestInterim(t *testing.T) {
	_, address := start(t, nil, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Link", "</style.css>; rel=preload")
		h.Set("Content-Length", "5") // not of an interim response (RFC 9110, 8.6)
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		h.Set("Link", "</final.css>")
		w.WriteHeader(http.StatusOK)
		w.WriteHeader(http.StatusEarlyHints) // too late
		w.Write([]byte("hello"))
	})
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" +
		"HTTP/1.1 102 Processing\r\nLink: </style.css>; rel=preload\r\n\r\n"
	got := exchange(t, address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	rest, ok := strings.CutPrefix(got, hints)
	if !ok || !strings.HasPrefix(rest, "HTTP/1.1 200 OK\r\n") || strings.Contains(rest, "HTTP/1.1 1") ||
		!strings.Contains(rest, "Link: </final.css>\r\n") || !strings.HasSuffix(rest, "\r\n\r\nhello") {
		t.Errorf("got %q", got)
	}
	// RFC 9110, 15.2: not to HTTP/1.0.
	if got := exchange(t, address, "GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("HTTP/1.0: got %q", got)
	}
}
