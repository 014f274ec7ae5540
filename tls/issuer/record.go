package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// The keys of an order's record beside those of its challenge.
const (
	urlKey      = "url"
	failuresKey = "failures"
	retryAtKey  = "retry-at"
)

// order is the record of what is under way for a host, or of how often that has failed.
type order struct {
	directory string        // of the authority
	url       string        // of the order there; empty while there is none
	key       crypto.Signer // of the certificate; nil while there is no order
	failures  int           // since the last success
	retryAt   time.Time     // nothing is asked before; of an order that has not failed, when it was begun
	status    string        // for people
	challenge map[string][]byte
}

// readOrder returns the zero order for a record that is nil or of another authority. One that
// cannot be understood is an error.
func readOrder(record map[string][]byte, directory string) (order, error) {
	if record == nil || string(record[DirectoryKey]) != directory {
		return order{directory: directory}, nil
	}
	o := order{directory: directory, url: string(record[urlKey]), status: string(record[StatusKey])}
	if text := record[PrivateKeyKey]; len(text) > 0 {
		key, err := parseKey(text)
		if err != nil {
			return order{directory: directory}, err
		}
		o.key = key
	}
	var err error
	if text := record[failuresKey]; len(text) > 0 {
		if o.failures, err = strconv.Atoi(string(text)); err != nil {
			return order{directory: directory}, fmt.Errorf("%s: %w", failuresKey, err)
		}
	}
	if text := record[retryAtKey]; len(text) > 0 {
		if o.retryAt, err = time.Parse(time.RFC3339, string(text)); err != nil {
			return order{directory: directory}, fmt.Errorf("%s: %w", retryAtKey, err)
		}
	}
	return o, nil
}

func (o *order) record() (map[string][]byte, error) {
	record := map[string][]byte{DirectoryKey: []byte(o.directory), StatusKey: []byte(o.status)}
	if o.url != "" {
		record[urlKey] = []byte(o.url)
	}
	if o.key != nil {
		text, err := keyPEM(o.key)
		if err != nil {
			return nil, err
		}
		record[PrivateKeyKey] = text
	}
	if o.failures > 0 {
		record[failuresKey] = []byte(strconv.Itoa(o.failures))
	}
	if !o.retryAt.IsZero() {
		record[retryAtKey] = []byte(o.retryAt.UTC().Format(time.RFC3339))
	}
	for key, value := range o.challenge {
		record[key] = value
	}
	return record, nil
}

// readCertificate returns nil for a record that is nil, of another authority, not for host, or
// damaged: then another certificate is ordered.
func readCertificate(record map[string][]byte, directory, host string) *tls.Certificate {
	if record == nil || string(record[DirectoryKey]) != directory {
		return nil
	}
	c, err := certs.Parse(record[CertificateKey], record[PrivateKeyKey])
	if err != nil || c.Leaf.VerifyHostname(host) != nil {
		return nil
	}
	return c
}

// certificateRecord checks what the authority has issued, and makes the record of it.
func certificateRecord(directory, host string, chain [][]byte, key crypto.Signer) (map[string][]byte, *x509.Certificate, error) {
	var text []byte
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	private, err := keyPEM(key)
	if err != nil {
		return nil, nil, err
	}
	record := map[string][]byte{CertificateKey: text, PrivateKeyKey: private, DirectoryKey: []byte(directory)}
	c, err := certs.Parse(text, private)
	if err != nil {
		return nil, nil, fmt.Errorf("the certificate that was issued: %w", err)
	}
	if err := c.Leaf.VerifyHostname(host); err != nil {
		return nil, nil, fmt.Errorf("the certificate that was issued: %w", err)
	}
	return record, c.Leaf, nil
}

func newKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the private key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the private key is a %T, which does not sign", key)
	}
	return signer, nil
}
