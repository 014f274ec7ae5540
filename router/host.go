package router

import (
	"fmt"
	"net/netip"
	"strings"
)

// CanonicalHost returns the form of a Host header or :authority that Lookup takes: lower
// case, without port and without one trailing dot. An IPv6 literal keeps its brackets and
// is written in its shortest form. "" stays "".
//
// It refuses what is not a host with an optional port: other characters than letters,
// digits, "-", "_" and "." in a name, an empty label, an address zone, userinfo, a port
// that is not empty or a number from 1 to 65535. An internationalized name must come as
// punycode. It does not allocate when hostport is canonical but for its port or dot.
func CanonicalHost(hostport string) (string, error) {
	if hostport == "" {
		return "", nil
	}
	host := hostport
	// The only colons before that of a port are those between brackets.
	start := strings.IndexByte(hostport, ']') + 1
	if i := strings.IndexByte(hostport[start:], ':'); i >= 0 {
		host = hostport[:start+i]
		if port := hostport[start+i+1:]; !validPort(port) {
			return "", fmt.Errorf("host %.80q: want a port from 1 to 65535, got %.20q", hostport, port)
		}
	}
	return canonicalName(host)
}

// validPort allows the empty port, which RFC 3986 section 3.2.3 does.
func validPort(s string) bool {
	if s == "" {
		return true
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i == 5 {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return 1 <= n && n <= 65535
}

// canonicalName is CanonicalHost for a host that cannot have a port. "" is an error.
func canonicalName(host string) (string, error) {
	if strings.HasPrefix(host, "[") {
		return canonicalLiteral(host)
	}
	name := strings.TrimSuffix(host, ".")
	upper, label := false, 0
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		case 'A' <= c && c <= 'Z':
			label++
			upper = true
		case c == '.' && label > 0:
			label = 0
		case c == '.':
			return "", fmt.Errorf("host %.80q: want a label before each dot, got none at byte %d", host, i)
		default:
			return "", fmt.Errorf("host %.80q: want letters, digits, '-', '_' and '.', got %q", host, c)
		}
	}
	if label == 0 {
		return "", fmt.Errorf("host %.80q: want a name, got an empty label", host)
	}
	if upper {
		return strings.ToLower(name), nil
	}
	return name, nil
}

func canonicalLiteral(host string) (string, error) {
	inner, closed := strings.CutSuffix(host[1:], "]")
	addr, err := netip.ParseAddr(inner)
	if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", fmt.Errorf("host %.80q: want an IPv6 address without zone between brackets", host)
	}
	var buf [48]byte // "[" + 45 for the longest IPv6 text + "]"
	b := append(addr.AppendTo(append(buf[:0], '[')), ']')
	if string(b) == host {
		return host, nil
	}
	return string(b), nil
}

// A Table files its hosts under keys that no two kinds of host share: "" for the hostless
// routes, the canonical name of an exact host, the name behind the "*" of a wildcard, which
// begins with a dot, and "?" with the text of a host that no request can have.

// HostKey returns the key of Route.Host: the same for all spellings of a host, and another for
// every other host.
func HostKey(host string) string {
	if host == "" {
		return ""
	}
	name, wildcard := strings.CutPrefix(host, "*.")
	canonical, err := canonicalName(name)
	switch {
	case err != nil, wildcard && canonical[0] == '[':
		return "?" + strings.ToLower(host)
	case !wildcard:
		return canonical
	case canonical == name:
		return host[1:]
	default:
		return "." + canonical
	}
}

// keyHost returns the host as people read it: "*" for the hostless routes.
func keyHost(key string) string {
	switch {
	case key == "":
		return "*"
	case key[0] == '.':
		return "*" + key
	case key[0] == '?':
		return key[1:]
	}
	return key
}
