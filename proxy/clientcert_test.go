package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// authority signs client certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := &authority{template, key}
	signer := parent
	if parent == nil {
		signer = a
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, key.Public(), signer.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// client signs a certificate; edit may change it before.
func (a *authority) client(t *testing.T, subject pkix.Name, edit func(*x509.Certificate), between ...*authority) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	for _, b := range between {
		cert.Certificate = append(cert.Certificate, b.cert.Raw)
	}
	return cert
}

func (a *authority) crl(t *testing.T, until time.Time, serials ...*big.Int) string {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

func guarded(host string, c *policy.ClientCert) *Rule {
	r := rule(host, "/", webKey)
	if c != nil {
		r.Policies = &policy.Set{ClientCert: c}
	}
	return r
}

// certClient speaks TLS to f as name.
func (f *front) certClient(t *testing.T, name string, cert *tls.Certificate, h2 bool, cache tls.ClientSessionCache) *http.Client {
	return client(t, func(tr *http.Transport) {
		tr.TLSClientConfig.ServerName = name
		tr.TLSClientConfig.ClientSessionCache = cache
		tr.ForceAttemptHTTP2 = h2
		if cert != nil {
			tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
		}
	})
}

func (f *front) ask(t *testing.T, c *http.Client, host string) (*http.Response, string) {
	t.Helper()
	r := request(t, "GET", "https://"+f.https()+"/", nil)
	r.Host = host
	r.Header.Set("ssl-client-verify", "SUCCESS")
	r.Header.Set("ssl-client-cert", "forged")
	r.Header.Set("ssl_client_subject_dn", "CN=forged")
	return do(t, c, r)
}

// The answers are those that ingress-nginx documents.
func TestClientCertificates(t *testing.T) {
	ca, other := newAuthority(t, "ca", nil), newAuthority(t, "other", nil)
	middle := newAuthority(t, "middle", ca)
	lower := newAuthority(t, "lower", middle)
	alice := pkix.Name{CommonName: "alice", Organization: []string{"Shop, Inc"}}
	good := ca.client(t, alice, nil)
	expired := ca.client(t, alice, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	server := ca.client(t, alice, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	revoked := ca.client(t, alice, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(13) })
	foreign := other.client(t, alice, nil)
	underMiddle := middle.client(t, alice, nil, middle)
	underLower := lower.client(t, alice, nil, lower, middle)
	later := time.Now().Add(time.Hour)

	for name, c := range map[string]struct {
		demand policy.ClientCert
		cert   *tls.Certificate
		status int
		verify string
	}{
		"good":                {policy.ClientCert{}, good, 200, "SUCCESS"},
		"none":                {policy.ClientCert{}, nil, 400, ""},
		"foreign":             {policy.ClientCert{}, foreign, 400, ""},
		"expired":             {policy.ClientCert{}, expired, 400, ""},
		"for servers":         {policy.ClientCert{}, server, 400, ""},
		"optional, none":      {policy.ClientCert{Optional: true}, nil, 200, "NONE"},
		"optional, good":      {policy.ClientCert{Optional: true}, good, 200, "SUCCESS"},
		"optional, foreign":   {policy.ClientCert{Optional: true}, foreign, 400, ""},
		"no_ca, foreign":      {policy.ClientCert{Optional: true, Untrusted: true}, foreign, 200, "FAILED:unable to verify the first certificate"},
		"no_ca, expired":      {policy.ClientCert{Optional: true, Untrusted: true}, expired, 400, ""},
		"error page":          {policy.ClientCert{ErrorPage: "https://login.example/cert"}, nil, 302, ""},
		"depth 0, none":       {policy.ClientCert{Depth: 0}, underMiddle, 400, ""},
		"depth 1, one":        {policy.ClientCert{Depth: 1}, underMiddle, 200, "SUCCESS"},
		"depth 1, two":        {policy.ClientCert{Depth: 1}, underLower, 400, ""},
		"depth 2, two":        {policy.ClientCert{Depth: 2}, underLower, 200, "SUCCESS"},
		"subject":             {policy.ClientCert{Subject: "CN=alice"}, good, 200, "SUCCESS"},
		"other subject":       {policy.ClientCert{Subject: "CN=bob"}, good, 403, ""},
		"subject, none":       {policy.ClientCert{Optional: true, Subject: "CN=alice"}, nil, 403, ""},
		"pass":                {policy.ClientCert{Pass: true}, good, 200, "SUCCESS"},
		"not revoked":         {policy.ClientCert{CRL: ca.crl(t, later, big.NewInt(13))}, good, 200, "SUCCESS"},
		"revoked":             {policy.ClientCert{CRL: ca.crl(t, later, big.NewInt(13))}, revoked, 400, ""},
		"list expired":        {policy.ClientCert{CRL: ca.crl(t, time.Now().Add(-time.Minute))}, good, 400, ""},
		"no list of issuer":   {policy.ClientCert{Depth: 1, CRL: ca.crl(t, later)}, underMiddle, 400, ""},
		"list of a stranger":  {policy.ClientCert{CRL: other.crl(t, later)}, good, 503, ""},
		"refused":             {policy.ClientCert{Refuse: true}, good, 503, ""},
		"broken authority":    {policy.ClientCert{CA: "nonsense"}, good, 503, ""},
		"broken subject":      {policy.ClientCert{Subject: "CN=("}, good, 503, ""},
		"broken list":         {policy.ClientCert{CRL: "nonsense"}, good, 503, ""},
		"optional, list gone": {policy.ClientCert{Optional: true, CRL: "x"}, nil, 503, ""},
	} {
		t.Run(name, func(t *testing.T) {
			demand := c.demand
			if demand.CA == "" && !demand.Refuse {
				demand.CA = ca.pem()
			}
			for _, h2 := range []bool{false, true} {
				f := newFront(t, Config{Hosts: ByHost([]*Rule{guarded("a.example", &demand)})}, nil)
				f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
				resp, body := f.ask(t, f.certClient(t, "a.example", c.cert, h2, nil), "a.example")
				if resp.StatusCode != c.status || demand.ErrorPage != resp.Header.Get("Location") {
					t.Fatalf("HTTP/2 %t: %d %q, want %d: %s", h2, resp.StatusCode, resp.Header.Get("Location"), c.status, body)
				}
				if c.status != 200 {
					continue
				}
				got := echoed(t, body).Header
				if v := got.Values("Ssl-Client-Verify"); len(v) != 1 || v[0] != c.verify {
					t.Errorf("ssl-client-verify %q, want %q", v, c.verify)
				}
				cert, _ := url.PathUnescape(got.Get("Ssl-Client-Cert"))
				if strings.HasPrefix(cert, "-----BEGIN CERTIFICATE-----\n") != demand.Pass || !demand.Pass && cert != "" {
					t.Errorf("ssl-client-cert %q", cert)
				}
				subject := got.Get("Ssl-Client-Subject-Dn")
				if c.cert != nil && subject != `CN=alice,O=Shop\, Inc` || c.cert == nil && subject != "" || len(got["Ssl_client_subject_dn"]) > 0 {
					t.Errorf("subject %q, header %v", subject, got)
				}
			}
		})
	}
}

// In clear no certificate can be shown.
func TestClientCertificateInClear(t *testing.T) {
	f := newFront(t, Config{Hosts: ByHost([]*Rule{guarded("a.example", &policy.ClientCert{CA: newAuthority(t, "ca", nil).pem()})})}, nil)
	f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
	if resp, _ := do(t, client(t, nil), request(t, "GET", "http://"+f.http()+"/", nil)); resp.StatusCode != 400 {
		t.Errorf("status %d, want 400", resp.StatusCode)
	}
}

// A connection serves every host that demands of clients what that of its handshake does, and no
// other. "" is a client without server name.
func TestMisdirected(t *testing.T) {
	ca, other := newAuthority(t, "ca", nil), newAuthority(t, "other", nil)
	one, same, two := &policy.ClientCert{CA: ca.pem()}, &policy.ClientCert{CA: ca.pem()}, &policy.ClientCert{CA: other.pem()}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{
		guarded("open.example", nil), guarded("open2.example", nil), guarded("*.open.example", nil),
		guarded("one.example", one), guarded("same.example", same), guarded("two.example", two),
		guarded("*.wild.example", one), guarded("open.wild.example", nil),
	})}, nil)
	f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
	cert := ca.client(t, pkix.Name{CommonName: "alice"}, nil)
	for _, c := range []struct {
		name, host string
		status     int
	}{
		{"open.example", "open.example", 200},
		{"open.example", "open2.example", 200},
		{"open.example", "x.open.example", 200},
		{"", "open.example", 200},
		{"unknown.example", "open.example", 200},
		{"open.example", "unknown.example", 404},
		{"open.example", "one.example", 421},
		{"", "one.example", 421},
		{"unknown.example", "one.example", 421},
		{"one.example", "one.example", 200},
		{"ONE.example", "one.example", 200},
		{"one.example", "ONE.example.", 200},
		{"one.example", "same.example", 200},
		{"one.example", "x.wild.example", 200},
		{"x.wild.example", "y.wild.example", 200},
		{"one.example", "two.example", 421},
		{"one.example", "open.example", 421},
		{"two.example", "two.example", 400},
		{"x.wild.example", "open.wild.example", 421},
		{"open.wild.example", "x.wild.example", 421},
		{"open.wild.example", "open.example", 200},
	} {
		for _, h2 := range []bool{false, true} {
			name := c.name
			if name == "" {
				name = "127.0.0.1" // crypto/tls sends no address
			}
			if resp, _ := f.ask(t, f.certClient(t, name, cert, h2, nil), c.host); resp.StatusCode != c.status {
				t.Errorf("server name %q, host %q, HTTP/2 %t: %d, want %d", c.name, c.host, h2, resp.StatusCode, c.status)
			}
		}
	}
}

// resumes makes a connection for name and reports whether its session was resumed, and what a
// request got.
func (f *front) resumes(t *testing.T, name string, cert *tls.Certificate, cache tls.ClientSessionCache) (bool, int) {
	t.Helper()
	c := f.certClient(t, name, cert, false, keyed{cache})
	defer c.CloseIdleConnections()
	resp, _ := f.ask(t, c, name)
	return resp.TLS.DidResume, resp.StatusCode
}

// keyed is a client that tries its session everywhere, as none should.
type keyed struct{ tls.ClientSessionCache }

func (k keyed) Get(string) (*tls.ClientSessionState, bool) { return k.ClientSessionCache.Get("all") }

func (k keyed) Put(_ string, session *tls.ClientSessionState) {
	k.ClientSessionCache.Put("all", session)
}

// A session is worth nothing where something else is demanded of clients: neither on another
// host, nor on its own once the authorities have changed.
func TestSessionsEndWithTheirDemand(t *testing.T) {
	ca, other := newAuthority(t, "ca", nil), newAuthority(t, "other", nil)
	cert := ca.client(t, pkix.Name{CommonName: "alice"}, nil)
	config := func(demand *policy.ClientCert) Config {
		return Config{Hosts: ByHost([]*Rule{guarded("one.example", demand), guarded("open.example", nil)})}
	}
	f := newFront(t, config(&policy.ClientCert{CA: ca.pem()}), nil)
	f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
	cache := tls.NewLRUClientSessionCache(4)
	check := func(what, name string, resumed bool, status int) {
		t.Helper()
		if r, s := f.resumes(t, name, cert, cache); r != resumed || s != status {
			t.Errorf("%s: resumed %t, status %d, want %t, %d", what, r, s, resumed, status)
		}
	}
	check("first", "one.example", false, 200)
	check("again", "one.example", true, 200)
	check("other host", "open.example", false, 200)
	check("other host again", "open.example", true, 200)
	check("back", "one.example", false, 200)
	f.serve(t, config(&policy.ClientCert{CA: other.pem()}))
	check("changed authority", "one.example", false, 400)
	f.serve(t, config(&policy.ClientCert{CA: ca.pem()}))
	check("changed back", "one.example", false, 200)
}

// An open connection is asked again when the authorities change.
func TestOpenConnectionLosesItsProof(t *testing.T) {
	ca, other := newAuthority(t, "ca", nil), newAuthority(t, "other", nil)
	f := newFront(t, Config{Hosts: ByHost([]*Rule{guarded("a.example", &policy.ClientCert{CA: ca.pem()})})}, nil)
	f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
	c := f.certClient(t, "a.example", ca.client(t, pkix.Name{CommonName: "alice"}, nil), true, nil)
	if resp, _ := f.ask(t, c, "a.example"); resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	f.serve(t, Config{Hosts: ByHost([]*Rule{guarded("a.example", &policy.ClientCert{CA: other.pem()})})})
	if resp, _ := f.ask(t, c, "a.example"); resp.StatusCode != 400 {
		t.Errorf("status %d after the change, want 400", resp.StatusCode)
	}
}

// Replicas with the same ticket keys resume each other's sessions; one that has older keys
// besides the new one takes theirs, too.
func TestTicketsOfReplicas(t *testing.T) {
	keys := make([][32]byte, 4)
	for i := range keys {
		_, _ = rand.Read(keys[i][:])
	}
	var fronts []*front
	for range 3 {
		f := newFront(t, Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}, func(f *front) {
			f.server.Tickets = new(tls.Config)
			f.server.Tickets.SetSessionTicketKeys(keys[:1])
		})
		f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
		fronts = append(fronts, f)
	}
	cache := tls.NewLRUClientSessionCache(4)
	if r, _ := fronts[0].resumes(t, "a.example", nil, cache); r {
		t.Fatal("resumed the first time")
	}
	for i := range 6 {
		if r, _ := fronts[i%3].resumes(t, "a.example", nil, cache); !r {
			t.Errorf("replica %d did not resume", i%3)
		}
	}
	fronts[1].server.Tickets.SetSessionTicketKeys([][32]byte{keys[1], keys[0]})
	if r, _ := fronts[1].resumes(t, "a.example", nil, cache); !r {
		t.Error("the key before the newest is not taken")
	}
	fronts[2].server.Tickets.SetSessionTicketKeys([][32]byte{keys[3], keys[2]})
	if r, _ := fronts[2].resumes(t, "a.example", nil, cache); r {
		t.Error("resumed with a key that is gone")
	}
}
