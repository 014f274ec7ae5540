package policy

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// pairOf returns a certificate with its key as a Secret holds them.
func pairOf(t *testing.T) (certificate, key []byte) {
	t.Helper()
	c, err := proxytest.Certificate("a.example")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func TestBackendTLS(t *testing.T) {
	certificate, key := pairOf(t)
	other, otherKey := pairOf(t)
	type data = map[string][]byte
	secrets := map[string]data{
		"shop/all":   {"tls.crt": certificate, "tls.key": key, "ca.crt": other},
		"shop/ca":    {"ca.crt": other},
		"shop/pair":  {"tls.crt": certificate, "tls.key": key},
		"shop/empty": {},
		"shop/mixed": {"tls.crt": certificate, "tls.key": otherKey},
		"shop/half":  {"tls.crt": certificate},
		"shop/junk":  {"ca.crt": []byte("no PEM")},
		"bank/all":   {"ca.crt": other},
	}
	ca, crt, pk := string(other), string(certificate), string(key)
	const verify, secret, name, depth, sni, protocols, ciphers = "proxy-ssl-verify", "proxy-ssl-secret", "proxy-ssl-name", "proxy-ssl-verify-depth", "proxy-ssl-server-name", "proxy-ssl-protocols", "proxy-ssl-ciphers"
	type entries = map[string]string
	for _, test := range []struct {
		annotations entries
		want        upstream.TLS // in the ingress-nginx profile; zero: nil
		refused     []string
		others      int // findings beside those
	}{
		{nil, upstream.TLS{}, nil, 0},
		{entries{verify: "off"}, upstream.TLS{}, nil, 0},
		{entries{verify: "off", secret: "shop/all"}, upstream.TLS{Authorities: ca, Certificate: crt, PrivateKey: pk}, nil, 0},
		{entries{verify: "on", secret: "shop/all"}, upstream.TLS{Verify: true, Depth: 1, Authorities: ca, Certificate: crt, PrivateKey: pk}, nil, 0},
		{entries{verify: "ON", secret: "shop/ca", depth: "3"}, upstream.TLS{Verify: true, Depth: 3, Authorities: ca}, nil, 0},
		{entries{verify: "on", secret: "shop/pair"}, upstream.TLS{Verify: true, Depth: 1, Certificate: crt, PrivateKey: pk}, nil, 0},
		{entries{verify: "on"}, upstream.TLS{Verify: true, Depth: 1}, nil, 0},
		{entries{verify: "on", name: "web.example", sni: "on"}, upstream.TLS{Verify: true, Depth: 1, Name: "web.example", SNI: upstream.SNIAlways}, nil, 0},
		{entries{sni: "off"}, upstream.TLS{SNI: upstream.SNINever}, nil, 0},
		{entries{protocols: "TLSv1.2 TLSv1.3"}, upstream.TLS{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}, nil, 0},
		{entries{protocols: "TLSv1"}, upstream.TLS{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, nil, 0},
		{entries{ciphers: "DEFAULT"}, upstream.TLS{}, nil, 0},
		{
			entries{ciphers: "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:!aNULL"},
			upstream.TLS{Ciphers: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
			nil, 0,
		},
		// Left out.
		{entries{sni: "yes"}, upstream.TLS{}, nil, 1},
		{entries{protocols: "TLSv2"}, upstream.TLS{}, nil, 1},
		{entries{protocols: "SSLv3"}, upstream.TLS{}, nil, 1},
		{entries{protocols: "SSLv3 TLSv1.2"}, upstream.TLS{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}, nil, 1},
		{entries{ciphers: "DHE-RSA-AES256-SHA:AES128-SHA"}, upstream.TLS{Ciphers: "TLS_RSA_WITH_AES_128_CBC_SHA"}, nil, 1},
		{entries{ciphers: "DHE-RSA-AES256-SHA"}, upstream.TLS{}, nil, 1},
		// They fail closed.
		{entries{verify: "true"}, upstream.TLS{}, []string{verify}, 0},
		{entries{verify: ""}, upstream.TLS{}, []string{verify}, 0},
		{entries{verify: "on", depth: "-1"}, upstream.TLS{Verify: true, Depth: 1}, []string{depth}, 0},
		{entries{depth: "x"}, upstream.TLS{}, []string{depth}, 0},
		{entries{name: "a b"}, upstream.TLS{Name: "a b"}, []string{name}, 0},
		{entries{name: "a.example:443"}, upstream.TLS{Name: "a.example:443"}, []string{name}, 0},
		{entries{name: "$host"}, upstream.TLS{Name: "$host"}, []string{name}, 0},
		{entries{name: ""}, upstream.TLS{}, []string{name}, 0},
		{entries{name: strings.Repeat("a", 254)}, upstream.TLS{Name: strings.Repeat("a", 254)}, []string{name}, 0},
		{entries{secret: "shop/missing"}, upstream.TLS{}, []string{secret}, 0},
		{entries{secret: ""}, upstream.TLS{}, []string{secret}, 0},
		{entries{secret: "all"}, upstream.TLS{}, []string{secret}, 0},
		{entries{secret: "bank/all"}, upstream.TLS{}, []string{secret}, 0},
		{entries{secret: "shop/empty"}, upstream.TLS{}, []string{secret}, 0},
		{entries{secret: "shop/mixed"}, upstream.TLS{}, []string{secret}, 0},
		{entries{secret: "shop/half"}, upstream.TLS{}, []string{secret}, 0},
		{entries{secret: "shop/junk"}, upstream.TLS{}, []string{secret}, 0},
		{entries{verify: "maybe", secret: "shop/junk", depth: "x"}, upstream.TLS{}, []string{secret, verify, depth}, 0},
		{entries{"proxy-ssl-pinning": "on"}, upstream.TLS{}, []string{"proxy-ssl-pinning"}, 0},
	} {
		prefixed := make(map[string]string)
		for k, v := range test.annotations {
			prefixed[NginxPrefix+k] = v
		}
		set, findings := Parse(Input{Annotations: prefixed, Profile: Nginx, Namespace: "shop", Secret: func(namespace, name string) map[string][]byte {
			return secrets[namespace+"/"+name]
		}})
		got := upstream.TLS{}
		if set.Backend.TLS != nil {
			got = *set.Backend.TLS
		}
		var refused []string
		for _, name := range set.Refused {
			refused = append(refused, strings.TrimPrefix(name, NginxPrefix))
		}
		if !slices.Equal(refused, test.refused) || len(findings) != len(test.refused)+test.others {
			t.Errorf("%v: want %v refused and %d other findings, got %v, %v", test.annotations, test.refused, test.others, refused, findings)
		}
		if got != test.want {
			t.Errorf("%v: want %+v, got %+v", test.annotations, test.want, got)
		}
	}
}

// In the spec profile the name that is wanted is told.
func TestBackendTLSSpec(t *testing.T) {
	set, _ := Parse(Input{Annotations: map[string]string{Prefix + "proxy-ssl-verify": "on"}})
	if set.Backend.TLS == nil || set.Backend.TLS.SNI != upstream.SNIAlways {
		t.Errorf("got %+v", set.Backend.TLS)
	}
}

// Backends that are demanded differently are different backends; in clear nothing is demanded.
func TestBackendTLSKeys(t *testing.T) {
	plain := upstream.Key{Namespace: "shop", Service: "web", Port: "80"}
	one, two := upstream.TLS{Verify: true}, upstream.TLS{Verify: true, Name: "x"}
	key := func(b Backend) upstream.Key { k, _ := b.Keys(plain); return k }
	same := one
	if a, b := key(Backend{TLS: &one}), key(Backend{TLS: &same}); a != b || a == plain || a == key(Backend{TLS: &two}) {
		t.Errorf("got %s, %s", a.Target(), b.Target())
	}
	a, b := Backend{Auto: true, TLS: &one}.Keys(plain)
	if a.TLS != (upstream.Demand{}) || b.TLS == a.TLS {
		t.Errorf("got %s, %s", a.Target(), b.Target())
	}
}

func TestNamedSecrets(t *testing.T) {
	got := NamedSecrets("shop", map[string]string{
		Prefix + "proxy-ssl-secret": "shop/up", NginxPrefix + "proxy-ssl-secret": "shop/not", NginxPrefix + "auth-tls-secret": " shop/ca ",
	})
	if want := [][2]string{{"shop", "ca"}, {"shop", "up"}}; !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
	if got := NamedSecrets("shop", map[string]string{Prefix + "proxy-ssl-secret": "bank/up", Prefix + "auth-tls-secret": "ca"}); got != nil {
		t.Errorf("want none, got %v", got)
	}
}

// Every name leads to a cipher of crypto/tls, and what is taken out is out.
func TestOpensslCiphers(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(opensslNames)) {
		names, unknown := opensslCiphers(name)
		if len(names) != 1 || len(unknown) != 0 {
			t.Errorf("%s: got %v, %v", name, names, unknown)
			continue
		}
		if _, ok := upstream.CipherSuite(names[0]); !ok {
			t.Errorf("%s: crypto/tls has no %s", name, names[0])
		}
	}
	for list, want := range map[string]string{
		"AES128-SHA:!AES128-SHA":                     "|",
		"HIGH:!aNULL:!MD5:@STRENGTH":                 "|",
		"TLS_AES_128_GCM_SHA256:AES128-SHA":          "TLS_RSA_WITH_AES_128_CBC_SHA|",
		"TLS_RSA_WITH_AES_128_CBC_SHA":               "TLS_RSA_WITH_AES_128_CBC_SHA|",
		"aes128-sha, AES128-SHA nothing-of-the-kind": "TLS_RSA_WITH_AES_128_CBC_SHA|nothing-of-the-kind",
		"": "|", ":::": "|", "!": "|", "+": "|+",
	} {
		names, unknown := opensslCiphers(list)
		if got := strings.Join(names, " ") + "|" + strings.Join(unknown, " "); got != want {
			t.Errorf("%q: want %s, got %s", list, want, got)
		}
	}
}
