package http1

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// sentBody says how the body of a request is sent.
type sentBody uint8

const (
	bodyNone      sentBody = iota
	bodyInline             // read whole, and written together with the head
	bodyAnnounced          // streamed, as long as Content-Length says
	bodyChunked            // streamed, then the trailers
)

// inlineBody is how long a body may be to be sent together with the head.
const inlineBody = 12 << 10

// bodyOf decides how the body of req is sent. As in net/http, a body that is not nil and
// has ContentLength 0 is of unknown length.
func bodyOf(req *http.Request) sentBody {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return bodyNone
	case req.ContentLength <= 0:
		return bodyChunked
	case req.ContentLength <= inlineBody && !expectsContinue(req):
		return bodyInline
	}
	return bodyAnnounced
}

func expectsContinue(req *http.Request) bool {
	values, ok := req.Header["Expect"]
	return ok && hasToken(values, "100-continue")
}

// appendRequest appends the head of req to b.
//
// The target is URL.Opaque as it stands or, without one, the escaped path; then the query. Host
// is req.Host, else URL.Host. The fields are those of Header as they stand, in no order, except
// Host, Content-Length, Transfer-Encoding and Trailer, which are made here, in any spelling
// of the name. What would not be read as what was meant is an error.
func appendRequest(b []byte, req *http.Request, kind sentBody) ([]byte, error) {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	if !isToken(method) || method == http.MethodConnect {
		return nil, fmt.Errorf("method %.40q", method)
	}
	start := len(b)
	b = append(append(b, method...), ' ')
	target := len(b)
	b = appendTarget(b, req)
	if !validTarget(b[target:]) {
		return nil, fmt.Errorf("target %.40q", b[target:])
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	at := len(b)
	b = append(b, host...)
	if !validTarget(b[at:]) {
		return nil, fmt.Errorf("host %.40q", host)
	}
	b = append(b, "\r\n"...)
	lines := 2
	for name, values := range req.Header {
		if ownField(name) {
			continue
		}
		if !isToken(name) {
			return nil, fmt.Errorf("field name %.40q", name)
		}
		for _, v := range values {
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
			lines++
		}
	}
	switch kind {
	case bodyInline, bodyAnnounced:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), req.ContentLength, 10), "\r\n"...)
		lines++
	case bodyChunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		lines++
		if len(req.Trailer) > 0 {
			var err error
			if b, err = appendTrailerNames(b, req.Trailer); err != nil {
				return nil, err
			}
			lines++
		}
	default:
		if announcesNothing(method) {
			b = append(b, "Content-Length: 0\r\n"...)
			lines++
		}
	}
	b = append(b, "\r\n"...)
	lines++
	// One pass of each instead of a look at every value: nothing in them has begun a line.
	if head := b[start:]; bytes.Count(head, lf) != lines || bytes.Count(head, cr) != lines || bytes.IndexByte(head, 0) >= 0 {
		return nil, errors.New("a field holds a line break or NUL")
	}
	return b, nil
}

var (
	lf = []byte{'\n'}
	cr = []byte{'\r'}
)

func isToken(s string) bool { return s != "" && all(s, tokenByte) }

// announcesNothing reports whether a request of that method without a body says so: servers
// expect one, and some answer 411 (RFC 9110, 8.6).
func announcesNothing(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

func appendTarget(b []byte, req *http.Request) []byte {
	u := req.URL
	start := len(b)
	if u.Opaque != "" {
		b = append(b, u.Opaque...)
	} else {
		b = append(b, u.EscapedPath()...)
	}
	if len(b) == start {
		b = append(b, '/')
	}
	if u.RawQuery != "" || u.ForceQuery {
		b = append(append(b, '?'), u.RawQuery...)
	}
	return b
}

// validTarget reports whether nothing in a target, or a host, ends it before its end.
func validTarget(t []byte) bool {
	for _, c := range t {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// ownField reports whether a field is made here, whatever Header says.
func ownField(name string) bool {
	switch len(name) {
	case len("Host"):
		return equalFold(name, "host")
	case len("Trailer"):
		return equalFold(name, "trailer")
	case len("Content-Length"):
		return equalFold(name, "content-length")
	case len("Transfer-Encoding"):
		return equalFold(name, "transfer-encoding")
	}
	return false
}

func appendTrailerNames(b []byte, trailer http.Header) ([]byte, error) {
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		if !isToken(name) || !httpguts.ValidTrailerHeader(name) {
			return nil, fmt.Errorf("trailer %.40q", name)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(append(b, "Trailer: "...), strings.Join(names, ", ")...)
	return append(b, "\r\n"...), nil
}

// appendTrailers appends the last chunk, the trailers that have values, and the empty line.
func appendTrailers(b []byte, trailer http.Header) ([]byte, error) {
	b = append(b, "0\r\n"...)
	for name, values := range trailer {
		if len(values) > 0 && (!isToken(name) || !httpguts.ValidTrailerHeader(name)) {
			return nil, fmt.Errorf("trailer %.40q", name)
		}
		for _, v := range values {
			if !all(v, valueByte) {
				return nil, fmt.Errorf("value of trailer %.40q", name)
			}
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...), nil
}
