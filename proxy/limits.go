package proxy

import (
	"io"
	"net/http"
	"time"
)

// Limits of a request's head, as in package http1.
const (
	maxTarget = 8 << 10 // bytes of the request target; RFC 9110, 4.1 asks for at least 8000
	maxFields = 100     // header fields
)

// withLimits is p for net/http's servers, for HTTP/1 and HTTP/2, with what package http1 has
// by itself: limits of the head, and an end to the patience with a client that sends nothing
// of a body or takes nothing of a response.
func withLimits(p *Proxy, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited := &progress{ResponseWriter: w, control: http.NewResponseController(w), timeout: timeout}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &progressBody{r.Body, limited.control, timeout, time.Time{}}
		}
		var refusal Answer
		fields := 0
		for _, values := range r.Header {
			fields += len(values)
		}
		if len(r.RequestURI) > maxTarget {
			r.RequestURI = r.RequestURI[:maxTarget]
			refusal = Answer{http.StatusRequestURITooLong, "target-too-long"}
		} else if fields > maxFields {
			refusal = Answer{http.StatusRequestHeaderFieldsTooLarge, "too-many-fields"}
		}
		p.serve(limited, r, refusal)
	})
}

// A deadline is moved once a second at most: that is precise enough, and costs little.
const progressStep = time.Second

type progress struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	moved   time.Time
}

func (p *progress) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *progress) Write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(p.moved) > progressStep {
		p.moved = now
		_ = p.control.SetWriteDeadline(now.Add(p.timeout)) // these servers have deadlines
	}
	return p.ResponseWriter.Write(b)
}

type progressBody struct {
	io.ReadCloser
	control *http.ResponseController
	timeout time.Duration
	moved   time.Time
}

func (b *progressBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.moved) > progressStep {
		b.moved = now
		_ = b.control.SetReadDeadline(now.Add(b.timeout)) // these servers have deadlines
	}
	return b.ReadCloser.Read(p)
}
