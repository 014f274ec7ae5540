package http1

import (
	"net/netip"
	"strings"
)

// validHost reports whether s is a host with an optional port, or empty. Of names it takes
// letters, digits and "-_.", which is less than RFC 3986 but all that a name can be looked
// up by; of IP literals IPv6 addresses without zone.
func validHost(s string) bool {
	if s == "" {
		return true
	}
	host := s
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		host = s[end+1:]
		return host == "" || host[0] == ':' && validPort(host[1:])
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		host = s[:i]
		if !validPort(s[i+1:]) {
			return false
		}
	}
	return host != "" && all(host, hostByte)
}

// validPort takes the empty port, as RFC 3986, 3.2.3 does.
func validPort(s string) bool {
	n := 0
	for i := range len(s) {
		if classes[s[i]]&digitByte == 0 || i == 5 {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return s == "" || 1 <= n && n <= 65535
}

// hostPort returns the port of a valid host, "" for none.
func hostPort(s string) string {
	if i := strings.LastIndexByte(s, ':'); i >= 0 && i > strings.LastIndexByte(s, ']') {
		return s[i+1:]
	}
	return ""
}

// sameHost reports whether two valid hosts are the same but for their case and the default port
// of a scheme.
func sameHost(a, b, defaultPort string) bool {
	portA, portB := hostPort(a), hostPort(b)
	nameA, nameB := strings.TrimSuffix(a, ":"+portA), strings.TrimSuffix(b, ":"+portB)
	nameA, nameB = strings.TrimSuffix(nameA, ":"), strings.TrimSuffix(nameB, ":")
	if portA == "" {
		portA = defaultPort
	}
	if portB == "" {
		portB = defaultPort
	}
	return portA == portB && strings.EqualFold(nameA, nameB) // both are ASCII
}
