package router

import (
	"bufio"
	"io"
	"strings"
)

// WriteTo writes one line per route that is served, "HOST PATH PATHTYPE TARGET ORIGIN".
// The text is the same for every order in which Build got the routes. HOST is in lower
// case, "*" for the hostless routes; PATH is as it was written. What is empty or has no
// meaning is "-". A space or a control character within a field is written as an escape.
//
// Hosts come in the order of precedence: exact, wildcard, hostless. The routes of a host
// are sorted by path; its Default comes last.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	cw := &countingWriter{w: w}
	bw := bufio.NewWriter(cw)
	var line []byte
	var hosts []*host
	if t != nil {
		hosts = t.order
	}
	for _, h := range hosts {
		name := keyHost(h.key)
		for _, r := range h.routes {
			line = appendField(line[:0], name)
			line = appendField(append(line, ' '), shownPath(r))
			line = appendField(append(line, ' '), r.PathType.String())
			line = appendField(append(line, ' '), orDash(r.Target))
			line = appendField(append(line, ' '), r.Origin.String())
			bw.Write(append(line, '\n')) //nolint:errcheck // Flush returns the first error
		}
	}
	err := bw.Flush()
	return cw.n, err
}

// String returns what WriteTo writes.
func (t *Table) String() string {
	var s strings.Builder
	t.WriteTo(&s) //nolint:errcheck // a strings.Builder returns no error
	return s.String()
}

func shownPath(r *Route) string {
	switch r.PathType {
	case Exact, Prefix, ImplementationSpecific, Regexp:
		if r.Path == "" {
			return "/"
		}
		return r.Path
	}
	return "-"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func appendField(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// countingWriter counts what reached w.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
