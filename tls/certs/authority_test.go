package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
	"time"
)

// authority is a CA for tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// rsaKey is made once: that takes a while.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func ecdsaKey(t testing.TB) crypto.Signer {
	return check(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
}

func ed25519Key(t testing.TB) crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return check(key, err)(t)
}

// check ends the test when err is not nil.
func check[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// issue signs a certificate for key. A nil a makes it a self-signed authority.
func (a *authority) issue(t testing.TB, cn string, key crypto.Signer, isCA bool, names ...string) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: cn},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		DNSNames:              names,
		IsCA:                  isCA,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
	}
	if isCA {
		template.KeyUsage |= x509.KeyUsageCertSign
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der := check(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))(t)
	return check(x509.ParseCertificate(der))(t)
}

// newAuthority makes one below parent, or a root when parent is nil.
func newAuthority(t testing.TB, parent *authority, cn string) *authority {
	t.Helper()
	key := ecdsaKey(t)
	return &authority{parent.issue(t, cn, key, true), key}
}

// certificate makes what Parse would, for names.
func (a *authority) certificate(t testing.TB, key crypto.Signer, names ...string) *tls.Certificate {
	t.Helper()
	leaf := a.issue(t, names[0], key, false, names...)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func certPEM(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der := check(x509.MarshalPKCS8PrivateKey(key))(t)
	return block("PRIVATE KEY", der)
}

func sec1(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der := check(x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey)))(t)
	return block("EC PRIVATE KEY", der)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
