package certs

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
)

// Reasons for the default certificate that have nothing to do with a Binding.
const (
	reasonNoSNI   = "the client sent no server name"
	reasonUnknown = "no TLS section for this host"
	reasonEmpty   = "no certificates are loaded yet"
)

// Set maps server names to certificates. It never changes once made; nil is an empty Set.
type Set struct {
	bindings []Binding
	exact    map[string]*choices
	wildcard map[string]*choices // by what follows "*."
	def      *tls.Certificate    // nil when a generated one is to be served
}

// choices is what one host has: certificates, best first, or the reason for having none.
type choices struct {
	certificates []*tls.Certificate
	reason       string
}

// NewSet makes the Set of bindings. Where two have the same host the first counts. def answers
// for every other name, for clients that send none, and for bindings without certificates; when
// it is nil a self-signed certificate that says why it is served does. NewSet keeps bindings
// and their certificates, which must not change any more.
func NewSet(bindings []Binding, def *tls.Certificate) *Set {
	s := &Set{
		bindings: bindings,
		exact:    make(map[string]*choices, len(bindings)),
		wildcard: make(map[string]*choices),
		def:      def,
	}
	for _, b := range bindings {
		names, host := s.exact, b.Host
		if parent, ok := strings.CutPrefix(b.Host, "*."); ok {
			names, host = s.wildcard, parent
		}
		if _, taken := names[host]; taken {
			continue
		}
		reason := b.Reason
		if reason == "" {
			reason = reasonUnknown
		}
		names[host] = &choices{certificates: byAlgorithm(b.Certificates), reason: reason}
	}
	return s
}

// Bindings returns what s was made of. It is shared: read only.
func (s *Set) Bindings() []Binding {
	if s == nil {
		return nil
	}
	return s.bindings
}

// Certificate returns the certificate for a client, or nil and the reason why one is generated
// for it. The default certificate comes with the reason why no other is served; what a Binding
// has comes with "".
func (s *Set) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, string) {
	if s == nil {
		return nil, reasonEmpty
	}
	if hello.ServerName == "" {
		return s.def, reasonNoSNI
	}
	c := s.find(hello.ServerName)
	if c == nil {
		return s.def, reasonUnknown
	}
	switch len(c.certificates) {
	case 0:
		return s.def, c.reason
	case 1:
		return c.certificates[0], ""
	}
	for _, cert := range c.certificates {
		if hello.SupportsCertificate(cert) == nil {
			return cert, ""
		}
	}
	// None fits. With the best one the handshake fails with the error that says so.
	return c.certificates[0], ""
}

// maxName is the longest name in DNS, with a trailing dot.
const maxName = 254

// find returns what name has: an exact binding before a wildcard for its first label. Case and
// one trailing dot make no difference. It allocates nothing, and costs two map lookups at most
// however many hosts there are.
func (s *Set) find(name string) *choices {
	if len(name) > maxName {
		return nil
	}
	var buf [maxName]byte
	lower := appendLower(buf[:0], strings.TrimSuffix(name, "."))
	if c := s.exact[string(lower)]; c != nil {
		return c
	}
	// An empty first label (".example.com") is no name that a wildcard stands for.
	if dot := slices.Index(lower, '.'); dot > 0 {
		return s.wildcard[string(lower[dot+1:])]
	}
	return nil
}

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// byAlgorithm returns certs with RSA last: the others are cheaper to sign with, and a client
// that only knows RSA is given RSA by its ClientHello. Otherwise the order stays.
func byAlgorithm(certs []*tls.Certificate) []*tls.Certificate {
	if len(certs) < 2 {
		return certs
	}
	sorted := slices.Clone(certs)
	slices.SortStableFunc(sorted, func(a, b *tls.Certificate) int {
		return rank(a) - rank(b)
	})
	return sorted
}

func rank(c *tls.Certificate) int {
	if c.Leaf != nil && c.Leaf.PublicKeyAlgorithm == x509.RSA {
		return 1
	}
	return 0
}
