package http1

import (
	"net/http"
	"strconv"
	"strings"
)

// writeHead puts the head of the final response in buf, but for the lines that appendFraming
// adds. What has not left yet of an earlier piece cannot be there.
func (w *writer) writeHead() {
	w.length = -1
	if v := w.header["Content-Length"]; len(v) > 0 {
		if n, ok := parseDecimal(v[0]); ok && len(v) == 1 {
			w.length = n
		}
	}
	switch {
	case w.t.isHead, w.status < 200, w.status == http.StatusNoContent,
		w.status == http.StatusResetContent, w.status == http.StatusNotModified:
		w.framing = bodyless
	case w.length >= 0:
		w.framing = sized
	}
	w.buf = appendStatusLine(getBuffer(smallBuffer)[:0], w.status)
	if _, ok := w.header["Date"]; !ok {
		w.buf = append(w.buf, *w.t.c.server.wheel.date.Load()...)
	}
	for name, values := range w.header {
		if ownResponseField(name) {
			w.note(name, values)
			continue
		}
		if name == "" || !all(name, tokenByte) { // http.TrailerPrefix has a colon
			continue
		}
		for _, v := range values {
			w.buf = appendField(w.buf, name, v)
		}
	}
	w.head = len(w.buf)
	w.buf = append(w.buf, emptyGap[:]...)
	w.body = len(w.buf)
}

var emptyGap [gapSize]byte

// ownResponseField reports whether the field of that canonical name is made here.
func ownResponseField(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
		return true
	}
	return false
}

// note takes from a field that is made here what the handler meant by it.
func (w *writer) note(name string, values []string) {
	switch name {
	case "Connection":
		if hasToken(values, "close") {
			w.close = true
			return
		}
		for _, v := range values {
			if !equalFold(v, "keep-alive") {
				w.buf = appendField(w.buf, name, v) // Upgrade, with status 426
			}
		}
	case "Trailer":
		if w.t.minor == 0 || w.framing != undecided {
			return
		}
		for _, list := range values {
			for list != "" {
				var trailer string
				if trailer, list = cutList(list); allowedTrailer(trailer) {
					w.trailers = append(w.trailers, http.CanonicalHeaderKey(trailer))
				}
			}
		}
		for _, trailer := range w.trailers {
			w.buf = appendField(w.buf, name, trailer)
		}
	}
}

// decide settles, when the head has to leave, how the end of the body is shown. last says that
// all of the body is there.
func (w *writer) decide(last bool) {
	if w.framing == undecided {
		switch {
		case last && len(w.trailers) == 0:
			w.framing, w.length = sized, w.written
		case w.t.minor > 0:
			w.framing = chunked
		default:
			w.framing = untilClose
		}
	}
	w.close = w.close || w.framing == untilClose || w.t.close || w.t.c.last ||
		w.status == http.StatusSwitchingProtocols || w.t.c.server.draining.Load()
}

// appendFraming appends the lines that finish the head: gapSize bytes at most, with the size of
// a chunk.
func (w *writer) appendFraming(b []byte) []byte {
	switch {
	case w.framing == chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case w.framing == sized:
		b = appendContentLength(b, w.length)
	case w.framing != bodyless, w.status < 200, w.status == http.StatusNoContent: // RFC 9110, 8.6
	case w.status == http.StatusResetContent:
		b = appendContentLength(b, 0)
	case w.length >= 0:
		b = appendContentLength(b, w.length)
	case w.written > 0:
		b = appendContentLength(b, w.written)
	}
	switch {
	case w.status == http.StatusSwitchingProtocols:
	case w.close:
		b = append(b, "Connection: close\r\n"...)
	case w.t.minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return append(b, "\r\n"...)
}

func appendContentLength(b []byte, n int64) []byte {
	b = append(b, "Content-Length: "...)
	return append(strconv.AppendInt(b, n, 10), "\r\n"...)
}

// appendTrailers appends the trailer fields: those that were announced and have values, and
// those whose names begin with http.TrailerPrefix.
func (w *writer) appendTrailers(b []byte) []byte {
	for _, name := range w.trailers {
		if _, ok := w.header[http.TrailerPrefix+name]; ok {
			continue // that of this name alone was a field of the head
		}
		for _, v := range w.header[name] {
			b = appendField(b, name, v)
		}
	}
	for key, values := range w.header {
		name, ok := strings.CutPrefix(key, http.TrailerPrefix)
		if !ok || !allowedTrailer(name) {
			continue
		}
		for _, v := range values {
			b = appendField(b, name, v)
		}
	}
	return b
}

// appendStatusLine appends the status line with the standard reason phrase.
func appendStatusLine(b []byte, code int) []byte {
	if code == http.StatusOK {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(code)...)
	return append(b, "\r\n"...)
}
