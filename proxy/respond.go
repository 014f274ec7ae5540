package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// maxInterim bounds the 1xx responses that one request may cause.
const maxInterim = 8

// interim passes 1xx responses on while the request waits for its final one.
type interim struct {
	hook func(code int, header http.Header) error // relay, bound once

	w       http.ResponseWriter
	enabled bool // not for HTTP/1.0 clients, which know none
	count   int
}

func (i *interim) begin(w http.ResponseWriter, enabled bool) { i.w, i.enabled, i.count = w, enabled, 0 }

// relay is called while Pool.Do has not returned.
func (i *interim) relay(code int, header http.Header) error {
	if i.count++; i.count > maxInterim {
		return fmt.Errorf("upstream sent more than %d interim responses", maxInterim)
	}
	if !i.enabled || code == http.StatusContinue {
		return nil // the server sends 100 itself, once the body is read
	}
	h := i.w.Header()
	own := h.Clone()
	clear(h)
	if copyResponse(h, header) {
		// It has no body. With this key x/net/http2 sends a copy of the header; else it may
		// read h when WriteHeader has returned, for the client can give its stream up.
		h["Content-Length"] = nil
		i.w.WriteHeader(code)
	}
	clear(h)
	for name, values := range own {
		h[name] = values
	}
	return nil
}

// respond sends resp to the client, each part as it comes.
func (f *forwarder) respond(w http.ResponseWriter, r *http.Request, resp *http.Response, body *requestBody) {
	x := exchangeOf(w)
	h := w.Header()
	if x.pages.replace(w, r, resp, body) {
		return
	}
	if resp.StatusCode < 200 || resp.StatusCode > 999 || !copyResponse(h, resp.Header) {
		fail(w, r, http.StatusBadGateway, "bad-response",
			fmt.Errorf("status %q or the Connection field of the response", resp.Status))
		return
	}
	if x.setCookie != "" {
		h["Set-Cookie"] = append([]string{x.setCookie}, h["Set-Cookie"]...)
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // the server must not guess one
	}
	if resp.StatusCode == http.StatusNoContent {
		delete(h, "Content-Length") // RFC 9110, 8.6
	}
	announced := 0
	for name := range resp.Trailer {
		if !forbiddenTrailer(name) {
			h.Add("Trailer", name)
			announced++
		}
	}
	if body != nil && r.ProtoMajor == 1 && !body.complete() {
		// What the client still sends belongs to no request that anybody waits for.
		h.Set("Connection", "close")
	}
	if tries := x.Attempts.All(); len(tries) > 0 {
		at := &tries[len(tries)-1] // it has looked at the clock just now
		x.TTFB = at.Start.Sub(x.Start) + at.Header
	}
	w.WriteHeader(resp.StatusCode)
	if resp.ContentLength < 0 || announced > 0 {
		// The first byte of a stream may be long in coming, and a short body would get a
		// Content-Length, and no trailers.
		_ = http.NewResponseController(w).Flush()
	}
	if err := f.stream(w, resp); err != nil {
		x.Err = err
		if r.Context().Err() != nil || errors.Is(err, errClientWrite) {
			x.ClientAborted, x.Reason = true, "client-aborted"
		} else {
			x.Reason, _ = upstream.Reason(err)
		}
		// The client must see that the response is not complete.
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Trailer {
		if forbiddenTrailer(name) {
			continue
		}
		if _, ok := h[name]; ok || announced == 0 || len(values) > 0 {
			h[http.TrailerPrefix+name] = values
		}
	}
}

// errClientWrite marks an error of sending to the client.
var errClientWrite = errors.New("the client takes no more")

var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// splice has the kernel move a long body from one connection to the other, as it comes.
func splice(w http.ResponseWriter, resp *http.Response) error {
	_, err := resp.Body.(io.WriterTo).WriteTo(w)
	var failed *http1.WriterError
	if errors.As(err, &failed) {
		return fmt.Errorf("%w: %w", errClientWrite, failed.Err)
	}
	return err
}

// stream copies the body of resp. It flushes whenever upstream has, for the moment, nothing
// more to give: events and drips are not held back, bulk is not cut into small writes.
func (f *forwarder) stream(w http.ResponseWriter, resp *http.Response) error {
	if resp.Body == nil || resp.Body == http.NoBody {
		return nil
	}
	if http1.CanSplice(resp.Body) && http1.CanSplice(w) {
		return splice(w, resp)
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	var sent int64
	for {
		n, err := resp.Body.Read(buf[:])
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return fmt.Errorf("%w: %w", errClientWrite, werr)
			}
			sent += int64(n)
			if err == nil && n < len(buf) && sent != resp.ContentLength {
				if werr := http.NewResponseController(w).Flush(); werr != nil {
					return fmt.Errorf("%w: %w", errClientWrite, werr)
				}
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
