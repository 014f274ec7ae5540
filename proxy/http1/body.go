package http1

import (
	"io"
	"net/http"
	"sync"

	"golang.org/x/net/http/httpguts"
)

// body is the body of a request. It may be read on another goroutine than the handler's, if the
// handler waits for that one to end.
type body struct {
	t       *turn
	chunked bool
	left    int64 // of a body with Content-Length
	chunks  chunkedReader
	err     error // sticky
	closed  bool

	// asks says that the client waits for "100 Continue" before it sends the body, and
	// expected that it has not got one. mu orders that with the head of the response, after
	// which there must be none.
	asks     bool
	mu       sync.Mutex
	expected bool
	// withheld says that the client may never send the body, as it got another answer while
	// it waited. What comes next on the connection may be anything.
	withheld bool

	pace pace
}

// reset makes b ready for a body of length bytes, or a chunked one.
func (b *body) reset(length int64, chunked bool) {
	b.chunked, b.left, b.err, b.closed = chunked, length, nil, false
	b.asks, b.expected, b.withheld = false, false, false
	b.pace = pace{}
	if chunked {
		b.chunks.reset(&b.t.c.in, &b.t.fields, maxTrailer, maxRequestFields)
	} else if length == 0 {
		b.err = io.EOF
	}
}

// Read returns what is there, and waits only if that is nothing. The first Read asks the client
// to send the body, if it waits for that.
func (b *body) Read(p []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.next(p)
}

// next is Read for those who need not care whether b is closed.
func (b *body) next(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := b.invite(); err != nil {
		b.err = err
		return 0, err
	}
	var n int
	var err error
	if b.chunked {
		n, err = b.chunks.Read(p)
		if err == io.EOF {
			b.takeTrailer()
		}
	} else {
		n, err = b.t.c.in.Read(p[:min(int64(len(p)), b.left)])
		if b.left -= int64(n); b.left == 0 {
			err = io.EOF
		} else {
			err = unexpected(err)
		}
	}
	b.err = err
	return n, err
}

// Close ends the reading. It does not wait for what the client has yet to send.
func (b *body) Close() error {
	b.closed = true
	return nil
}

// consumed reports whether all of the body was read from the connection.
func (b *body) consumed() bool { return b.err == io.EOF }

// invite sends "100 Continue" if the client waits for it.
func (b *body) invite() error {
	if !b.asks {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.expected {
		return nil
	}
	b.expected = false
	return b.t.c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// answered is called when the final response begins: then it is too late for a "100 Continue".
func (b *body) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.expected {
		b.expected = false
		b.withheld = true
	}
}

// takeTrailer gives the request the trailer fields. Those that mean something only before a body
// are left out (RFC 9110, 6.5.1).
func (b *body) takeTrailer() {
	for name, values := range b.chunks.trailer {
		if !httpguts.ValidTrailerHeader(name) {
			continue
		}
		if b.t.req.Trailer == nil {
			b.t.req.Trailer = make(http.Header)
		}
		b.t.req.Trailer[name] = append(b.t.req.Trailer[name], values...)
	}
}

// skippable reports whether the rest of the body is worth reading for the sake of the connection: it
// is to come, and not known to be long.
func (b *body) skippable() bool {
	return b.err == nil && !b.expected && !b.withheld && (b.chunked || b.left <= maxUnread)
}

// skip reads and drops what is left of the body, within bounds of size and time. It reports whether
// that was all, so that the next request can be read. The response has been sent.
func (b *body) skip() bool {
	c := b.t.c
	c.reading = waitSkip
	c.slot.in.set(waitSkip, c.server.wheel.due(lingerTime))
	defer c.slot.in.stop() // if it rang, a Read has failed
	buf := getBuffer(smallBuffer)
	defer putBuffer(buf, c.server.poison)
	for skipped := 0; skipped <= maxUnread; {
		n, err := b.next(buf)
		skipped += n
		if err != nil {
			return err == io.EOF
		}
	}
	return false
}
