package policy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

func testAuthority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// What cannot be honoured closes the rules, with a finding that names the key, and never comes to
// a Set without a demand.
func TestParseClientCert(t *testing.T) {
	ca := testAuthority(t)
	secrets := map[string]map[string][]byte{
		"shop/ca": {"ca.crt": ca}, "shop/empty": {}, "shop/nonsense": {"ca.crt": []byte("nonsense")},
		"shop/half": {"ca.crt": append(slices.Clone(ca), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...)},
		"shop/crl":  {"ca.crt": ca, "ca.crl": []byte("nonsense")}, "shop/blank-crl": {"ca.crt": ca, "ca.crl": {}}, "other/ca": {"ca.crt": ca},
	}
	const secret, verify, depth, page, pass, subject = "auth-tls-secret", "auth-tls-verify-client", "auth-tls-verify-depth",
		"auth-tls-error-page", "auth-tls-pass-certificate-to-upstream", "auth-tls-match-cn"
	for _, c := range []struct {
		annotations map[string]string
		want        *ClientCert // nil: none
		refused     []string
	}{
		{map[string]string{verify: "off"}, nil, nil},
		{map[string]string{verify: "off", secret: "shop/missing"}, nil, nil},
		{map[string]string{pass: "false"}, nil, nil},
		{map[string]string{secret: "shop/ca"}, &ClientCert{CA: string(ca), Depth: 1}, nil},
		{map[string]string{secret: "shop/ca", verify: "optional", depth: "3", pass: "true"}, &ClientCert{CA: string(ca), Depth: 3, Optional: true, Pass: true}, nil},
		{map[string]string{secret: "shop/ca", verify: "optional_no_ca"}, &ClientCert{CA: string(ca), Depth: 1, Optional: true, Untrusted: true}, nil},
		{map[string]string{secret: "shop/ca", page: "https://e.example/x", subject: "CN=a.*"}, &ClientCert{CA: string(ca), Depth: 1, ErrorPage: "https://e.example/x", Subject: "CN=a.*"}, nil},
		{map[string]string{verify: "on"}, &ClientCert{Refuse: true}, []string{verify}},
		{map[string]string{verify: "optional", depth: "2"}, &ClientCert{Refuse: true}, []string{verify, depth}},
		{map[string]string{secret: ""}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "ca"}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "other/ca"}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "shop/missing"}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "shop/empty"}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "shop/nonsense"}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "shop/half"}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "shop/crl"}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "shop/blank-crl"}, &ClientCert{Refuse: true}, []string{secret}},
		{map[string]string{secret: "shop/ca", verify: "perhaps"}, &ClientCert{Refuse: true}, []string{verify}},
		{map[string]string{secret: "shop/ca", verify: ""}, &ClientCert{Refuse: true}, []string{verify}},
		{map[string]string{secret: "shop/ca", depth: "-1"}, &ClientCert{Refuse: true}, []string{depth}},
		{map[string]string{secret: "shop/ca", pass: "x"}, &ClientCert{Refuse: true}, []string{pass}},
		{map[string]string{secret: "shop/ca", page: "/error"}, &ClientCert{Refuse: true}, []string{page}},
		{map[string]string{secret: "shop/ca", page: "javascript:x"}, &ClientCert{Refuse: true}, []string{page}},
		{map[string]string{secret: "shop/ca", subject: "alice"}, &ClientCert{Refuse: true}, []string{subject}},
		{map[string]string{secret: "shop/ca", subject: "CN=("}, &ClientCert{Refuse: true}, []string{subject}},
	} {
		for _, profile := range []Profile{Spec, Nginx} {
			in := Input{Profile: profile, Namespace: "shop", Annotations: map[string]string{}, Secret: func(ns, name string) map[string][]byte { return secrets[ns+"/"+name] }}
			for k, v := range c.annotations {
				in.Annotations[NginxPrefix+k] = v
			}
			set, findings := Parse(in)
			var refused []string
			for _, r := range c.refused {
				refused = append(refused, NginxPrefix+r)
			}
			slices.Sort(refused)
			if !slices.Equal(set.Refused, refused) || (len(findings) > 0) != (len(refused) > 0) {
				t.Errorf("%v: refused %q, want %q: %v", c.annotations, set.Refused, refused, findings)
			}
			if got, want := set.ClientCert, c.want; (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Errorf("%v: %+v, want %+v", c.annotations, got, want)
			}
		}
	}
	allowed, _ := Parse(Input{
		Namespace: "shop", Annotations: map[string]string{Prefix + secret: "other/ca"}, Config: map[string]string{"allow-cross-namespace-resources": "true"},
		Secret: func(ns, name string) map[string][]byte { return maps.Clone(secrets[ns+"/"+name]) },
	})
	if allowed.ClientCert == nil || allowed.ClientCert.Refuse {
		t.Errorf("another namespace is not allowed: %+v", allowed)
	}
}

func TestClientCertIdentity(t *testing.T) {
	seen := map[string]int{(*ClientCert)(nil).Identity(): -1}
	for i, c := range []ClientCert{{}, {CA: "a"}, {CA: "ab"}, {CA: "a", CRL: "b"}, {Optional: true}, {Optional: true, Untrusted: true}, {Depth: 1}, {Subject: "a"}, {Refuse: true}} {
		if j, taken := seen[c.Identity()]; taken {
			t.Errorf("%d and %d are the same", i, j)
		}
		seen[c.Identity()] = i
	}
	if (&ClientCert{CA: "a", ErrorPage: "x"}).Identity() != (&ClientCert{CA: "a", Pass: true}).Identity() {
		t.Error("what does not let anybody in or out makes a difference")
	}
}

// The names are written as openssl x509 -nameopt RFC2253 does.
func TestDistinguishedName(t *testing.T) {
	for want, name := range map[string]pkix.Name{
		"":                            {},
		"CN=a":                        {CommonName: "a"},
		`CN=a,OU=x,O=Shop\, Inc,C=DE`: {CommonName: "a", OrganizationalUnit: []string{"x"}, Organization: []string{"Shop, Inc"}, Country: []string{"DE"}},
		`CN=x\,CN\=admin`:             {CommonName: "x,CN=admin"},
		"CN=a?b":                      {CommonName: "a\nb"},
		`emailAddress=a\+b@e.example,CN=a`: {CommonName: "a", ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: emailAddress, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("a+b@e.example")}},
		}},
	} {
		raw, err := asn1.Marshal(name.ToRDNSequence())
		if err != nil {
			t.Fatal(err)
		}
		got := distinguishedName(raw)
		if want == `CN=x\,CN\=admin` && got == `CN=x\,CN=admin` {
			continue // "=" needs no escape in a value
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := distinguishedName([]byte("nonsense")); got != "" {
		t.Errorf("nonsense is %q", got)
	}
}

// TestReadRevocationsIsBounded: verifying every list with every authority of its name is what a Secret of
// 1 MiB could keep the controller busy with, all changes of everybody behind it.
func TestReadRevocationsIsBounded(t *testing.T) {
	serial := int64(0)
	authority := func() (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		serial++
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "clients"}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	ca, key := authority()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
	}, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	list := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	many := func(n int) string { return strings.Repeat(string(list), n) }
	if _, err := readRevocations(many(maxRevocationLists), []*x509.Certificate{ca}); err != nil {
		t.Errorf("%d lists: %v", maxRevocationLists, err)
	}
	if _, err := readRevocations(many(maxRevocationLists+1), []*x509.Certificate{ca}); err == nil || !strings.Contains(err.Error(), "more than 256 revocation lists") {
		t.Errorf("one list more: %v", err)
	}
	var before []*x509.Certificate
	for range maxSameName - 1 {
		other, _ := authority()
		before = append(before, other)
	}
	if _, err := readRevocations(many(1), append(before, ca)); err != nil {
		t.Errorf("the last of %d authorities of one name: %v", maxSameName, err)
	}
	other, _ := authority()
	if _, err := readRevocations(many(1), append(before, other, ca)); err == nil || !strings.Contains(err.Error(), "more than 8 certificates of ca.crt have that name") {
		t.Errorf("one authority more: %v", err)
	}
}

// TestAuthorityWithALongKey: verifying with it at each request would be everybody's wait.
func TestAuthorityWithALongKey(t *testing.T) {
	n := new(big.Int).Lsh(big.NewInt(1), 9000)
	n.SetBit(n, 0, 1)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsa.PublicKey{N: n, E: 65537}, key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = readAuthorities(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	if err == nil || err.Error() != "certificate 1: the RSA key has 9001 bits; wanted at most 8192" {
		t.Errorf("%v, want that the key is too long", err)
	}
}
