package http1

import (
	"net/http"
	"strings"
)

// Limits of a response.
const (
	maxResponseHead   = 64 << 10 // bytes, of one line too
	maxResponseFields = 200
	maxInterim        = 8 // 1xx responses before the final one
)

// responseHead is what is known of a response before its body. Its strings are parts of the
// one string that parse is given.
type responseHead struct {
	status    string // "200 OK"
	code      int
	minor     int // of the version: HTTP/1.minor
	framing   framing
	length    int64 // what Content-Length says, -1 for nothing
	keepAlive bool  // the connection may be used again after the body
}

// framing is how the end of a body is found.
type framing uint8

const (
	framingNone    framing = iota // there is none
	framingLength                 // Content-Length
	framingChunked                // the last chunk
	framingClose                  // the end of the connection
)

const versionPrefix = "HTTP/1."

// responseEnd returns the length of the head that b begins with, its empty line included; 0
// when more is needed. What is wrong already is an error now, for the rest may never come.
func responseEnd(b []byte, s *headScanner) (int, error) {
	if n := min(len(b), len(versionPrefix)); string(b[:n]) != versionPrefix[:n] {
		return 0, fault(BadStatusLine, "want HTTP/1.0 or HTTP/1.1, got %.20q", b)
	}
	end, err := s.scan(b, maxResponseHead)
	if err == nil && (end > maxResponseHead || end == 0 && len(b) >= maxResponseHead) {
		return 0, fault(HeadTooLarge, "want a head of at most %d bytes", maxResponseHead)
	}
	return end, err
}

// parse reads a whole head, as responseEnd delimits it, of a response to a request with that
// method. The fields go to header, which is empty; Transfer-Encoding is left out. The error
// is a *Fault.
func (h *responseHead) parse(head, method string, header http.Header, s *fieldStore) error {
	line, block, _ := strings.Cut(head, "\r\n")
	if err := h.parseStatusLine(line); err != nil {
		return err
	}
	if err := scanFields(block[:len(block)-2], header, s, maxResponseFields); err != nil {
		return err
	}
	return h.frame(method, header)
}

// parseStatusLine reads "HTTP/1.1 200 OK". The space before an empty reason may be missing, as
// many servers leave it out.
func (h *responseHead) parseStatusLine(line string) error {
	const shortest = len("HTTP/1.1 200")
	if len(line) < shortest || line[8] != ' ' || len(line) > shortest && line[shortest] != ' ' || !all(line, valueByte) {
		return fault(BadStatusLine, "want a version, a status and a reason, got %.40q", line)
	}
	switch line[:8] {
	case "HTTP/1.1":
		h.minor = 1
	case "HTTP/1.0":
		h.minor = 0
	default:
		return fault(BadStatusLine, "want HTTP/1.0 or HTTP/1.1, got %.8q", line)
	}
	h.code = 0
	for i := 9; i < shortest; i++ {
		if classes[line[i]]&digitByte == 0 {
			return fault(BadStatusLine, "want a status of three digits, got %q", line[9:shortest])
		}
		h.code = h.code*10 + int(line[i]-'0')
	}
	if h.code < 100 {
		return fault(BadStatusLine, "want a status of at least 100, got %q", line[9:shortest])
	}
	h.status = line[9:]
	return nil
}

// frame decides where the body ends (RFC 9112, 6.3). A response that two readers could
// understand in two ways is an error.
func (h *responseHead) frame(method string, header http.Header) error {
	h.length = -1
	lengths, hasLength := header["Content-Length"]
	codings, hasCoding := header["Transfer-Encoding"]
	if hasLength {
		if len(lengths) > 1 {
			return fault(BadContentLength, "want one Content-Length, got %d", len(lengths))
		}
		n, ok := parseResponseLength(lengths[0])
		if !ok {
			return fault(BadContentLength, "want a decimal number, got %.40q", lengths[0])
		}
		h.length = n
	}
	if hasCoding {
		switch {
		case hasLength:
			return fault(BadTransferEncoding, "want one framing, got Content-Length and Transfer-Encoding")
		case h.minor == 0:
			return fault(BadTransferEncoding, "want no Transfer-Encoding in HTTP/1.0")
		case len(codings) > 1 || !equalFold(codings[0], "chunked"):
			return fault(UnknownCoding, "want chunked alone, got %.40q", codings)
		}
		delete(header, "Transfer-Encoding")
	}
	connection := header["Connection"]
	h.keepAlive = h.minor == 1
	if len(connection) > 0 {
		h.keepAlive = (h.minor == 1 || hasToken(connection, "keep-alive")) && !hasToken(connection, "close")
	}

	h.framing = framingNone
	switch {
	case h.code < 200:
		if hasCoding || h.length > 0 {
			return fault(BadContentLength, "want no body with status %d", h.code)
		}
	case h.code == http.StatusNoContent:
		if hasCoding || h.length > 0 { // RFC 9110, 8.6 forbids it, but a body may follow all the same
			h.keepAlive = false
		}
	case method == http.MethodHead || h.code == http.StatusNotModified || h.length == 0:
	case hasCoding:
		h.framing = framingChunked
	case hasLength:
		h.framing = framingLength
	default:
		h.framing, h.keepAlive = framingClose, false
	}
	return nil
}

// parseResponseLength reads 1*DIGIT, up to 18 of them.
func parseResponseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 || !all(s, digitByte) {
		return 0, false
	}
	for i := range len(s) {
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}
