package http1

import (
	"net/http"
)

// fieldStore is what the header maps of a connection's messages are made of. The values of a
// header share one array, so that a field costs no allocation. The zero value is ready.
type fieldStore struct {
	values []string // of the message at hand
	names  [8]string
	next   uint8 // of names, the one to be replaced
}

// reset makes the store forget the values that it gave out: the next scan overwrites them.
func (s *fieldStore) reset() { s.values = s.values[:0] }

// scanFields reads the field lines of block into h: each ends with CRLF, and the empty line
// that ends them all is not part of block. Names come in canonical form, values without
// whitespace around them, and both are parts of block where that is possible. Fields of one
// name are kept apart and in order.
//
// The error is a *Fault: BadField, BadLineEnd, or TooManyFields beyond limit.
func scanFields(block string, h http.Header, s *fieldStore, limit int) error {
	count := 0
	for block != "" {
		if count++; count > limit {
			return fault(TooManyFields, "want at most %d fields", limit)
		}
		canonical, upper := true, true
		i := 0
		for ; i < len(block); i++ {
			k := classes[block[i]]
			if k&tokenByte == 0 {
				break
			}
			if upper {
				canonical = canonical && k&lowerByte == 0
			} else {
				canonical = canonical && k&upperByte == 0
			}
			upper = block[i] == '-'
		}
		if i == 0 || i == len(block) || block[i] != ':' {
			return nameFault(block, i)
		}
		name := block[:i]
		if !canonical {
			name = s.canonicalName(name)
		}
		start := i + 1
		for i = start; i < len(block) && classes[block[i]]&valueByte != 0; i++ {
		}
		if i+1 >= len(block) || block[i] != '\r' || block[i+1] != '\n' {
			return valueFault(name, block[i:])
		}
		value := trimSpace(block[start:i])
		block = block[i+2:]

		n := len(s.values)
		if values, ok := h[name]; ok {
			h[name] = append(values, value)
			continue
		}
		s.values = append(s.values, value)
		h[name] = s.values[n : n+1 : n+1]
	}
	return nil
}

func nameFault(block string, i int) error {
	switch {
	case i == len(block):
		return fault(BadField, "want a colon, got the end of the head")
	case block[i] == '\r' || block[i] == '\n':
		return fault(BadField, "want a colon after %.40q, got the end of the line", block[:i])
	case i == 0 && (block[0] == ' ' || block[0] == '\t'):
		return fault(BadField, "want a field name, got a folded line")
	}
	return fault(BadField, "want a field name and a colon, got %q after %.40q", block[i], block[:i])
}

func valueFault(name, rest string) error {
	if rest != "" && rest[0] != '\r' && rest[0] != '\n' {
		return fault(BadField, "field %.40q: want no control character, got %q", name, rest[0])
	}
	return fault(BadLineEnd, "field %.40q: want CRLF at the end of the line", name)
}

// canonicalName returns the canonical form of a token that is not in it.
func (s *fieldStore) canonicalName(name string) string {
	var buf [64]byte
	if len(name) > len(buf) {
		return http.CanonicalHeaderKey(name)
	}
	upper := true
	for i := range len(name) {
		c := name[i]
		k := classes[c]
		if upper && k&lowerByte != 0 {
			c -= 'a' - 'A'
		} else if !upper && k&upperByte != 0 {
			c += 'a' - 'A'
		}
		buf[i] = c
		upper = c == '-'
	}
	b := buf[:len(name)]
	if known := knownName(b); known != "" {
		return known
	}
	for i := range s.names {
		if s.names[i] == string(b) {
			return s.names[i]
		}
	}
	fresh := string(b)
	s.names[s.next%uint8(len(s.names))] = fresh
	s.next++
	return fresh
}

// knownName returns b as a string if it is the canonical form of a name that many messages
// have, else "".
func knownName(b []byte) string {
	switch string(b) {
	case "Accept":
		return "Accept"
	case "Accept-Encoding":
		return "Accept-Encoding"
	case "Accept-Language":
		return "Accept-Language"
	case "Accept-Ranges":
		return "Accept-Ranges"
	case "Access-Control-Allow-Origin":
		return "Access-Control-Allow-Origin"
	case "Access-Control-Allow-Credentials":
		return "Access-Control-Allow-Credentials"
	case "Age":
		return "Age"
	case "Authorization":
		return "Authorization"
	case "Cache-Control":
		return "Cache-Control"
	case "Connection":
		return "Connection"
	case "Content-Encoding":
		return "Content-Encoding"
	case "Content-Length":
		return "Content-Length"
	case "Content-Security-Policy":
		return "Content-Security-Policy"
	case "Content-Type":
		return "Content-Type"
	case "Cookie":
		return "Cookie"
	case "Date":
		return "Date"
	case "Dnt":
		return "Dnt"
	case "Etag":
		return "Etag"
	case "Expect":
		return "Expect"
	case "Expires":
		return "Expires"
	case "Forwarded":
		return "Forwarded"
	case "Host":
		return "Host"
	case "If-Modified-Since":
		return "If-Modified-Since"
	case "If-None-Match":
		return "If-None-Match"
	case "Keep-Alive":
		return "Keep-Alive"
	case "Last-Modified":
		return "Last-Modified"
	case "Location":
		return "Location"
	case "Origin":
		return "Origin"
	case "Pragma":
		return "Pragma"
	case "Range":
		return "Range"
	case "Referer":
		return "Referer"
	case "Sec-Ch-Ua":
		return "Sec-Ch-Ua"
	case "Sec-Ch-Ua-Mobile":
		return "Sec-Ch-Ua-Mobile"
	case "Sec-Ch-Ua-Platform":
		return "Sec-Ch-Ua-Platform"
	case "Sec-Fetch-Dest":
		return "Sec-Fetch-Dest"
	case "Sec-Fetch-Mode":
		return "Sec-Fetch-Mode"
	case "Sec-Fetch-Site":
		return "Sec-Fetch-Site"
	case "Sec-Fetch-User":
		return "Sec-Fetch-User"
	case "Sec-Websocket-Extensions":
		return "Sec-Websocket-Extensions"
	case "Sec-Websocket-Key":
		return "Sec-Websocket-Key"
	case "Sec-Websocket-Protocol":
		return "Sec-Websocket-Protocol"
	case "Sec-Websocket-Version":
		return "Sec-Websocket-Version"
	case "Server":
		return "Server"
	case "Set-Cookie":
		return "Set-Cookie"
	case "Strict-Transport-Security":
		return "Strict-Transport-Security"
	case "Te":
		return "Te"
	case "Traceparent":
		return "Traceparent"
	case "Tracestate":
		return "Tracestate"
	case "Trailer":
		return "Trailer"
	case "Transfer-Encoding":
		return "Transfer-Encoding"
	case "Upgrade":
		return "Upgrade"
	case "Upgrade-Insecure-Requests":
		return "Upgrade-Insecure-Requests"
	case "User-Agent":
		return "User-Agent"
	case "Vary":
		return "Vary"
	case "Via":
		return "Via"
	case "X-Content-Type-Options":
		return "X-Content-Type-Options"
	case "X-Forwarded-For":
		return "X-Forwarded-For"
	case "X-Forwarded-Host":
		return "X-Forwarded-Host"
	case "X-Forwarded-Proto":
		return "X-Forwarded-Proto"
	case "X-Frame-Options":
		return "X-Frame-Options"
	case "X-Real-Ip":
		return "X-Real-Ip"
	case "X-Request-Id":
		return "X-Request-Id"
	case "X-Requested-With":
		return "X-Requested-With"
	}
	return ""
}

// appendField appends a field line. A byte of value that would end the line, or that no value
// may have, becomes a space, so that nobody can write a second field into one.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	start := len(dst)
	dst = append(dst, value...)
	for i, c := range dst[start:] {
		if classes[c]&valueByte == 0 {
			dst[start+i] = ' '
		}
	}
	return append(dst, "\r\n"...)
}

// hasToken reports whether the comma-separated lists of values have token, which is lower
// case, as a member in any case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		if len(v) == len(token) { // one member, as nearly always
			if equalFold(v, token) {
				return true
			}
			continue
		}
		for rest := v; rest != ""; {
			var member string
			member, rest = cutList(rest)
			if equalFold(member, token) {
				return true
			}
		}
	}
	return false
}

// cutList splits the first member off a comma-separated list.
func cutList(s string) (member, rest string) {
	for i := range len(s) {
		if s[i] == ',' {
			return trimSpace(s[:i]), s[i+1:]
		}
	}
	return trimSpace(s), ""
}
