package http1

// class says in which places of a message a byte may stand.
type class uint8

const (
	tokenByte  class = 1 << iota // RFC 9110, 5.6.2
	valueByte                    // a field value: field-vchar, SP and HTAB (RFC 9110, 5.5)
	targetByte                   // a request target; see scanTarget
	plainByte                    // in a path, needs no escape in any form of it
	hostByte                     // a registered name or IPv4 address, as far as we take them
	upperByte
	lowerByte
	digitByte
)

// classes is constant.
var classes = makeClasses()

func makeClasses() (t [256]class) {
	for i := range t {
		c := byte(i)
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[i] |= valueByte
		}
		if c > ' ' && c != 0x7f && c != '#' {
			t[i] |= targetByte
		}
		switch {
		case 'a' <= c && c <= 'z':
			t[i] |= tokenByte | plainByte | hostByte | lowerByte
		case 'A' <= c && c <= 'Z':
			t[i] |= tokenByte | plainByte | hostByte | upperByte
		case '0' <= c && c <= '9':
			t[i] |= tokenByte | plainByte | hostByte | digitByte
		}
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= tokenByte
	}
	for _, c := range []byte("/-_.~$&+,;=@:") {
		t[c] |= plainByte
	}
	for _, c := range []byte("-_.") {
		t[c] |= hostByte
	}
	return t
}

// all reports whether every byte of s is in one of the classes of want.
func all(s string, want class) bool {
	for i := range len(s) {
		if classes[s[i]]&want == 0 {
			return false
		}
	}
	return true
}

// equalFold reports whether s is lower, a lower-case ASCII string, in any case. Unlike
// strings.EqualFold it takes no Unicode letter for an ASCII one.
func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if classes[c]&upperByte != 0 {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// trimSpace removes optional whitespace (RFC 9110, 5.6.3) from both ends of s.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
