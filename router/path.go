package router

import (
	"errors"
	"fmt"
	"strings"
)

// Path is a request's path in the form that routing compares, with what a proxy must know
// of the form it came in. It is made by CanonicalPath.
type Path struct {
	// Match is the canonical form, which Lookup takes. Two paths have the same Match if and
	// only if they have the same elements once decoded, and agree on the trailing slash.
	// It begins with "/", or is "*".
	Match string
	// Forward is what to send upstream. It is the path as it came, byte for byte, unless
	// DotSegments is set: then those are resolved and slashes merged, and the elements that
	// stay are as they came. The Match of Forward is Match.
	Forward string
	// Rewritten says that Match is not the path as it came.
	Rewritten bool
	// DotSegments says that the path had an element "." or "..", plain or escaped.
	DotSegments bool
	// AboveRoot says that ".." went above the root, where it has no effect.
	AboveRoot bool
	// Slashes says that an element of Match has an encoded slash or a backslash in it, which
	// some servers read as the end of the element. AsSlashes is the path they see.
	Slashes bool
}

// CanonicalPath returns the canonical form of the escaped path of a request target, which
// is the part before "?". The package comment defines the form. "" is "/"; "*", the target
// of OPTIONS for the whole server, stays and has no elements.
//
// An error says that the path must be refused, as 400. Either it is no path: it has no
// leading slash, a "%" without two hex digits, a NUL, a raw control character, a raw "?" or
// "#". Or servers disagree about it in ways that AsSlashes does not cover: some see a dot
// segment where it has "." or ".." beside an encoded slash or a backslash, or before a ";",
// and where both encoded slashes and backslashes are, some split at one of the two.
//
// It does not allocate when escaped is canonical.
func CanonicalPath(escaped string) (Path, error) {
	switch {
	case escaped == "":
		return Path{Match: "/", Forward: "/", Rewritten: true}, nil
	case escaped == "*":
		return Path{Match: "*", Forward: "*"}, nil
	case escaped[0] != '/':
		return Path{}, fmt.Errorf("path %.80q: want a leading slash, got %q", escaped, escaped[0])
	}
	canonical, disputed, err := scan(escaped)
	if err != nil {
		return Path{}, err
	}
	p := Path{Match: escaped, Forward: escaped}
	if !canonical {
		p = resolve(escaped)
	}
	if disputed {
		if p.Slashes, err = checkDisputed(p.Match); err != nil {
			return Path{}, fmt.Errorf("path %.80q: %w", escaped, err)
		}
	}
	return p, nil
}

// AsSlashes returns the canonical path as a server sees it that takes encoded slashes and
// backslashes for slashes. When a Table has another route for it than for Match, the
// server may be asked for what another route guards, and the request should be refused.
// It returns Match when Slashes is not set.
func (p Path) AsSlashes() string {
	if !p.Slashes {
		return p.Match
	}
	s := strings.ReplaceAll(p.Match, "%2F", "/")
	return resolve(strings.ReplaceAll(s, "%5C", "/")).Match
}

// WithoutParameters returns the canonical path as a server sees it that takes ";" and what
// follows it in an element for parameters, as servlet containers do, and reports whether there
// are any. It is to be compared as AsSlashes is.
func (p Path) WithoutParameters() (string, bool) {
	if strings.IndexByte(p.Match, ';') < 0 {
		return p.Match, false
	}
	var b strings.Builder
	for i, element := range strings.Split(p.Match, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		name, _, _ := strings.Cut(element, ";")
		b.WriteString(name)
	}
	return resolve(b.String()).Match, true
}

// scan says whether s, which begins with "/", is canonical; whether it has an encoded slash,
// a backslash or a semicolon; and why it is no path.
func scan(s string) (canonical, disputed bool, err error) {
	canonical = true
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '/':
			if i > 0 && s[i-1] == '/' {
				canonical = false
			}
		case c == '.':
			if s[i-1] == '/' && startsWithDotSegment(s[i:]) {
				canonical = false
			}
		case isElementByte(c):
			disputed = disputed || c == ';'
		case c == '%':
			v, upper, ok := unescape(s[i:])
			if !ok {
				return false, false, fmt.Errorf("path %.80q: want two hex digits after %%, got %q", s, s[i+1:min(i+3, len(s))])
			}
			if v == 0 {
				return false, false, fmt.Errorf("path %.80q: want no NUL, got %%00 at byte %d", s, i)
			}
			disputed = disputed || v == '/' || v == '\\' || v == ';'
			canonical = canonical && upper && !isElementByte(v)
			i += 2
		case c < ' ' || c == 0x7f || c == '?' || c == '#':
			return false, false, fmt.Errorf("path %.80q: want no raw %q", s, c)
		default:
			disputed = disputed || c == '\\'
			canonical = false
		}
	}
	return canonical, disputed, nil
}

func startsWithDotSegment(s string) bool {
	s, _, _ = strings.Cut(s[:min(3, len(s))], "/")
	return s == "." || s == ".."
}

// resolve returns the canonical form of s, which begins with "/". It takes every string: a
// "%" that starts no escape is a percent sign. Slashes is left to the caller.
func resolve(s string) Path {
	var p Path
	var matchBuf, forwardBuf [128]byte
	match, forward := matchBuf[:0], forwardBuf[:0]
	openEnd := false // the last element was empty or a dot segment: a slash is the end
	for i := 0; i < len(s); {
		end := len(s)
		if n := strings.IndexByte(s[i+1:], '/'); n >= 0 {
			end = i + 1 + n
		}
		element := s[i+1 : end]
		i = end

		start := len(match)
		match = appendElement(append(match, '/'), element)
		openEnd = true
		switch string(match[start+1:]) {
		case "":
			match = match[:start]
		case ".":
			p.DotSegments = true
			match = match[:start]
		case "..":
			p.DotSegments = true
			p.AboveRoot = p.AboveRoot || start == 0
			match = dropElement(match[:start])
			forward = dropElement(forward)
		default:
			openEnd = false
			forward = append(append(forward, '/'), element...)
		}
	}
	if openEnd {
		match, forward = append(match, '/'), append(forward, '/')
	}
	p.Match, p.Forward = string(match), s
	if p.DotSegments {
		p.Forward = string(forward)
	}
	p.Rewritten = p.Match != s
	return p
}

// appendElement appends the canonical form of one path element.
func appendElement(dst []byte, element string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(element); i++ {
		c := element[i]
		if c == '%' {
			if v, _, ok := unescape(element[i:]); ok {
				c = v
				i += 2
			}
		}
		if isElementByte(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// dropElement removes the last element of a path without a trailing slash.
func dropElement(path []byte) []byte {
	for len(path) > 0 {
		last := len(path) - 1
		c := path[last]
		path = path[:last]
		if c == '/' {
			break
		}
	}
	return path
}

// checkDisputed looks at what servers read differently in a canonical path. It says whether
// there is an encoded slash or a backslash, and why the path must be refused.
func checkDisputed(match string) (slashes bool, err error) {
	slash, backslash := strings.Contains(match, "%2F"), strings.Contains(match, "%5C")
	if slash && backslash {
		return false, errors.New("want encoded slashes or backslashes, got both")
	}
	separator := "%2F"
	if backslash {
		separator = "%5C"
	}
	for element := range strings.SplitSeq(match, "/") {
		for part := range strings.SplitSeq(element, separator) {
			// Servlet containers cut path parameters off before they resolve "..".
			part, _, _ = strings.Cut(part, ";")
			if part == "." || part == ".." {
				return false, fmt.Errorf(`want no %q beside an encoded slash, a backslash or ";"`, part)
			}
		}
	}
	return slash || backslash, nil
}

// ruleMatch returns the canonical form of Route.Path. It is as CanonicalPath's, but takes
// every string, and does without the trailing slash where that has no meaning.
func ruleMatch(path string, t PathType) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if canonical, _, err := scan(path); err != nil || !canonical {
		path = resolve(path).Match
	}
	if t != Exact && len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}

// unescape reads the escape that s begins with. upper says that its hex digits are those
// of the canonical form.
func unescape(s string) (v byte, upper, ok bool) {
	if len(s) < 3 {
		return 0, false, false
	}
	hi, ok1 := unhex(s[1])
	lo, ok2 := unhex(s[2])
	return hi<<4 | lo, s[1] < 'a' && s[2] < 'a', ok1 && ok2
}

func unhex(c byte) (v byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// isElementByte says that c stands for itself in a path element: pchar of RFC 3986
// section 3.3, without the escapes.
func isElementByte(c byte) bool {
	const pchar = 0 |
		(1<<10-1)<<'0' |
		(1<<26-1)<<'a' |
		(1<<26-1)<<'A' |
		1<<'-' | 1<<'.' | 1<<'_' | 1<<'~' |
		1<<'!' | 1<<'$' | 1<<'&' | 1<<'\'' | 1<<'(' | 1<<')' |
		1<<'*' | 1<<'+' | 1<<',' | 1<<';' | 1<<'=' |
		1<<':' | 1<<'@'
	return (uint64(1)<<c)&(pchar&(1<<64-1)) != 0 || (uint64(1)<<(c-64))&(pchar>>64) != 0
}
