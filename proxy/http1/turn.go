package http1

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"
)

// turn is what a connection needs while a request is under way: the request, what it is made
// of, and its response. A connection that waits has none. Turns are used again, by any
// connection of any server; nothing of one request may be seen in the next.
type turn struct {
	c        *conn
	presence *presence
	// blank is an empty request with presence for its context. To copy it over another is the
	// way to clear what net/http keeps in it that is not exported.
	blank  *http.Request
	req    *http.Request
	url    url.URL
	header http.Header
	fields fieldStore
	body   body
	writer writer

	// What the response depends on, whatever the handler makes of req.
	minor   int  // of the version: HTTP/1.minor
	isHead  bool // the method is HEAD
	connect bool // it is CONNECT
	close   bool // the client wants no other response on the connection
	upgrade bool // it offers to speak another protocol from here
}

var turns = sync.Pool{New: func() any {
	t := &turn{header: make(http.Header), req: new(http.Request)}
	t.body.t, t.writer.t = t, t
	t.writer.header = make(http.Header)
	t.renew()
	return t
}}

// renew gives t a context, as the one that it had belongs to somebody else.
func (t *turn) renew() {
	t.presence = &presence{c: t.c}
	t.blank = new(http.Request).WithContext(t.presence)
}

// getTurn returns a turn for a request of c.
func getTurn(c *conn) *turn {
	t := turns.Get().(*turn)
	t.c, t.presence.c = c, c
	return t
}

// putTurn ends the use of t. Nothing refers to it but those who must not.
func putTurn(t *turn) {
	poison := t.c.server.poison
	if !t.presence.end() {
		t.renew()
	}
	t.c, t.presence.c = nil, nil
	clear(t.header)
	clear(t.fields.values[:cap(t.fields.values)])
	t.fields.reset()
	clear(t.writer.header)
	t.url = url.URL{}
	*t.req = *t.blank
	if poison {
		t.header["Poison"] = []string{"a header kept after ServeHTTP"}
		t.writer.header["Poison"] = []string{"a header kept after ServeHTTP"}
		t.url = url.URL{Scheme: "poison", Path: "/url-kept-after-ServeHTTP"}
		t.req.Method, t.req.RequestURI, t.req.Host = "POISON", "/request-kept-after-ServeHTTP", "poison"
	}
	turns.Put(t)
}

// begin fills the request from a head, as headScanner delimits it. The error is a *Fault.
func (t *turn) begin(head string) error {
	c := t.c
	clear(t.header)
	clear(t.writer.header)
	t.fields.reset()
	end := strings.IndexByte(head, '\n')
	line, err := parseRequestLine(head[:end-1])
	if err != nil {
		return err
	}
	if err := scanFields(head[end+1:len(head)-2], t.header, &t.fields, maxRequestFields); err != nil {
		return err
	}
	authority, err := parseTarget(line.method, line.target, &t.url)
	if err != nil {
		return err
	}
	r := t.req
	*r = *t.blank
	r.Method, r.RequestURI, r.URL = line.method, line.target, &t.url
	r.Proto, r.ProtoMajor, r.ProtoMinor = line.proto(), 1, line.minor
	r.Header, r.RemoteAddr, r.TLS = t.header, c.remote, c.tls
	if r.Host, err = takeHost(line, t.header, authority, t.url.Scheme); err != nil {
		return err
	}
	connection := t.header["Connection"]
	t.minor, t.isHead, t.connect = line.minor, line.method == http.MethodHead, line.method == http.MethodConnect
	t.close = wantsClose(line.minor, connection)
	r.Close = t.close
	t.upgrade = len(connection) > 0 && len(t.header["Upgrade"]) > 0 && hasToken(connection, "upgrade")
	if err := t.frame(line.minor); err != nil {
		return err
	}
	return t.expect(line.minor)
}

// takeHost takes the Host field out of h and checks it (RFC 9112, 3.2).
func takeHost(line requestLine, h http.Header, authority, scheme string) (string, error) {
	values := h["Host"]
	switch {
	case len(values) == 0 && line.minor == 0:
		return authority, nil
	case len(values) == 0:
		return "", fault(BadHost, "want a field Host in HTTP/1.1, got none")
	case len(values) > 1:
		return "", fault(BadHost, "want one field Host, got %d", len(values))
	}
	host := values[0]
	delete(h, "Host")
	if !validHost(host) {
		return "", fault(BadHost, "want a host and an optional port in Host, got %.80q", host)
	}
	if authority == "" {
		return host, nil
	}
	port := "80"
	if scheme == "https" || line.method == http.MethodConnect {
		port = "443"
	}
	if !sameHost(host, authority, port) {
		return "", fault(HostMismatch, "target has host %.80q, field Host has %.80q", authority, host)
	}
	return authority, nil // RFC 9112, 3.2.2
}

func wantsClose(minor int, connection []string) bool {
	if len(connection) == 0 {
		return minor == 0
	}
	return hasToken(connection, "close") || minor == 0 && !hasToken(connection, "keep-alive")
}

// frame finds out where the body ends (RFC 9112, 6.3). Where two rules could apply there is
// none: the request is refused.
func (t *turn) frame(minor int) error {
	r := t.req
	lengths, codings := t.header["Content-Length"], t.header["Transfer-Encoding"]
	if len(codings) == 0 && len(lengths) == 0 {
		t.body.reset(0, false)
		r.Body = http.NoBody
		return nil
	}
	if len(codings) > 0 {
		switch {
		case minor == 0:
			return fault(BadTransferEncoding, "want none in HTTP/1.0")
		case len(lengths) > 0:
			return fault(BadTransferEncoding, "want it without Content-Length, got both")
		case len(codings) > 1:
			return fault(BadTransferEncoding, "want one field, got %d", len(codings))
		case equalFold(codings[0], "chunked"):
		case codings[0] == "" || hasToken(codings, "chunked"):
			return fault(BadTransferEncoding, "want chunked alone, got %.40q", codings[0])
		default:
			return fault(UnknownCoding, "want chunked, got %.40q", codings[0])
		}
		delete(t.header, "Transfer-Encoding")
		r.TransferEncoding = chunkedOnly
		r.ContentLength = -1
		t.body.reset(-1, true)
		r.Body = &t.body
		return t.announceTrailers()
	}
	if len(lengths) > 1 {
		return fault(BadContentLength, "want one field, got %d", len(lengths))
	}
	n, ok := parseDecimal(lengths[0])
	if !ok {
		return fault(BadContentLength, "want decimal digits, got %.40q", lengths[0])
	}
	r.ContentLength = n
	t.body.reset(n, false)
	r.Body = &t.body
	if n == 0 {
		r.Body = http.NoBody
	}
	return nil
}

// chunkedOnly is http.Request.TransferEncoding of chunked bodies. It is not changed.
var chunkedOnly = []string{"chunked"}

// announceTrailers makes Request.Trailer of the names in Trailer, with no values yet, and
// takes that field out of the header as net/http does.
func (t *turn) announceTrailers() error {
	lists, ok := t.header["Trailer"]
	if !ok {
		return nil
	}
	delete(t.header, "Trailer")
	trailer := make(http.Header)
	for _, list := range lists {
		for list != "" {
			var name string
			name, list = cutList(list)
			if name == "" {
				continue
			}
			switch name = http.CanonicalHeaderKey(name); name {
			case "Transfer-Encoding", "Trailer", "Content-Length":
				return fault(BadTrailer, "want no %s after the body", name)
			}
			if httpguts.ValidTrailerHeader(name) && all(name, tokenByte) {
				trailer[name] = nil
			}
		}
	}
	if len(trailer) > 0 {
		t.req.Trailer = trailer
	}
	return nil
}

// expect looks at the field Expect (RFC 9110, 10.1.1).
func (t *turn) expect(minor int) error {
	values := t.header["Expect"]
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || !equalFold(values[0], "100-continue") {
		return fault(BadExpectation, "want 100-continue, got %.40q", strings.Join(values, ", "))
	}
	t.body.asks = minor > 0 && t.req.Body != http.NoBody // RFC 9110, 10.1.1: not from HTTP/1.0
	t.body.expected = t.body.asks
	return nil
}

// parseDecimal reads digits and nothing else, below 2^63.
func parseDecimal(s string) (int64, bool) {
	if s == "" || !all(s, digitByte) {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
