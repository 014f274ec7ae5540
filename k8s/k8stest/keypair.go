package k8stest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// KeyPair makes a self-signed certificate and its key, as PEM. Spec describes it in words:
//
//	dns=a.example,*.b.example   DNS names
//	ip=192.0.2.1                addresses
//	cn=a.example                common name
//	not-before=2026-01-01       default 2026-01-01
//	not-after=2026-02-01        default 2126-01-01
//	key=rsa                     default ecdsa
//	key=other                   a key that does not belong to the certificate
//	serial=2                    makes no difference but for another pair
func KeyPair(spec string) (crt, key []byte, err error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	kind := "ecdsa"
	for word := range strings.FieldsSeq(spec) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "dns":
			template.DNSNames = strings.Split(value, ",")
		case "ip":
			for address := range strings.SplitSeq(value, ",") {
				template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
			}
		case "cn":
			template.Subject = pkix.Name{CommonName: value}
		case "not-before":
			template.NotBefore, err = time.Parse(time.DateOnly, value)
		case "not-after":
			template.NotAfter, err = time.Parse(time.DateOnly, value)
		case "key":
			kind = value
		case "serial":
			if _, ok := template.SerialNumber.SetString(value, 10); !ok {
				err = fmt.Errorf("%q is not a number", value)
			}
		default:
			err = fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("certificate %q: %w", spec, err)
		}
	}
	signer, shown, err := newKeys(kind)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %q: %w", spec, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %q: %w", spec, err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(shown)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %q: %w", spec, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// newKeys returns the key of a certificate and the one to show for it.
func newKeys(kind string) (signer, shown crypto.Signer, err error) {
	switch kind {
	case "rsa":
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
		return signer, signer, err
	case "ecdsa", "other":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil || kind == "ecdsa" {
			return signer, signer, err
		}
		shown, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		return signer, shown, err
	}
	return nil, nil, fmt.Errorf("key is %q, want ecdsa, rsa or other", kind)
}
