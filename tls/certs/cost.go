package certs

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// maxRSABits is the longest RSA key that is used. What it costs grows with the third power of
// its length: whoever brings the key pays nothing of it, and the whole process waits. The clients
// of crypto/tls take no longer one either.
const maxRSABits = 8192

// CheckCost returns an error for a public key that takes too long to verify with.
func CheckCost(key crypto.PublicKey) error {
	if k, ok := key.(*rsa.PublicKey); ok {
		return checkBits(k.N)
	}
	return nil
}

func checkBits(n *big.Int) error {
	if bits := n.BitLen(); bits > maxRSABits {
		return fmt.Errorf("the RSA key has %d bits; wanted at most %d", bits, maxRSABits)
	}
	return nil
}

// checkRSACost returns an error for a private RSA key that takes too long to read or to sign with;
// nil for everything else, keys that are none too. It comes before the functions of crypto/x509, which
// compute what a key lacks: that takes 14 s at 32768 bits, and a Secret has room for a million.
func checkRSACost(der []byte) error {
	// Both as crypto/x509 has them, so that what does not fit is nothing to it either.
	var outer struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &outer); err == nil {
		der = outer.Key
	}
	var key struct {
		Version     int
		N           *big.Int
		E           int
		D, P, Q     *big.Int
		Dp          *big.Int        `asn1:"optional"`
		Dq          *big.Int        `asn1:"optional"`
		Qinv        *big.Int        `asn1:"optional"`
		OtherPrimes []asn1.RawValue `asn1:"optional,omitempty"`
	}
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return nil
	}
	if err := checkBits(key.N); err != nil {
		return err
	}
	for _, n := range []*big.Int{key.D, key.P, key.Q, key.Dp, key.Dq, key.Qinv} {
		if n == nil {
			return errors.New("the RSA key lacks dP, dQ or qInv, which PKCS #1 has in every key")
		}
		if n.BitLen() > maxRSABits {
			return errors.New("the RSA key has a number in it that is longer than the key")
		}
	}
	if len(key.OtherPrimes) > 0 {
		return fmt.Errorf("the RSA key has %d primes; wanted 2", 2+len(key.OtherPrimes))
	}
	return nil
}
