package proxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Limits of a request's head, as in package http1.
const (
	maxTarget = 8 << 10 // bytes of the request target; RFC 9110, 4.1 asks for at least 8000
	maxFields = 100     // header fields
)

// withLimits is p for net/http's servers, for HTTP/1 and HTTP/2, with what package http1 has
// by itself: limits of the head, no request that could not be written as HTTP/1, and an end to the
// patience with a client that sends nothing of a body or takes nothing of a response.
func withLimits(p *Proxy, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limited := &progress{ResponseWriter: w, control: http.NewResponseController(w)}
		limited.writing = stall{limit: timeout, cut: limited.stopWriting}
		if r.ProtoMajor == 1 {
			_ = limited.control.SetWriteDeadline(time.Time{}) // that of the request before
		}
		if r.Body != nil && r.Body != http.NoBody {
			body := &progressBody{ReadCloser: r.Body}
			body.reading = stall{limit: timeout, cut: limited.stopReading}
			defer body.reading.stop()
			r.Body = body
		}
		func() {
			defer limited.writing.stop()
			p.serve(limited, r, refusalOfHead(r))
		}()
		_ = limited.control.SetWriteDeadline(time.Now().Add(timeout)) // for what is yet to be sent
	})
}

// refusalOfHead is the answer to a head that package http1 would not take; zero for none. A target that
// is too long is cut.
func refusalOfHead(r *http.Request) Answer {
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	switch {
	case len(r.RequestURI) > maxTarget:
		r.RequestURI = r.RequestURI[:maxTarget]
		return Answer{http.StatusRequestURITooLong, "target-too-long"}
	case fields > maxFields:
		return Answer{http.StatusRequestHeaderFieldsTooLarge, "too-many-fields"}
	case !httpguts.ValidHeaderFieldName(r.Method): // that is a token, too
		return Answer{http.StatusBadRequest, "bad-request-line"}
	case strings.ContainsRune(r.RequestURI, ' '):
		return Answer{http.StatusBadRequest, "bad-target"}
	case !validLength(r.Header["Content-Length"]):
		return Answer{http.StatusBadRequest, "bad-content-length"}
	}
	return Answer{}
}

// validLength reports whether the values of Content-Length are none, or one number. The servers take
// a body for empty whose length they cannot read, and know it to be otherwise too late.
func validLength(values []string) bool {
	if len(values) == 0 {
		return true
	}
	_, err := strconv.ParseUint(values[0], 10, 63)
	return err == nil && len(values) == 1
}

// progress is a response that is cut where the client takes nothing of it for too long.
type progress struct {
	http.ResponseWriter
	control *http.ResponseController
	begun   atomic.Bool // the head of the response has been given to the server
	writing stall
}

func (p *progress) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *progress) WriteHeader(code int) {
	if code >= 200 {
		p.begun.Store(true)
	}
	p.ResponseWriter.WriteHeader(code)
}

func (p *progress) Write(b []byte) (int, error) {
	p.begun.Store(true)
	p.writing.begin()
	defer p.writing.end()
	return p.ResponseWriter.Write(b)
}

// FlushError is for http.ResponseController.
func (p *progress) FlushError() error {
	p.begun.Store(true)
	p.writing.begin()
	defer p.writing.end()
	return p.control.Flush()
}

func (p *progress) stopWriting() bool {
	_ = p.control.SetWriteDeadline(time.Unix(1, 0)) // these servers have deadlines
	return true
}

// stopReading leaves the body alone once the response has begun: the body may be half of a dialogue
// then, in which the client has nothing to say.
func (p *progress) stopReading() bool {
	if p.begun.Load() {
		return false
	}
	_ = p.control.SetReadDeadline(time.Unix(1, 0))
	return true
}

// progressBody is the body of a request that ends where the client sends nothing for too long.
type progressBody struct {
	io.ReadCloser
	reading stall
}

func (b *progressBody) Read(p []byte) (int, error) {
	b.reading.begin()
	defer b.reading.end()
	return b.ReadCloser.Read(p)
}
