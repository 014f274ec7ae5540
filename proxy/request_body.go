package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// requestBody is the body of a request on its way to a backend. It counts what is read and
// passes trailers on.
//
// The connection to the backend may still be reading it when the response is complete. But the
// server's body must not be read once the handler has returned, and closing that would wait
// for what the client has yet to send. So Close only ends the reading, and release waits
// until it has ended. Close does not wait, but whoever calls it may: for the end of a Read.
type requestBody struct {
	source   io.Reader
	x        *Exchange
	length   int64 // as announced; -1 when it was not
	control  *http.ResponseController
	from, to http.Header // trailers: the client's, and those to send

	mu      sync.Mutex
	idle    sync.Cond // of mu: reading became false
	reading bool
	closed  bool
	woken   bool // a Read was under way then
	read    int64
	err     error // of the last Read
}

func newRequestBody(r *http.Request, x *Exchange, control *http.ResponseController) *requestBody {
	b := &requestBody{source: r.Body, x: x, length: r.ContentLength, control: control}
	b.idle.L = &b.mu
	return b
}

// declareTrailers makes the trailers that r announces those of out, but for the forbidden and those that
// a backend may take for fields that are not the client's to say.
func (b *requestBody) declareTrailers(out, r *http.Request, x *Exchange) {
	if len(r.Trailer) == 0 {
		return
	}
	b.from, b.to = r.Trailer, make(http.Header, len(r.Trailer))
	for name := range r.Trailer {
		if !forbiddenTrailer(name) && !sent(x.sendFields, name) && (x.Rule == nil || !x.Rule.Policies.Vouches(name)) {
			b.to[name] = nil
		}
	}
	out.Trailer = b.to
}

func (b *requestBody) Read(p []byte) (int, error) {
	if !b.begin() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.source.Read(p)
	if err == io.EOF {
		for name := range b.to {
			b.to[name] = b.from[name]
		}
	}
	b.end(int64(n), err)
	return n, err
}

// Splice is as package http1 has it for the body of a request.
func (b *requestBody) Splice(dst io.ReaderFrom) (int64, error) {
	source, ok := b.source.(interface {
		Splice(dst io.ReaderFrom) (int64, error)
	})
	if !ok {
		return 0, nil
	}
	if !b.begin() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := source.Splice(dst)
	var failed *http1.WriterError
	if errors.As(err, &failed) {
		b.end(n, nil) // it is not the client's
	} else {
		b.end(n, err)
	}
	return n, err
}

// begin reports whether the source may be read, and what ends with end.
func (b *requestBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = !b.closed
	return b.reading
}

func (b *requestBody) end(n int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	b.read += n
	if !b.woken || !errors.Is(err, os.ErrDeadlineExceeded) {
		b.err = err
	}
	b.idle.Broadcast()
}

// Close ends the reading: a Read that waits for the client, and a later one, is an error.
func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
	return nil
}

// close is Close. The lock is held.
func (b *requestBody) close() {
	b.closed = true
	if b.reading && !b.woken {
		b.woken = true
		_ = b.control.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
	}
}

// release closes the body, waits until nothing reads it any more, and records its size.
func (b *requestBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
	for b.reading {
		b.idle.Wait()
	}
	b.x.BytesIn = b.read
}

// complete reports whether the client has sent all of it.
func (b *requestBody) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err == io.EOF || b.read == b.length
}

// failure is the client's fault that ended the body early; nil for none.
func (b *requestBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// clientLeft reports whether a body has ended early because its client is gone, and not for what it
// has sent. One that has closed its side alone is gone too, as it is while it waits for a response.
func clientLeft(err error) bool {
	if err == nil {
		return false
	}
	for _, gone := range [...]error{io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT} {
		if errors.Is(err, gone) {
			return true
		}
	}
	// http2 has no name for it, and tells the body before the request's context.
	return err.Error() == "client disconnected"
}
