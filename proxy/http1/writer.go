package http1

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// writer is the http.ResponseWriter of a turn. It implements what http.ResponseController asks
// for, and io.ReaderFrom and io.StringWriter.
//
// What is written is collected, and goes out in one piece if that is short; the end of the
// response's head is left open until then:
//
//	buf: head | gap | body
//
// When the first bytes have to leave, the framing is decided, its lines are put into the gap, and
// the head is moved up to them. From then on buf collects the body alone.
type writer struct {
	t      *turn
	header http.Header

	status  int   // of the final response; 0 before WriteHeader
	length  int64 // Content-Length as the handler gave it; -1 for none
	written int64 // bytes of the body that the handler wrote
	err     error // of the connection; sticky

	framing  transfer
	close    bool     // this response is the last
	trailers []string // names that the header announced

	buf  []byte // from getBuffer, or larger; nil when there is nothing in it
	head int    // length of the head in buf; 0 once it has left
	body int    // where the body begins in buf

	pieces [3][]byte   // backs bufs
	bufs   net.Buffers // kept here, as it would escape
}

// transfer is how the end of a response's body is shown.
type transfer uint8

const (
	undecided  transfer = iota
	sized               // Content-Length
	chunked             // the last chunk
	untilClose          // the end of the connection
	bodyless            // there is none, whatever the header says
)

const (
	gapSize   = 112      // the longest lines that finish a head, and the first chunk's size
	chunkHead = 18       // the longest size line of a chunk
	maxPiece  = 16 << 10 // what is collected before it is written
)

// begin makes w ready for a response.
func (w *writer) begin() {
	w.status, w.length, w.written, w.err = 0, -1, 0, nil
	w.t.c.begun.Store(false)
	w.framing, w.close, w.trailers = undecided, false, nil
	w.head, w.body = 0, 0
}

// Header is what WriteHeader sends.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader sends an interim response at once if code is 1xx, but for 101. Else it begins the
// final response; later changes of the Header count for trailers only.
func (w *writer) WriteHeader(code int) {
	switch {
	case code < 100 || code > 999:
		panic(fmt.Sprintf("http1: WriteHeader with status %d", code))
	case w.status != 0 || w.t.c.hijacked:
	case code < 200 && code != http.StatusSwitchingProtocols:
		w.interim(code)
	default:
		w.status = code
		w.writeHead()
	}
}

// Write is as http.ResponseWriter has it. For a response that has no body by its status the
// error is http.ErrBodyNotAllowed; what is written to one for HEAD, or with status 205, is
// counted and dropped.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.admit(len(p)); err != nil {
		return 0, err
	}
	if w.framing == bodyless || len(p) == 0 {
		return len(p), nil
	}
	if w.collected()+len(p) <= maxPiece {
		w.room(len(p))
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	if err := w.emit(p, false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteString is Write.
func (w *writer) WriteString(s string) (int, error) {
	if err := w.admit(len(s)); err != nil {
		return 0, err
	}
	if w.framing == bodyless || len(s) == 0 {
		return len(s), nil
	}
	if w.collected()+len(s) <= maxPiece {
		w.room(len(s))
		w.buf = append(w.buf, s...)
		return len(s), nil
	}
	if err := w.emit([]byte(s), false); err != nil {
		return 0, err
	}
	return len(s), nil
}

// admit checks whether n bytes of body may be written, and counts them.
func (w *writer) admit(n int) error {
	switch {
	case w.t.c.hijacked:
		return http.ErrHijacked
	case w.status == 0:
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return w.err
	case n == 0:
		return nil
	case w.framing == bodyless && !w.t.isHead && w.status != http.StatusResetContent:
		return http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(n) > w.length && w.framing != bodyless:
		return http.ErrContentLength
	}
	w.written += int64(n)
	return nil
}

// collected is how much of the body is held back.
func (w *writer) collected() int { return len(w.buf) - w.body }

// room makes sure that n bytes, within maxPiece, fit in buf with what ends a chunked body.
func (w *writer) room(n int) {
	const tail = len("\r\n" + lastChunk + "\r\n")
	size := smallBuffer
	if len(w.buf)+n+chunkHead+tail > size {
		size = 8 * smallBuffer
	}
	switch {
	case w.buf == nil:
		w.buf = getBuffer(size)[:0]
		if w.framing == chunked {
			w.buf = w.buf[:chunkHead]
		}
		w.body = len(w.buf)
	case size > cap(w.buf):
		bigger := append(getBuffer(size)[:0], w.buf...)
		putBuffer(w.buf, w.t.c.server.poison)
		w.buf = bigger
	}
}

// emit writes what was collected, then p, and what ends the body if this is the last of it; p is
// empty then.
func (w *writer) emit(p []byte, last bool) error {
	if w.err != nil {
		return w.err
	}
	if w.status != 0 && w.head > 0 {
		w.decide(last)
	}
	if w.t.c.tcp == nil && len(p) > 0 {
		w.err = w.emitRecords(p)
		return w.err
	}
	n := w.collected() + len(p)
	switch {
	case w.head > 0 || last && w.framing == chunked:
	case n == 0:
		return nil
	case n == len(p) && w.framing != chunked:
		w.err = w.t.c.write(p)
		return w.err
	}
	w.room(0)
	start := w.seal(n)
	if len(p) == 0 {
		if w.framing == chunked && n > 0 {
			w.buf = append(w.buf, "\r\n"...)
		}
		if w.framing == chunked && last {
			w.buf = append(w.buf, lastChunk...)
			w.buf = append(w.appendTrailers(w.buf), "\r\n"...)
		}
		w.err = w.t.c.write(w.buf[start:])
	} else {
		w.pieces = [3][]byte{w.buf[start:], p, crlf}
		w.bufs = w.pieces[:2]
		if w.framing == chunked {
			w.bufs = w.pieces[:3]
		}
		w.err = w.t.c.writeAll(&w.bufs)
		w.pieces = [3][]byte{}
	}
	w.release()
	return w.err
}

var crlf = []byte("\r\n")

// emitRecords is emit for connections that write every piece on its own, TLS above all. It copies
// p, so that pieces are as long as a TLS record can be and their framing does not go alone.
func (w *writer) emitRecords(p []byte) error {
	for len(p) > 0 {
		if w.buf == nil && w.framing != chunked && len(p) >= maxPiece {
			return w.t.c.write(p)
		}
		most := maxPiece - chunkHead - len("\r\n")
		if w.head > 0 {
			most -= w.head + gapSize
		}
		n := min(len(p), max(0, most-w.collected()))
		w.room(n)
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if err := w.emit(nil, false); err != nil {
			return err
		}
	}
	return nil
}

// seal puts the lines before the body that was collected: the size of a chunk of n bytes, and
// the head, if it has not left. It returns where in buf they begin.
func (w *writer) seal(n int) (start int) {
	var gap [gapSize]byte
	lines := gap[:0]
	if w.head > 0 {
		lines = w.appendFraming(lines)
	}
	if w.framing == chunked && n > 0 {
		lines = appendChunkSize(lines, n)
	}
	start = w.body - len(lines)
	copy(w.buf[start:], lines)
	if w.head > 0 {
		start -= w.head
		copy(w.buf[start:], w.buf[:w.head])
		w.head = 0
		if w.t.body.asks {
			w.t.body.answered()
		}
		w.t.c.begun.Store(true)
	}
	return start
}

// release gives buf back. What was in it has been written.
func (w *writer) release() {
	if w.buf != nil {
		putBuffer(w.buf, w.t.c.server.poison)
		w.buf, w.head, w.body = nil, 0, 0
	}
}

// Flush sends what was written so far.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *writer) FlushError() error {
	switch {
	case w.t.c.hijacked:
		return http.ErrHijacked
	case w.status == 0:
		w.WriteHeader(http.StatusOK)
	}
	return w.emit(nil, false)
}

// finish completes the response when the handler has returned. It reports whether the
// connection can be used for another request.
func (w *writer) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	c := w.t.c
	body := &w.t.body
	consumed, skippable := body.consumed(), body.skippable()
	if !consumed && !skippable || w.t.connect {
		w.close = true
	}
	if c.in.len() > 0 && w.t.upgrade {
		// These bytes may be of the protocol that the client offered, and made to look like
		// a request (CVE-2026-2833 of Pingora is of this kind).
		w.close = true
	}
	_ = w.emit(nil, true)
	w.release()
	if w.err != nil {
		return false
	}
	if w.framing == sized && w.written < w.length {
		return false
	}
	if !consumed && skippable && !w.close && !c.last {
		consumed = body.skip()
		w.close = !consumed
	}
	if w.close || c.last {
		if !consumed || c.in.len() > 0 {
			c.parting = lingering
		}
		return false
	}
	return true
}

// abandon drops what has not been written. The client must see that the response is not complete,
// if it has got any of it: the connection ends where the framing says that more is to come.
// Where the framing says nothing the connection is reset.
func (w *writer) abandon() {
	w.release()
	if w.t.c.begun.Load() && w.framing == untilClose {
		w.t.c.parting = resetting
	}
}

// SetReadDeadline replaces the server's own limits of time for the rest of the request.
func (w *writer) SetReadDeadline(t time.Time) error {
	w.t.c.deadlines.Store(true)
	return w.t.c.nc.SetReadDeadline(t)
}

// SetWriteDeadline replaces the server's own limits of time for the rest of the request.
func (w *writer) SetWriteDeadline(t time.Time) error {
	w.t.c.deadlines.Store(true)
	return w.t.c.nc.SetWriteDeadline(t)
}

// EnableFullDuplex does nothing: the request's body may always be read after the response has
// begun.
func (w *writer) EnableFullDuplex() error { return nil }

// interim sends a 1xx response with the fields of the header.
func (w *writer) interim(code int) {
	if w.t.minor == 0 || w.err != nil {
		return // RFC 9110, 15.2: not to HTTP/1.0
	}
	b := getBuffer(smallBuffer)[:0]
	b = appendStatusLine(b, code)
	for name, values := range w.header {
		if ownResponseField(name) || !all(name, tokenByte) || name == "" {
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	b = append(b, "\r\n"...)
	body := &w.t.body
	body.mu.Lock()
	defer body.mu.Unlock()
	if code == http.StatusContinue {
		body.expected = false
	}
	w.err = w.t.c.write(b) // it goes before what was collected, which is nothing yet
	putBuffer(b, w.t.c.server.poison)
}

var (
	_ http.ResponseWriter = (*writer)(nil)
	_ http.Flusher        = (*writer)(nil)
	_ http.Hijacker       = (*writer)(nil)
	_ io.ReaderFrom       = (*writer)(nil)
	_ io.StringWriter     = (*writer)(nil)
)
