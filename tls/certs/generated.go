package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	namePrefix = "fairlead: "
	// maxCommonName is ub-common-name of RFC 5280.
	maxCommonName = 64
	// maxGenerated bounds the certificates kept. Reasons come from Bindings and never from
	// what a client sent, so more are rare; then one is signed again now and then.
	maxGenerated = 256
)

// generated makes self-signed certificates whose CN is the reason why they are served, for
// `openssl s_client` and `curl -kv` to show. The zero value is ready. They have no subject
// alternative name, so that no client verifies one even where somebody trusts it.
type generated struct {
	byReason atomic.Pointer[map[string]*tls.Certificate] // never changed in place

	mu  sync.Mutex        // held to sign and to replace byReason
	key *ecdsa.PrivateKey // guarded by mu, made at first use; one for all
}

// certificate returns the certificate for reason, signing it at first use.
func (g *generated) certificate(reason string) (*tls.Certificate, error) {
	if cert := g.lookup(reason); cert != nil {
		return cert, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if cert := g.lookup(reason); cert != nil {
		return cert, nil
	}
	cert, err := g.sign(commonName(reason))
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate %q: %w", commonName(reason), err)
	}
	next := make(map[string]*tls.Certificate)
	if old := g.byReason.Load(); old != nil {
		maps.Copy(next, *old)
	}
	for reason := range next {
		if len(next) < maxGenerated {
			break
		}
		delete(next, reason)
	}
	next[reason] = cert
	g.byReason.Store(&next)
	return cert, nil
}

func (g *generated) lookup(reason string) *tls.Certificate {
	if m := g.byReason.Load(); m != nil {
		return (*m)[reason]
	}
	return nil
}

// sign makes a certificate with the given CN. The caller holds g.mu.
func (g *generated) sign(cn string) (*tls.Certificate, error) {
	if g.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		g.key = key
	}
	template := &x509.Certificate{
		// crypto/x509 draws the serial number.
		Subject: pkix.Name{CommonName: cn},
		// Valid always, so that the clock gives no second reason to look for. The end is
		// how RFC 5280 section 4.1.2.5 writes that there is none.
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &g.key.PublicKey, g.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: g.key, Leaf: leaf}, nil
}

// commonName returns reason as a CN of at most maxCommonName bytes. What is too long loses its
// end: the object that is to be mended is named first.
func commonName(reason string) string {
	reason = strings.ToValidUTF8(reason, "?")
	reason = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, reason)
	const room, cut = maxCommonName - len(namePrefix), ".."
	if len(reason) <= room {
		return namePrefix + reason
	}
	end := room - len(cut)
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return namePrefix + reason[:end] + cut
}
