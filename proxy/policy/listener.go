package policy

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Listener is what the ConfigMap says of the data ports. The zero value is the default of each.
type Listener struct {
	// OnlyTLS13 refuses clients that do not speak TLS 1.3. TLS 1.2 is always the least.
	OnlyTLS13 bool
	// NoTLS13 offers nothing above TLS 1.2.
	NoTLS13 bool
	// Ciphers are those of TLS 1.2; nil: DefaultCiphers.
	Ciphers []uint16
	// Groups are those of the key exchange; nil: those of package crypto/tls.
	Groups []tls.CurveID
	// NoTickets resumes no sessions.
	NoTickets bool
	// RejectUnknown refuses handshakes for hosts without rules of their own.
	RejectUnknown bool
	// NoHTTP2 offers HTTP/1.1 alone.
	NoHTTP2 bool
	// ProxyProtocol is nil where connections begin without a PROXY header.
	ProxyProtocol *ProxyProtocol
}

// ProxyProtocol wants every connection to begin with a PROXY header, of version 1 or 2.
type ProxyProtocol struct {
	// Trusted are the peers that may send one; others are not served. Those that the command
	// line trusts come on top.
	Trusted []netip.Prefix
	// Timeout is how long the header may take.
	Timeout time.Duration
}

// BehindBalancer returns the Listener of g with the PROXY protocol, whether or not the ConfigMap
// switches it on: what it says of peers and times counts in any case.
func (g *Global) BehindBalancer() Listener {
	l := g.Listener
	if l.ProxyProtocol = g.proxyProtocol; l.ProxyProtocol == nil { // there is no ConfigMap
		l.ProxyProtocol = defaultProxyProtocol()
	}
	return l
}

// defaultProxyProtocol is that of an instance whose ConfigMap says nothing more of it: private
// addresses, and five seconds.
func defaultProxyProtocol() *ProxyProtocol {
	return &ProxyProtocol{Trusted: privateAddresses(), Timeout: 5 * time.Second}
}

// DefaultCiphers are the ciphers of TLS 1.2 that are served unless others are asked for: those of
// ingress-nginx. All have forward secrecy, and none the weaknesses of CBC.
func DefaultCiphers() []uint16 {
	chosen, _ := parseCiphers("ECDHE+AESGCM:ECDHE+CHACHA20")
	return chosen
}

var (
	sslProtocols = Key{
		Name: "ssl-protocols", GlobalOnly: true, Value: "TLSv1.2, TLSv1.3 or both, with a space between", Default: "TLSv1.2 TLSv1.3",
		Doc: "versions of TLS; older ones are never served",
	}
	sslGroups = Key{
		Name: "ssl-ecdh-curve", GlobalOnly: true, Value: "auto, or names with colons between", Default: "auto",
		Doc: "groups of the key exchange: X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, X25519, prime256v1, secp384r1, secp521r1. The order is fixed; auto has X25519MLKEM768 first, which no quantum computer breaks",
	}
	sslTickets = Key{
		Name: "ssl-session-tickets", GlobalOnly: true, Value: "true or false", Default: "true",
		Doc: "lets clients resume TLS sessions, with any replica; ingress-nginx has them off, as each of its replicas has keys of its own",
	}
	sslReject = Key{
		Name: "ssl-reject-handshake", GlobalOnly: true, Value: "true or false", Default: "false",
		Doc: "refuses TLS connections for hosts without rules of their own, and those without a server name, instead of serving the default certificate",
	}
	useHTTP2 = Key{Name: "use-http2", GlobalOnly: true, Value: "true or false", Default: "true", Doc: "offers HTTP/2 to clients over TLS"}

	useProxyProtocol = Key{
		Name: "use-proxy-protocol", GlobalOnly: true, Value: "true or false", Default: "false",
		Doc: "wants every connection to both ports to begin with a PROXY header of version 1 or 2, which tells the client's address. It is believed of the peers in proxy-real-ip-cidr; connections of others, and those without one, are closed",
	}
	proxyProtocolTimeout = Key{
		Name: "proxy-protocol-header-timeout", GlobalOnly: true, Value: "time, such as 5s", Default: "5s",
		Doc: "how long the PROXY header may take; 10s at most",
	}
)

var listener = part{
	name: "data ports",
	keys: []Key{sslProtocols, sslGroups, sslTickets, sslReject, useHTTP2, useProxyProtocol, proxyProtocolTimeout},
	read: func(r *reader, g *Global) {
		l := &g.Listener
		r.protocols(l)
		l.Ciphers = r.ciphers(sslCiphers)
		l.Groups = r.groups()
		l.NoTickets = !r.boolean(sslTickets, true)
		l.RejectUnknown = r.boolean(sslReject, false)
		l.NoHTTP2 = !r.boolean(useHTTP2, true)
		g.proxyProtocol = r.proxyProtocol()
		if r.boolean(useProxyProtocol, false) {
			l.ProxyProtocol = g.proxyProtocol
		}
	},
}

// protocols reads ssl-protocols.
func (r *reader) protocols(l *Listener) {
	v, ok := r.text(sslProtocols)
	if !ok {
		return
	}
	var other []string
	var v12, v13 bool
	for _, name := range strings.Fields(strings.ReplaceAll(v, ",", " ")) {
		switch name {
		case "TLSv1.2":
			v12 = true
		case "TLSv1.3":
			v13 = true
		default:
			other = append(other, name)
		}
	}
	switch {
	case !v12 && !v13:
		r.bad(sslProtocols, "want TLSv1.2, TLSv1.3 or both, got %.80q", v)
		return
	case len(other) > 0:
		r.judge(sslProtocols, LeftOut, notServed("versions", other))
	}
	l.OnlyTLS13, l.NoTLS13 = !v12, !v13
}

// notServed says which names of a list mean nothing.
func notServed(what string, names []string) error {
	const most = 20
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return fmt.Errorf("%s %.400q%s are never served", what, strings.Join(names, " "), more)
}

// tlsGroups are the groups by the names that nginx and OpenSSL know, in lower case.
var tlsGroups = map[string]tls.CurveID{
	"x25519mlkem768": tls.X25519MLKEM768, "secp256r1mlkem768": tls.SecP256r1MLKEM768, "secp384r1mlkem1024": tls.SecP384r1MLKEM1024,
	"x25519": tls.X25519, "prime256v1": tls.CurveP256, "secp256r1": tls.CurveP256, "p-256": tls.CurveP256,
	"secp384r1": tls.CurveP384, "p-384": tls.CurveP384, "secp521r1": tls.CurveP521, "p-521": tls.CurveP521,
}

// groups reads ssl-ecdh-curve.
func (r *reader) groups() (chosen []tls.CurveID) {
	v, ok := r.text(sslGroups)
	if !ok || v == "auto" {
		return nil
	}
	var other []string
	for name := range strings.FieldsFuncSeq(v, func(c rune) bool { return c == ':' || c == ',' || c == ' ' }) {
		switch id, ok := tlsGroups[strings.ToLower(name)]; {
		case !ok:
			other = append(other, name)
		case !slices.Contains(chosen, id):
			chosen = append(chosen, id)
		}
	}
	switch {
	case len(chosen) == 0:
		r.bad(sslGroups, "none of %.80q is a group that can be served", v)
	case len(other) > 0:
		r.judge(sslGroups, LeftOut, notServed("groups", other))
	}
	return chosen
}

// proxyProtocol reads what is for use-proxy-protocol, which the command line may set as well. A list of peers with a mistake in it trusts nobody, so
// that no connection is served: what decides by the client's address must not be asked with another.
func (r *reader) proxyProtocol() *ProxyProtocol {
	const longest = 10 * time.Second
	p := defaultProxyProtocol()
	if v, ok := r.text(proxyProtocolTimeout); ok {
		d, err := time.ParseDuration(v)
		if err != nil {
			d, err = time.ParseDuration(v + "s")
		}
		if err != nil || d <= 0 || d > longest {
			r.bad(proxyProtocolTimeout, "want a time of at most %s such as 5s, got %.80q", longest, v)
		} else {
			p.Timeout = d
		}
	}
	trusted, good := r.prefixes(realIPCIDR)
	if _, set := r.text(realIPCIDR); set || !good {
		p.Trusted = trusted
	}
	return p
}
