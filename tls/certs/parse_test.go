package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestParse accepts what is found in Secrets (T13).
func TestParse(t *testing.T) {
	root := newAuthority(t, nil, "root")
	middle := newAuthority(t, root, "middle")
	lower := newAuthority(t, middle, "lower")
	key := ecdsaKey(t)
	leaf := lower.issue(t, "leaf", key, false, "a.example")
	rsaLeaf := lower.issue(t, "rsa", rsaKey(), false, "a.example")
	edKey := ed25519Key(t)
	edLeaf := lower.issue(t, "ed25519", edKey, false, "a.example")
	rsaPKCS1 := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey().(*rsa.PrivateKey)))
	crlf := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }
	chain := []*x509.Certificate{leaf, lower.cert, middle.cert}

	for _, c := range []struct {
		name      string
		cert, key []byte
		want      []*x509.Certificate
	}{
		{"in order", certPEM(chain...), pkcs8(t, key), chain},
		{"the leaf last", certPEM(middle.cert, lower.cert, leaf), pkcs8(t, key), chain},
		{"shuffled", certPEM(lower.cert, leaf, middle.cert), pkcs8(t, key), chain},
		{"with the root", certPEM(root.cert, middle.cert, lower.cert, leaf), pkcs8(t, key), append(chain[:3:3], root.cert)},
		{"a gap", certPEM(middle.cert, leaf), pkcs8(t, key), []*x509.Certificate{leaf, middle.cert}},
		{"twice", certPEM(leaf, leaf, lower.cert, leaf), pkcs8(t, key), chain[:2]},
		{"another certificate", certPEM(edLeaf, lower.cert, leaf), pkcs8(t, key), []*x509.Certificate{leaf, lower.cert, edLeaf}},
		{"SEC 1", certPEM(leaf), sec1(t, key), chain[:1]},
		{"EC PARAMETERS first", certPEM(leaf), join(block("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}), sec1(t, key)), chain[:1]},
		{"PKCS 1", certPEM(rsaLeaf), rsaPKCS1, []*x509.Certificate{rsaLeaf}},
		{"RSA in PKCS 8", certPEM(rsaLeaf), pkcs8(t, rsaKey()), []*x509.Certificate{rsaLeaf}},
		{"Ed25519", certPEM(edLeaf), pkcs8(t, edKey), []*x509.Certificate{edLeaf}},
		{"the wrong label", certPEM(leaf), bytes.ReplaceAll(pkcs8(t, key), []byte("PRIVATE KEY"), []byte("RSA PRIVATE KEY")), chain[:1]},
		{"CRLF", crlf(certPEM(leaf, lower.cert)), crlf(pkcs8(t, key)), chain[:2]},
		{"no line break at the end", bytes.TrimSpace(certPEM(leaf)), bytes.TrimSpace(pkcs8(t, key)), chain[:1]},
		{"a byte order mark", join([]byte("\xef\xbb\xbf"), certPEM(leaf)), join([]byte("\xef\xbb\xbf"), pkcs8(t, key)), chain[:1]},
		{"text around", join([]byte("subject=CN = leaf\n"), certPEM(leaf), []byte("\nand more \x00\xff")), join(pkcs8(t, key), []byte("junk")), chain[:1]},
		{"one file for both", join(pkcs8(t, key), certPEM(leaf, lower.cert)), join(certPEM(leaf), pkcs8(t, key)), chain[:2]},
		{"several keys", certPEM(leaf), join(pkcs8(t, edKey), rsaPKCS1, pkcs8(t, key)), chain[:1]},
		{"a damaged key beside", certPEM(leaf), join(block("PRIVATE KEY", []byte("?")), pkcs8(t, key)), chain[:1]},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert, err := Parse(c.cert, c.key)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := names(cert), subjects(c.want); got != want {
				t.Errorf("got the chain %s, want %s", got, want)
			}
			if !bytes.Equal(cert.Leaf.Raw, c.want[0].Raw) {
				t.Errorf("Leaf is %s", cert.Leaf.Subject)
			}
			if !samePublicKey(cert.PrivateKey.(crypto.Signer).Public(), c.want[0].PublicKey) {
				t.Error("the key is another one")
			}
		})
	}
}

func names(c *tls.Certificate) string {
	var certs []*x509.Certificate
	for _, der := range c.Certificate {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return err.Error()
		}
		certs = append(certs, parsed)
	}
	return subjects(certs)
}

func subjects(certs []*x509.Certificate) string {
	var out []string
	for _, c := range certs {
		out = append(out, c.Subject.CommonName)
	}
	return strings.Join(out, " > ")
}

// TestParseCrossSigned keeps both certificates of one authority, in the order they came.
func TestParseCrossSigned(t *testing.T) {
	root, other := newAuthority(t, nil, "root"), newAuthority(t, nil, "other")
	shared := ecdsaKey(t)
	one := root.issue(t, "middle", shared, true)
	two := other.issue(t, "middle", shared, true)
	key := ecdsaKey(t)
	leaf := (&authority{one, shared}).issue(t, "leaf", key, false, "a.example")
	cert, err := Parse(certPEM(two, one, leaf), pkcs8(t, key))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{leaf.Raw, two.Raw, one.Raw}
	for i, der := range cert.Certificate {
		if !bytes.Equal(der, want[i]) {
			t.Errorf("certificate %d is not the expected one", i)
		}
	}
	for _, a := range []*authority{root, other} {
		verify(t, cert, a, "a.example")
	}
}

// TestParseSameSubject follows the key identifier where two authorities have one name.
func TestParseSameSubject(t *testing.T) {
	root := newAuthority(t, nil, "root")
	one, two := newAuthority(t, root, "middle"), newAuthority(t, root, "middle")
	key := ecdsaKey(t)
	leaf := two.issue(t, "leaf", key, false, "a.example")
	cert, err := Parse(certPEM(one.cert, two.cert, leaf), pkcs8(t, key))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(cert.Certificate[1], two.cert.Raw) {
		t.Error("the issuer of the leaf does not follow it")
	}
	verify(t, cert, root, "a.example")
}

// TestParseKeepsUnreadableIntermediate passes on what only this side cannot read.
func TestParseKeepsUnreadableIntermediate(t *testing.T) {
	key := ecdsaKey(t)
	leaf := newAuthority(t, nil, "root").issue(t, "leaf", key, false, "a.example")
	odd := []byte("not DER")
	cert, err := Parse(join(block("CERTIFICATE", odd), certPEM(leaf)), pkcs8(t, key))
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.Certificate) != 2 || !bytes.Equal(cert.Certificate[1], odd) {
		t.Errorf("got %d certificates", len(cert.Certificate))
	}
}

// TestParseErrors says what was wanted and what came (C10).
func TestParseErrors(t *testing.T) {
	root := newAuthority(t, nil, "root")
	key := ecdsaKey(t)
	leaf := root.issue(t, "leaf", key, false, "a.example")
	good, goodKey := certPEM(leaf), pkcs8(t, key)
	p224 := check(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))(t)
	x25519 := check(ecdh.X25519().GenerateKey(rand.Reader))(t)
	var many bytes.Buffer
	for i := range maxCertificates + 1 {
		many.Write(block("CERTIFICATE", fmt.Append(nil, i)))
	}
	for _, c := range []struct {
		name      string
		cert, key []byte
		want      string
	}{
		{"no certificate", nil, goodKey, "tls.crt: no PEM block CERTIFICATE found; it is empty"},
		{"blank certificate", []byte(" \n"), goodKey, "tls.crt: no PEM block CERTIFICATE found; it is empty"},
		{"no key", good, nil, "tls.key: no PEM block PRIVATE KEY found; it is empty"},
		{"exchanged", goodKey, good, "tls.crt: no PEM block CERTIFICATE found, only PRIVATE KEY"},
		{"certificate as the key", good, good, "tls.key: no PEM block PRIVATE KEY found, only CERTIFICATE"},
		{"DER", leaf.Raw, goodKey, fmt.Sprintf("tls.crt: no PEM block CERTIFICATE found; its %d bytes are not PEM", len(leaf.Raw))},
		{"damaged block", good[:len(good)-40], goodKey, fmt.Sprintf("tls.crt: no PEM block CERTIFICATE found; the block in its %d bytes is damaged", len(good)-40)},
		{"damaged certificate", block("CERTIFICATE", []byte("?")), goodKey, "tls.crt: certificate 1: x509: malformed certificate"},
		{"damaged key", good, block("PRIVATE KEY", []byte("?")), "tls.key: the PEM block PRIVATE KEY is not a private key in PKCS #8, PKCS #1 or SEC 1 form: "},
		{"encrypted key", good, block("ENCRYPTED PRIVATE KEY", []byte("?")), "tls.key: the private key is encrypted; wanted one without a passphrase"},
		{"old encryption", good, []byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\naGk=\n-----END EC PRIVATE KEY-----\n"), "tls.key: the private key is encrypted; wanted one without a passphrase"},
		{"mismatch", good, pkcs8(t, ecdsaKey(t)), `tls.key: the ECDSA key belongs to no certificate of tls.crt, which has "CN=leaf" (ECDSA)`},
		{"mismatch of kind", good, pkcs8(t, rsaKey()), `tls.key: the RSA key belongs to no certificate of tls.crt, which has "CN=leaf" (ECDSA)`},
		{"P-224", good, pkcs8(t, p224), "tls.key: the ECDSA key is on curve P-224; wanted P-256, P-384 or P-521"},
		{"X25519", good, pkcs8(t, x25519), "tls.key: the private key is a *ecdh.PrivateKey; wanted RSA, ECDSA or Ed25519"},
		{"many certificates", many.Bytes(), goodKey, "tls.crt: more than 64 certificates"},
		{"many keys", good, bytes.Repeat(goodKey, maxKeys+1), "tls.key: more than 8 private keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert, err := Parse(c.cert, c.key)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, %v\nwant the error %s", cert, err, c.want)
			}
		})
	}
}

// FuzzParse: never panics, says which file is wrong, and gives what TLS can use.
func FuzzParse(f *testing.F) {
	key := ecdsaKey(f)
	root := newAuthority(f, nil, "root")
	leaf := root.issue(f, "leaf", key, false, "a.example")
	f.Add(certPEM(leaf, root.cert), pkcs8(f, key))
	f.Add(certPEM(root.cert, leaf), sec1(f, key))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("\xef\xbb\xbf-----BEGIN"), []byte(nil))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		got, err := Parse(cert, key)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "tls.crt: ") && !strings.HasPrefix(err.Error(), "tls.key: ") {
				t.Errorf("%v names no file", err)
			}
			return
		}
		if got.Leaf == nil || !bytes.Equal(got.Leaf.Raw, got.Certificate[0]) {
			t.Error("the leaf is not the first certificate")
		}
		if !samePublicKey(got.PrivateKey.(crypto.Signer).Public(), got.Leaf.PublicKey) {
			t.Error("the key is not that of the leaf")
		}
		// What crypto/tls accepts is accepted; the reverse is what Parse is for.
	})
}

// TestParseAcceptsWhatX509KeyPairDoes: Parse is no stricter than the function that kubectl
// create secret tls checks with.
func TestParseAcceptsWhatX509KeyPairDoes(t *testing.T) {
	root := newAuthority(t, nil, "root")
	for _, key := range []crypto.Signer{ecdsaKey(t), rsaKey(), ed25519Key(t)} {
		leaf := root.issue(t, "leaf", key, false, "a.example")
		c, k := certPEM(leaf, root.cert), pkcs8(t, key)
		want, err := tls.X509KeyPair(c, k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(c, k)
		if err != nil {
			t.Fatal(err)
		}
		if names(got) != names(&want) {
			t.Errorf("got %s, want %s", names(got), names(&want))
		}
	}
}
