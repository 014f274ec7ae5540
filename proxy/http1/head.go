package http1

import "bytes"

// headScanner finds the end of a head, or of a trailer section, that comes in pieces. Its zero
// value is ready for a new one.
type headScanner struct {
	line  int // where the line begins whose end was not seen
	seen  int // bytes that were looked at
	lines int // complete ones
}

// scan looks at b, which is all that has come of the head so far. It returns the length of the
// head with the empty line that ends it, or 0 when more of it is to come. An empty first line is
// a head of its own. The error is a *Fault: a line that ends without CR, or is longer than
// max bytes.
func (s *headScanner) scan(b []byte, max int) (end int, err error) {
	for {
		n := bytes.IndexByte(b[s.seen:], '\n')
		if n < 0 {
			s.seen = len(b)
			if s.seen-s.line > max {
				return 0, fault(HeadTooLarge, "want a line of at most %d bytes", max)
			}
			return 0, nil
		}
		lf := s.seen + n
		s.seen = lf + 1
		if lf == s.line || b[lf-1] != '\r' {
			return 0, fault(BadLineEnd, "want CRLF at the end of line %d, got LF alone", s.lines+1)
		}
		if lf-1-s.line > max {
			return 0, fault(HeadTooLarge, "want a line of at most %d bytes, got %d", max, lf-1-s.line)
		}
		if lf-1 == s.line {
			return lf + 1, nil
		}
		s.line = lf + 1
		s.lines++
	}
}
