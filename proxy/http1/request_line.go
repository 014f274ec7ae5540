package http1

import "strings"

// requestLine is the first line of a request.
type requestLine struct {
	method, target string
	minor          int // of the version: HTTP/1.minor
}

// parseRequestLine reads a line, without its CRLF. It takes exactly one space between the
// parts (RFC 9112, 3), where others take more, or other bytes for one. The target is checked
// for its bytes and its length only.
func parseRequestLine(line string) (requestLine, error) {
	var r requestLine
	sp := strings.IndexByte(line, ' ')
	if sp < 0 {
		return r, fault(BadRequestLine, "want a method, a target and a version, got %.40q", line)
	}
	r.method = line[:sp]
	rest := line[sp+1:]
	switch {
	case r.method == "" || !all(r.method, tokenByte):
		return r, fault(BadRequestLine, "want a method, got %.40q", r.method)
	case len(r.method) > maxMethod:
		return r, fault(BadRequestLine, "want a method of at most %d bytes, got %d", maxMethod, len(r.method))
	}
	sp = strings.IndexByte(rest, ' ')
	if sp < 0 {
		return r, fault(BadRequestLine, "want a version after the target, got none")
	}
	r.target = rest[:sp]
	switch version := rest[sp+1:]; {
	case version == "HTTP/1.1":
		r.minor = 1
	case version == "HTTP/1.0":
	case len(version) == len("HTTP/1.1") && version[:5] == "HTTP/" && version[6] == '.' &&
		classes[version[5]]&classes[version[7]]&digitByte != 0:
		return r, fault(BadVersion, "want HTTP/1.0 or HTTP/1.1, got %q", version)
	default:
		return r, fault(BadRequestLine, "want HTTP/1.0 or HTTP/1.1, got %.40q", version)
	}
	if len(r.target) > maxTarget {
		return r, fault(TargetTooLong, "want at most %d bytes, got %d", maxTarget, len(r.target))
	}
	if r.target == "" || !all(r.target, targetByte) {
		return r, fault(BadTarget, "want no space, control character or # in the target, got %.40q", r.target)
	}
	return r, nil
}

// isPreface reports whether head is the first half of the HTTP/2 connection preface
// (RFC 9113, 3.4).
func isPreface(head string) bool { return head == "PRI * HTTP/2.0\r\n\r\n" }

// proto is the version as http.Request has it.
func (r *requestLine) proto() string {
	if r.minor == 0 {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// tooLong says what is wrong with a first line that begins with b and is longer than any we
// take.
func tooLong(b []byte) error {
	if sp := strings.IndexByte(string(b[:min(len(b), maxMethod+1)]), ' '); sp > 0 {
		return fault(TargetTooLong, "want at most %d bytes", maxTarget)
	}
	return fault(BadRequestLine, "want a method of at most %d bytes", maxMethod)
}

// maxRequestLine is as long as a line can be whose parts are within their limits.
const maxRequestLine = maxMethod + len(" ") + maxTarget + len(" HTTP/1.1")
