package site

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync/atomic"
	"time"
)

// Authority issues the certificates of a site's Secrets.
type Authority struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	Roots  *x509.CertPool // has the authority alone
	serial atomic.Int64
}

// NewAuthority makes an authority of its own, valid for a day.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "fairlead behaviour scripts"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(60 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &Authority{key: key, cert: cert, Roots: x509.NewCertPool()}
	a.serial.Store(1)
	a.Roots.AddCert(cert)
	return a, nil
}

// Request is what a Secret's annotations ask for.
type Request struct {
	Names []string // DNS names; the first is also the CN
	RSA   bool
	// Fault is what is wrong with it: "" (nothing), "expired", "mismatch" (the key is
	// another's) or "junk" (no PEM at all).
	Fault string
}

// Issue returns a certificate and its key as a Secret of type kubernetes.io/tls holds them.
func (a *Authority) Issue(r Request) (certPEM, keyPEM []byte, err error) {
	if len(r.Names) == 0 {
		return nil, nil, fmt.Errorf("certificate: want at least one name, got none")
	}
	key, err := newKey(r.RSA)
	if err != nil {
		return nil, nil, err
	}
	until := time.Now().Add(30 * 24 * time.Hour)
	switch r.Fault {
	case "", "mismatch":
	case "expired":
		until = time.Now().Add(-time.Minute)
	case "junk":
		return []byte("not a certificate\n"), []byte("not a key\n"), nil
	default:
		return nil, nil, fmt.Errorf("certificate fault: want expired, mismatch or junk, got %q", r.Fault)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(a.serial.Add(1)),
		Subject:      pkix.Name{CommonName: r.Names[0]},
		DNSNames:     r.Names,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     until,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	if r.Fault == "mismatch" {
		if key, err = newKey(r.RSA); err != nil {
			return nil, nil, err
		}
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", secret), nil
}

// Pair is the certificate of a backend that speaks TLS.
func (a *Authority) Pair(name string) (tls.Certificate, error) {
	certPEM, keyPEM, err := a.Issue(Request{Names: []string{name}})
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

func newKey(useRSA bool) (crypto.Signer, error) {
	if useRSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func encode(kind string, der []byte) []byte {
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}) // a bytes.Buffer takes everything
	return b.Bytes()
}

// PEM is the authority's own certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}
