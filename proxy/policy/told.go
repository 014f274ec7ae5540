package policy

import "net/http"

// IsForwarding says whether name is a field in which proxies tell about the client, in any
// spelling that a backend may read as one: CGI and some frameworks fold "_" and "." to "-".
func IsForwarding(name string) bool {
	const longest = len("x-original-forwarded-for")
	if len(name) > longest || len(name) < len("x-scheme") {
		return false
	}
	switch name[0] {
	case 'X', 'x', 'F', 'f', 'T', 't':
	default:
		return false
	}
	var buf [longest]byte
	folded := buf[:len(name)]
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_' || c == '.':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		folded[i] = c
	}
	switch string(folded) {
	case "forwarded", "true-client-ip", "x-real-ip", "x-scheme", "x-client-ip", "x-cluster-client-ip",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
		"x-forwarded-scheme", "x-forwarded-prefix", "x-forwarded-server", "x-forwarded-ssl",
		"x-forwarded-protocol", "x-forwarded-by", "x-original-forwarded-for":
		return true
	}
	return false
}

// IsClientCertificate says whether name is a field in which a TLS terminator tells a backend
// who the client proved to be. Only we may set these.
func IsClientCertificate(name string) bool {
	const prefix = "ssl-client-"
	if len(name) < len(prefix) || name[0] != 'S' && name[0] != 's' {
		return false
	}
	for i := range len(prefix) {
		c := name[i]
		switch {
		case c == '_' || c == '.':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// proven sets in h what the client proved to be by its certificate, as the backend gets it.
func proven(h http.Header, x Exchange) {
	for _, field := range x.SentFields() {
		switch {
		case !IsClientCertificate(field[0]):
		case field[1] == "":
			delete(h, field[0])
		default:
			h[field[0]] = []string{field[1]}
		}
	}
}
