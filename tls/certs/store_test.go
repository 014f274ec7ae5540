package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// serve accepts TLS connections on loopback and echoes what they send.
func serve(t testing.TB, st *Store) string {
	t.Helper()
	l := check(tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: st.GetCertificate}))(t)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	return l.Addr().String()
}

// dial shakes hands without checking the certificate, and returns the leaf.
func dial(addr string, c *tls.Config) (*tls.Conn, *x509.Certificate, error) {
	c.InsecureSkipVerify = true
	d := tls.Dialer{Config: c}
	conn, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	tc := conn.(*tls.Conn)
	return tc, tc.ConnectionState().PeerCertificates[0], nil
}

// served returns the CN that a client asking for name gets.
func served(t testing.TB, addr string, c *tls.Config) string {
	t.Helper()
	conn, leaf, err := dial(addr, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return leaf.Subject.CommonName
}

// verify does what a client does that trusts a.
func verify(t *testing.T, cert *tls.Certificate, a *authority, name string) {
	t.Helper()
	var st Store
	st.Swap(NewSet([]Binding{{Host: name, Certificates: []*tls.Certificate{cert}}}, nil))
	conn, err := tls.Dial("tcp", serve(t, &st), &tls.Config{ServerName: name, RootCAs: a.pool()})
	if err != nil {
		t.Errorf("a client that trusts %s: %v", a.cert.Subject.CommonName, err)
		return
	}
	conn.Close()
}

// TestHandshake has one line for each rule of choosing (T01, T02, T03, T06, T11).
func TestHandshake(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	cert := func(name string) []*tls.Certificate {
		return []*tls.Certificate{ca.certificate(t, ecdsaKey(t), name)}
	}
	ec, rs := ca.certificate(t, ecdsaKey(t), "ecdsa", "both.example"), ca.certificate(t, rsaKey(), "rsa", "both.example")
	bindings := []Binding{
		{Host: "a.example", Certificates: cert("a.example")},
		{Host: "*.example", Certificates: cert("*.example")},
		{Host: "*.sub.example", Certificates: cert("*.sub.example")},
		{Host: "both.example", Certificates: []*tls.Certificate{rs, ec}},
		{Host: "twice.example", Certificates: cert("first")},
		{Host: "twice.example", Certificates: cert("second")},
		{Host: "bad.example", Reason: "Secret shop/web-tls not found"},
		{Host: "bare.example"},
		{Host: "only-rsa.example", Certificates: []*tls.Certificate{rs}},
	}
	var generated, own Store
	generated.Swap(NewSet(bindings, nil))
	def := ca.certificate(t, ecdsaKey(t), "default")
	own.Swap(NewSet(bindings, def))
	generatedAddr, ownAddr := serve(t, &generated), serve(t, &own)

	onlyRSA := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	for _, c := range []struct {
		name, sni string
		config    *tls.Config
		want      string
		own       string // with a default certificate of one's own; "" means want
	}{
		{"exact", "a.example", nil, "a.example", ""},
		{"exact before wildcard", "both.example", nil, "ecdsa", ""},
		{"case", "A.Example", nil, "a.example", ""},
		{"wildcard", "b.example", nil, "*.example", ""},
		{"wildcard and case", "B.EXAMPLE", nil, "*.example", ""},
		{"wildcard covers one label", "c.b.example", nil, "fairlead: no TLS section for this host", "default"},
		{"wildcard needs a label", "example", nil, "fairlead: no TLS section for this host", "default"},
		{"deeper wildcard", "x.sub.example", nil, "*.sub.example", ""},
		{"its parent has the other wildcard", "sub.example", nil, "*.example", ""},
		{"unknown", "other.test", nil, "fairlead: no TLS section for this host", "default"},
		{"none", "", nil, "fairlead: the client sent no server name", "default"},
		{"an address is no name", "127.0.0.1", nil, "fairlead: the client sent no server name", "default"},
		{"a reason", "bad.example", nil, "fairlead: Secret shop/web-tls not found", "default"},
		{"no reason given", "bare.example", nil, "fairlead: no TLS section for this host", "default"},
		{"the first binding of a host", "twice.example", nil, "first", ""},
		{"ECDSA before RSA", "both.example", nil, "ecdsa", ""},
		{"RSA for who knows no other", "both.example", onlyRSA, "rsa", ""},
		{"RSA alone", "only-rsa.example", nil, "rsa", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.config == nil {
				c.config = &tls.Config{}
			}
			for addr, want := range map[string]string{generatedAddr: c.want, ownAddr: c.own} {
				if want == "" {
					want = c.want
				}
				config := c.config.Clone()
				config.ServerName = c.sni
				if got := served(t, addr, config); got != want {
					t.Errorf("SNI %q: got the certificate %q, want %q", c.sni, got, want)
				}
			}
		})
	}
}

// TestHandshakeOneCertificateThatDoesNotFit fails with what crypto/tls says of it, and is not
// given another host's.
func TestHandshakeOneCertificateThatDoesNotFit(t *testing.T) {
	var st Store
	ec := newAuthority(t, nil, "ca").certificate(t, ecdsaKey(t), "a.example")
	for _, certs := range [][]*tls.Certificate{{ec}, {ec, ec}} {
		st.Swap(NewSet([]Binding{{Host: "a.example", Certificates: certs}}, nil))
		_, _, err := dial(serve(t, &st), &tls.Config{
			ServerName: "a.example", MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		})
		if err == nil {
			t.Error("an RSA-only client got an ECDSA certificate")
		}
	}
}

// TestTrailingDot asks as no TLS client may: crypto/tls refuses such names before.
func TestTrailingDot(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	a, wild := ca.certificate(t, ecdsaKey(t), "a.example"), ca.certificate(t, ecdsaKey(t), "*.example")
	s := NewSet([]Binding{
		{Host: "a.example", Certificates: []*tls.Certificate{a}},
		{Host: "*.example", Certificates: []*tls.Certificate{wild}},
	}, nil)
	long := strings.Repeat("a", maxName-len(".example")+1) + ".example"
	for name, want := range map[string]*tls.Certificate{
		"a.example.": a, "A.EXAMPLE.": a, "b.example.": wild,
		"a.example..": nil, ".example": nil, ".": nil, "..": nil, "*.example": wild, "example.": nil,
		long: nil, long[1:]: wild,
	} {
		if got, reason := s.Certificate(&tls.ClientHelloInfo{ServerName: name}); got != want {
			t.Errorf("%.20q: got another certificate, or none: %s", name, reason)
		}
	}
}

// TestZeroStore serves before there is a Set.
func TestZeroStore(t *testing.T) {
	var st Store
	addr := serve(t, &st)
	if got := served(t, addr, &tls.Config{ServerName: "a.example"}); got != "fairlead: no certificates are loaded yet" {
		t.Errorf("got %q", got)
	}
	if st.Set() != nil || st.Set().Bindings() != nil {
		t.Error("the zero Store has a Set")
	}
	st.Swap(NewSet(nil, nil))
	if got := served(t, addr, &tls.Config{ServerName: "a.example"}); got != "fairlead: no TLS section for this host" {
		t.Errorf("got %q", got)
	}
}

// TestSwapUnderHandshakes: no handshake fails while certificates are replaced, each gets the
// old one or the new one, the new one after Swap, and open connections go on (T07, S15).
func TestSwapUnderHandshakes(t *testing.T) {
	ca := newAuthority(t, nil, "ca")
	const hosts, swaps = 20, 50
	set := func(generation int) *Set {
		var bindings []Binding
		cert := ca.certificate(t, ecdsaKey(t), fmt.Sprintf("generation %d", generation))
		for i := range hosts {
			bindings = append(bindings, Binding{Host: fmt.Sprintf("h%d.example", i), Certificates: []*tls.Certificate{cert}})
		}
		return NewSet(bindings, nil)
	}
	var st Store
	st.Swap(set(0))
	addr := serve(t, &st)
	old, _, err := dial(addr, &tls.Config{ServerName: "h0.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()

	var live, done atomic.Int64
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for i := range 2 {
		clients.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				before := live.Load()
				conn, leaf, err := dial(addr, &tls.Config{ServerName: fmt.Sprintf("h%d.example", n%hosts)})
				if err != nil {
					t.Errorf("handshake: %v", err)
					return
				}
				conn.Close()
				var got int64
				if _, err := fmt.Sscanf(leaf.Subject.CommonName, "generation %d", &got); err != nil || got < before {
					t.Errorf("got %q after generation %d was live", leaf.Subject.CommonName, before)
					return
				}
				done.Add(1)
			}
		})
	}
	for g := 1; g <= swaps; g++ {
		st.Swap(set(g))
		live.Store(int64(g))
		for n := done.Load(); done.Load() < n+2 && !t.Failed(); {
			if err := echo(old); err != nil { // also gives way to the clients
				t.Fatalf("the connection from before: %v", err)
			}
		}
	}
	close(stop)
	clients.Wait()
}

func echo(c net.Conn) error {
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	var b [1]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return err
	}
	if b[0] != 'x' {
		return errors.New("the echo differs")
	}
	return nil
}

// TestBadAmongGood: 50 hosts without a certificate do nothing to 500 others (C10, T06).
func TestBadAmongGood(t *testing.T) {
	cert := newAuthority(t, nil, "ca").certificate(t, ecdsaKey(t), "good")
	var bindings []Binding
	for i := range 550 {
		b := Binding{Host: fmt.Sprintf("h%d.example", i), Certificates: []*tls.Certificate{cert}}
		if i%11 == 0 {
			b.Certificates, b.Reason = nil, fmt.Sprintf("Secret shop/s%d not found", i)
		}
		bindings = append(bindings, b)
	}
	var st Store
	st.Swap(NewSet(bindings, nil))
	for i := range bindings {
		got, err := st.GetCertificate(&tls.ClientHelloInfo{ServerName: fmt.Sprintf("H%d.example", i)})
		if err != nil {
			t.Fatal(err)
		}
		want := "good"
		if i%11 == 0 {
			want = fmt.Sprintf("fairlead: Secret shop/s%d not found", i)
		}
		if got.Leaf.Subject.CommonName != want {
			t.Errorf("host %d: got %q, want %q", i, got.Leaf.Subject.CommonName, want)
		}
	}
}

// sized returns a Store with n hosts, a tenth of them wildcards, and names that are asked for.
func sized(t testing.TB, n int) (*Store, map[string]*tls.ClientHelloInfo) {
	cert := newAuthority(t, nil, "ca").certificate(t, ecdsaKey(t), "a.example")
	var bindings []Binding
	for i := range n {
		host := fmt.Sprintf("host%d.example", i)
		if i%10 == 0 {
			host = "*." + host
		}
		bindings = append(bindings, Binding{Host: host, Certificates: []*tls.Certificate{cert}})
	}
	bindings = append(bindings, Binding{Host: "bad.example", Reason: "Secret shop/bad not found"})
	st := &Store{}
	st.Swap(NewSet(bindings, nil))
	return st, map[string]*tls.ClientHelloInfo{
		"exact":    {ServerName: "host5.example"},
		"upper":    {ServerName: "HOST5.EXAMPLE"},
		"wildcard": {ServerName: "a.host0.example"},
		"unknown":  {ServerName: "www.unknown.example"},
		"reason":   {ServerName: "bad.example"},
		"none":     {},
	}
}

// TestLookupAllocates nothing, whatever is asked for and however many hosts there are.
func TestLookupAllocates(t *testing.T) {
	for _, hosts := range []int{10, 10_000} {
		st, hellos := sized(t, hosts)
		for name, hello := range hellos {
			n := testing.AllocsPerRun(100, func() {
				if _, err := st.GetCertificate(hello); err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("%s of %d hosts: %v allocations, want 0", name, hosts, n)
			}
		}
	}
}

func BenchmarkGetCertificate(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		st, hellos := sized(b, n)
		for _, name := range []string{"exact", "upper", "wildcard", "unknown", "reason"} {
			b.Run(fmt.Sprintf("%s/hosts=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := st.GetCertificate(hellos[name]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkNewSet(b *testing.B) {
	st, _ := sized(b, 10_000)
	bindings := st.Set().Bindings()
	for b.Loop() {
		NewSet(bindings, nil)
	}
}
