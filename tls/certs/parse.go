package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds on what one Secret may hold. Real chains have two to four certificates; these keep
// the cost of a hostile Secret of 1 MiB in the range of an honest one.
const (
	maxCertificates = 64
	maxKeys         = 8
	minRSABits      = 1024 // crypto/rsa refuses to sign with less
)

// Parse makes a certificate from the PEM text of a Secret's tls.crt and tls.key, and sets its
// Leaf. It never looks at the clock: an expired certificate parses.
//
// It accepts what people have: certificates in any order (the leaf is the one that the key
// belongs to, its issuers follow in order, others after them), a byte order mark, CRLF, text
// around the blocks, other blocks among them, and keys as PKCS #1, PKCS #8 or SEC 1 whatever
// their label says.
func Parse(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	chain, err := parseCertificates(certPEM)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(keyPEM)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		for i, c := range chain {
			if c.parsed == nil || !samePublicKey(key.Public(), c.parsed.PublicKey) {
				continue
			}
			return &tls.Certificate{
				Certificate: order(chain, i),
				PrivateKey:  key,
				Leaf:        c.parsed,
			}, nil
		}
	}
	return nil, mismatch(chain, keys)
}

// link is one certificate of a chain.
type link struct {
	der    []byte
	parsed *x509.Certificate // nil when err is set
	err    error
}

// parseCertificates returns the certificates of text in its order, without repetitions. One
// that crypto/x509 does not understand is no error here: as an intermediate it is only passed
// on to clients.
func parseCertificates(text []byte) ([]link, error) {
	var chain []link
	var seen []string
	for block := range blocks(text) {
		if block.Type != "CERTIFICATE" {
			seen = append(seen, block.Type)
			continue
		}
		if slices.ContainsFunc(chain, func(l link) bool { return bytes.Equal(l.der, block.Bytes) }) {
			continue
		}
		if len(chain) == maxCertificates {
			return nil, fmt.Errorf("tls.crt: more than %d certificates", maxCertificates)
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			parsed = nil
		}
		chain = append(chain, link{der: block.Bytes, parsed: parsed, err: err})
	}
	if len(chain) == 0 {
		return nil, noBlock("tls.crt", "CERTIFICATE", text, seen)
	}
	return chain, nil
}

// parseKeys returns the usable private keys of text, at least one.
func parseKeys(text []byte) ([]crypto.Signer, error) {
	var keys []crypto.Signer
	var errs []error
	var seen []string
	for block := range blocks(text) {
		if block.Type != "PRIVATE KEY" && !strings.HasSuffix(block.Type, " PRIVATE KEY") {
			seen = append(seen, block.Type)
			continue
		}
		if len(keys)+len(errs) == maxKeys {
			return nil, fmt.Errorf("tls.key: more than %d private keys", maxKeys)
		}
		key, err := parseKey(block)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		keys = append(keys, key)
	}
	switch {
	case len(keys) > 0:
		return keys, nil
	case len(errs) > 0:
		return nil, fmt.Errorf("tls.key: %w", errs[0])
	}
	return nil, noBlock("tls.key", "PRIVATE KEY", text, seen)
}

func parseKey(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
		return nil, errors.New("the private key is encrypted; wanted one without a passphrase")
	}
	if err := checkRSACost(block.Bytes); err != nil {
		return nil, err
	}
	key, err := parseKeyDER(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the PEM block %s is not a private key in PKCS #8, PKCS #1 or SEC 1 form: %w", block.Type, err)
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return nil, fmt.Errorf("the RSA key has %d bits; wanted at least %d", bits, minRSABits)
		}
		return k, nil
	case *ecdsa.PrivateKey:
		// TLS has no signature scheme for P-224.
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return nil, fmt.Errorf("the ECDSA key is on curve %s; wanted P-256, P-384 or P-521", k.Curve.Params().Name)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("the private key is a %T; wanted RSA, ECDSA or Ed25519", key)
}

// parseKeyDER returns the error of PKCS #8, the form of today, when no form fits.
func parseKeyDER(der []byte) (any, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, err
}

// order returns the DER of chain with the leaf first, each certificate followed by its issuer
// as far as they are there, and then the rest as it came: cross-signed alternatives that some
// clients need.
func order(chain []link, leaf int) [][]byte {
	ders := make([][]byte, 0, len(chain))
	used := make([]bool, len(chain))
	for i := leaf; i >= 0; i = issuer(chain, used, i) {
		used[i] = true
		ders = append(ders, chain[i].der)
	}
	for i, l := range chain {
		if !used[i] {
			ders = append(ders, l.der)
		}
	}
	return ders
}

// issuer returns the index of the first unused certificate that names itself as the issuer of
// certificate i and has the key that i asks for, or -1.
func issuer(chain []link, used []bool, i int) int {
	child := chain[i].parsed
	for j, l := range chain {
		if used[j] || l.parsed == nil || !bytes.Equal(child.RawIssuer, l.parsed.RawSubject) {
			continue
		}
		if len(child.AuthorityKeyId) == 0 || len(l.parsed.SubjectKeyId) == 0 ||
			bytes.Equal(child.AuthorityKeyId, l.parsed.SubjectKeyId) {
			return j
		}
	}
	return -1
}

func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// mismatch says why no key belongs to a certificate.
func mismatch(chain []link, keys []crypto.Signer) error {
	for i, l := range chain {
		if l.err != nil {
			return fmt.Errorf("tls.crt: certificate %d: %w", i+1, l.err)
		}
	}
	names := make([]string, len(chain))
	for i, l := range chain {
		names[i] = fmt.Sprintf("%q (%s)", l.parsed.Subject, l.parsed.PublicKeyAlgorithm)
	}
	return fmt.Errorf("tls.key: the %s key belongs to no certificate of tls.crt, which has %s",
		algorithm(keys[0]), strings.Join(names, ", "))
}

func algorithm(key crypto.Signer) string {
	switch key.(type) {
	case *rsa.PrivateKey:
		return "RSA"
	case *ecdsa.PrivateKey:
		return "ECDSA"
	}
	return "Ed25519"
}
