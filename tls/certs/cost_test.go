package certs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"
)

// oddNumber has so many bits, and nothing else of a prime.
func oddNumber(t *testing.T, bits int) *big.Int {
	n := check(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-2))))(t)
	n.SetBit(n, bits-1, 1)
	n.SetBit(n, bits-2, 1)
	return n.SetBit(n, 0, 1)
}

// pkcs1 is what x509.ParsePKCS1PrivateKey reads of a key; extra follows its primes.
func pkcs1(t *testing.T, p, q *big.Int, extra ...any) []byte {
	n := new(big.Int).Mul(p, q)
	sequence := []any{0, n, 65537, oddNumber(t, n.BitLen()-1), p, q}
	var body []byte
	for _, v := range append(sequence, extra...) {
		body = append(body, check(asn1.Marshal(v))(t)...)
	}
	return check(asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body}))(t)
}

// TestParseOfCostlyKeys: an RSA key that has not all of its numbers makes crypto/x509 compute them, for
// minutes where it is long, and one that is long makes each handshake take as long. Whoever may write a
// Secret would stop the controller with one, and with it every change of everybody.
func TestParseOfCostlyKeys(t *testing.T) {
	root := newAuthority(t, nil, "root")
	cert := certPEM(root.issue(t, "leaf", rsaKey(), false, "a.example"))
	whole := rsaKey().(*rsa.PrivateKey)
	long := oddNumber(t, 1_000_000)
	huge := pkcs1(t, oddNumber(t, 500_000), oddNumber(t, 500_000))
	for _, c := range []struct {
		name string
		der  []byte
		want string
	}{
		{"a million bits", huge, "the RSA key has 1000000 bits; wanted at most 8192"},
		{"a million bits in PKCS #8", check(asn1.Marshal(struct {
			Version   int
			Algorithm struct {
				ID   asn1.ObjectIdentifier
				None asn1.RawValue
			}
			Key []byte
		}{Algorithm: struct {
			ID   asn1.ObjectIdentifier
			None asn1.RawValue
		}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, asn1.NullRawValue}, Key: huge}))(t), "the RSA key has 1000000 bits"},
		{"one bit too many", pkcs1(t, oddNumber(t, 4096), oddNumber(t, 4097)), "the RSA key has 8193 bits"},
		{"long but for its modulus", pkcs1OfModulus(t, whole.N, long), "the RSA key has a number in it that is longer than the key"},
		{"incomplete", pkcs1(t, whole.Primes[0], whole.Primes[1]), "the RSA key lacks dP, dQ or qInv"},
		{"of three primes", pkcs1(t, whole.Primes[0], whole.Primes[1], big.NewInt(3), big.NewInt(3), big.NewInt(3),
			[][]*big.Int{{big.NewInt(7), big.NewInt(3), big.NewInt(3)}}), "the RSA key has 3 primes; wanted 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			got, err := Parse(cert, block("PRIVATE KEY", c.der))
			if err == nil || !strings.HasPrefix(err.Error(), "tls.key: "+c.want) {
				t.Errorf("got %v, %.200v, want the error %s", got, err, c.want)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func pkcs1OfModulus(t *testing.T, n, other *big.Int) []byte {
	return check(asn1.Marshal(struct {
		Version           int
		N                 *big.Int
		E                 int
		D, P, Q, A, B, Ab *big.Int
	}{0, n, 65537, n, other, n, n, n, n}))(t)
}

// TestLongRSAKey: what is long and complete is read, up to the bound.
func TestLongRSAKey(t *testing.T) {
	key := check(rsa.GenerateKey(rand.Reader, 3072))(t)
	root := newAuthority(t, nil, "root")
	cert := certPEM(root.issue(t, "leaf", key, false, "a.example"))
	for _, der := range [][]byte{x509.MarshalPKCS1PrivateKey(key), check(x509.MarshalPKCS8PrivateKey(key))(t)} {
		if _, err := Parse(cert, block("PRIVATE KEY", der)); err != nil {
			t.Error(err)
		}
	}
	if err := CheckCost(&rsa.PublicKey{N: oddNumber(t, maxRSABits), E: 3}); err != nil {
		t.Error(err)
	}
	if err := CheckCost(&rsa.PublicKey{N: oddNumber(t, maxRSABits+1), E: 3}); err == nil {
		t.Error("a longer key is no mistake")
	}
}
