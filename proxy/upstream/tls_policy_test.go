package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

func pemOf(t testing.TB, c *tls.Certificate) (certificate, key string) {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// securedPool returns a Pool of r that demands a TLS of its endpoint.
func securedPool(r *Registry, demand TLS, protocol Protocol, at netip.AddrPort) *Pool {
	k := testKey
	k.TLS = Demanded(demand)
	p := r.Pool(k)
	p.Set(resolution(protocol, at))
	return p
}

// shown is a TLS server that notes what it is shown.
type shown struct {
	*proxytest.Backend
	mu      sync.Mutex
	names   []string
	version uint16
	clients int // certificates of clients
	resumed int
}

func newShown(t testing.TB, config *tls.Config) *shown {
	s := &shown{}
	config.ClientAuth = tls.RequestClientCert
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.names = append(s.names, h.ServerName)
		return nil, nil
	}
	s.Backend = start(t, &proxytest.Backend{TLS: config, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.version = r.TLS.Version
		s.clients = len(r.TLS.PeerCertificates)
		if r.TLS.DidResume {
			s.resumed++
		}
	})})
	return s
}

func (s *shown) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[len(s.names)-1]
}

// What is demanded is demanded over every protocol, and what is not met fails with 502.
func TestVerify(t *testing.T) {
	good, err := proxytest.Certificate("cart.shop.svc", "web.example", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := proxytest.Certificate("cart.shop.svc", "web.example")
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := pemOf(t, good)
	strange, _ := pemOf(t, other)
	for _, test := range []struct {
		name   string
		demand TLS
		want   string // part of the error; empty for none
	}{
		{"not demanded", TLS{Name: "nobody.example"}, ""},
		{"name of the Service", TLS{Verify: true, Authorities: ca}, ""},
		{"name", TLS{Verify: true, Authorities: ca, Name: "web.example"}, ""},
		{"IP address", TLS{Verify: true, Authorities: ca, Name: "127.0.0.1"}, ""},
		{"other name", TLS{Verify: true, Authorities: ca, Name: "other.example"}, "other.example"},
		{"other name, sent", TLS{Verify: true, Authorities: ca, Name: "other.example", SNI: SNIAlways}, "other.example"},
		{"other authority", TLS{Verify: true, Authorities: strange}, "unknown authority"},
		{"system's authorities", TLS{Verify: true}, "certificate"},
		{"no authority", TLS{Verify: true, Authorities: "junk"}, "authorities"},
		{"no authority, not demanded", TLS{Authorities: "junk"}, "authorities"},
		{"no pair", TLS{Certificate: ca, PrivateKey: "junk"}, "key"},
		{"no cipher", TLS{Ciphers: "junk"}, "cipher"},
	} {
		for _, protocol := range []Protocol{HTTPS, HTTPS1, H2} {
			b := newShown(t, serverTLS(good))
			p := securedPool(newRegistry(t, Options{}), test.demand, protocol, b.Addr())
			for range 2 { // the second connection would resume the session of the first
				status, _, err := do(t, p, request(t, "GET", "/", nil), nil)
				if test.want == "" {
					if err != nil || status != 200 {
						t.Errorf("%s, %s: want 200, got %d, %v", test.name, protocol, status, err)
					}
				} else if wantReason(t, err, TLSFailed, 502); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s, %s: want an error about %q, got %v", test.name, protocol, test.want, err)
				}
				p.Endpoints()[0].wire().closeIdle()
			}
		}
	}
}

// chain returns three certificates for the names of a Service, each signed by the one before.
func chain(t testing.TB) (root, middle, leaf *tls.Certificate) {
	t.Helper()
	sign := func(issuer *tls.Certificate, serial int64, ca bool) *tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprint("number ", serial)}, DNSNames: []string{"cart.shop.svc"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: ca,
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		c := &tls.Certificate{PrivateKey: key}
		parent, signer := template, any(key)
		if issuer != nil {
			parent, signer = issuer.Leaf, issuer.PrivateKey
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		if c.Leaf, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		c.Certificate = [][]byte{der}
		return c
	}
	root = sign(nil, 1, true)
	middle = sign(root, 2, true)
	return root, middle, sign(middle, 3, false)
}

// The chain may be as long as Depth says.
func TestVerifyDepth(t *testing.T) {
	root, middle, leaf := chain(t)
	roots := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate[0]}))
	server := &tls.Certificate{Certificate: [][]byte{leaf.Certificate[0], middle.Certificate[0]}, PrivateKey: leaf.PrivateKey}
	b := start(t, &proxytest.Backend{TLS: serverTLS(server)})
	for depth, ok := range map[int]bool{0: false, 1: true, 5: true} {
		p := securedPool(newRegistry(t, Options{}), TLS{Verify: true, Depth: depth, Authorities: roots}, HTTPS, b.Addr())
		status, _, err := do(t, p, request(t, "GET", "/", nil), nil)
		if ok != (err == nil && status == 200) {
			t.Errorf("depth %d: got %d, %v", depth, status, err)
		}
	}
}

// The name that is sent, the versions, the ciphers and the client's certificate are those of the
// demand.
func TestTLSShown(t *testing.T) {
	certificate, err := proxytest.Certificate("web.example")
	if err != nil {
		t.Fatal(err)
	}
	crt, key := pemOf(t, certificate)
	b := newShown(t, serverTLS(certificate))
	get := func(demand TLS) {
		t.Helper()
		p := securedPool(newRegistry(t, Options{}), demand, HTTPS1, b.Addr())
		if status, _, err := do(t, p, request(t, "GET", "/", nil), nil); err != nil || status != 200 {
			t.Fatalf("%+v: got %d, %v", demand, status, err)
		}
	}
	for _, test := range []struct {
		demand TLS
		sni    string
	}{
		{TLS{Name: "web.example"}, ""},
		{TLS{SNI: SNINever, Name: "web.example"}, ""},
		{TLS{SNI: SNIAlways, Name: "web.example"}, "web.example"},
		{TLS{SNI: SNIAlways}, "cart.shop.svc"},
		{TLS{SNI: SNIAlways, Name: "127.0.0.1"}, ""},
	} {
		if get(test.demand); b.last() != test.sni {
			t.Errorf("%+v: want the name %q sent, got %q", test.demand, test.sni, b.last())
		}
	}
	get(TLS{MaxVersion: tls.VersionTLS12})
	if b.version != tls.VersionTLS12 || b.clients != 0 {
		t.Errorf("want TLS 1.2 and no certificate, got %x, %d", b.version, b.clients)
	}
	get(TLS{MinVersion: tls.VersionTLS13, Certificate: crt, PrivateKey: key})
	if b.version != tls.VersionTLS13 || b.clients != 1 {
		t.Errorf("want TLS 1.3 and a certificate, got %x, %d", b.version, b.clients)
	}
	p := securedPool(newRegistry(t, Options{}), TLS{MaxVersion: tls.VersionTLS12, Ciphers: "TLS_RSA_WITH_AES_128_CBC_SHA"}, HTTPS1, b.Addr())
	_, _, err = do(t, p, request(t, "GET", "/", nil), nil)
	wantReason(t, err, TLSFailed, 502) // the server has an ECDSA certificate
}

// A DNS name is sent and verified without being said.
func TestVerifyDNSName(t *testing.T) {
	certificate, err := proxytest.Certificate("web.example")
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := pemOf(t, certificate)
	b := newShown(t, serverTLS(certificate))
	k := testKey
	k.TLS = Demanded(TLS{Verify: true, Authorities: ca})
	e := newEndpoint(&Pool{key: k, registry: newRegistry(t, Options{}), secured: newSecured(k.TLS)}, Address{"web.example.", b.Addr().Port()}, HTTPS1)
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := tls.Client(conn, e.tlsConfig()).Handshake(); err != nil || b.last() != "web.example" {
		t.Errorf("want web.example sent and verified, got %q, %v", b.last(), err)
	}
}

// Neither a connection nor a session of one demand is used for another: what did not verify says
// nothing to who does.
func TestDemandsShareNothing(t *testing.T) {
	certificate, err := proxytest.Certificate("web.example")
	if err != nil {
		t.Fatal(err)
	}
	other, err := proxytest.Certificate("web.example")
	if err != nil {
		t.Fatal(err)
	}
	strange, _ := pemOf(t, other)
	b := newShown(t, serverTLS(certificate))
	r := newRegistry(t, Options{})
	lax, strict := securedPool(r, TLS{}, HTTPS, b.Addr()), securedPool(r, TLS{Verify: true, Authorities: strange}, HTTPS, b.Addr())
	if lax == strict || lax.Key() == strict.Key() || lax.Key().Target() == strict.Key().Target() {
		t.Fatalf("one pool for %s and %s", lax.Key().Target(), strict.Key().Target())
	}
	if again := securedPool(r, TLS{Verify: true, Authorities: strange}, HTTPS, b.Addr()); again != strict {
		t.Error("want one pool for equal demands")
	}
	for range 3 {
		get(t, lax)
		_, _, err := do(t, strict, request(t, "GET", "/", nil), nil)
		wantReason(t, err, TLSFailed, 502)
	}
	if b.Requests() != 3 {
		t.Errorf("want 3 requests, got %d", b.Requests())
	}
}

// A demand's dump never shows its key.
func TestTargetHidesKey(t *testing.T) {
	k := testKey
	k.TLS = Demanded(TLS{Certificate: "c", PrivateKey: "one secret"})
	l := testKey
	l.TLS = Demanded(TLS{Certificate: "c", PrivateKey: "another secret"})
	if k == l || k.Target() != l.Target() || strings.Contains(k.Target(), "secret") {
		t.Errorf("got %s, %s", k.Target(), l.Target())
	}
}
