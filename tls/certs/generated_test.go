package certs

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

func TestCommonName(t *testing.T) {
	for _, c := range []struct{ reason, want string }{
		{"no TLS section for this host", "fairlead: no TLS section for this host"},
		{"", "fairlead: "},
		{strings.Repeat("a", 54), "fairlead: " + strings.Repeat("a", 54)},
		{strings.Repeat("a", 30) + strings.Repeat("b", 30), "fairlead: " + strings.Repeat("a", 30) + strings.Repeat("b", 22) + ".."},
		{
			"Secret a-rather-long-namespace/and-a-long-name-tls is of type Opaque",
			"fairlead: Secret a-rather-long-namespace/and-a-long-name-tls i..",
		},
		{"tls.crt: line\nbreak\x00", "fairlead: tls.crt: line break "},
		{"bad \xff bytes", "fairlead: bad ? bytes"},
		{strings.Repeat("ä", 40), "fairlead: " + strings.Repeat("ä", 26) + ".."},
		{"x" + strings.Repeat("€", 40), "fairlead: x" + strings.Repeat("€", 17) + ".."},
	} {
		got := commonName(c.reason)
		if got != c.want {
			t.Errorf("%q:\ngot  %q\nwant %q", c.reason, got, c.want)
		}
		if len(got) > maxCommonName || !utf8.ValidString(got) {
			t.Errorf("%q has %d bytes, or is not UTF-8", got, len(got))
		}
	}
}

func FuzzCommonName(f *testing.F) {
	f.Add("Secret shop/web-tls not found")
	f.Add(strings.Repeat("€", 40))
	f.Add(strings.Repeat("\xff\x00", 40))
	f.Fuzz(func(t *testing.T, reason string) {
		got := commonName(reason)
		if len(got) > maxCommonName || !utf8.ValidString(got) || !strings.HasPrefix(got, namePrefix) {
			t.Errorf("%q gives %q", reason, got)
		}
	})
}

// TestGeneratedOnce: one key, and one certificate for each reason, also for many clients at
// the same time.
func TestGeneratedOnce(t *testing.T) {
	var g generated
	var mu sync.Mutex
	seen := make(map[string]*tls.Certificate)
	var clients sync.WaitGroup
	for i := range 40 {
		clients.Go(func() {
			reason := fmt.Sprintf("reason %d", i%4)
			cert, err := g.certificate(reason)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if other := seen[reason]; other != nil && other != cert {
				t.Errorf("two certificates for %q", reason)
			}
			seen[reason] = cert
		})
	}
	clients.Wait()
	for reason, cert := range seen {
		if cert.PrivateKey != seen["reason 0"].PrivateKey {
			t.Errorf("%q has a key of its own", reason)
		}
	}
}

// TestGeneratedBound: what is kept does not grow with what is asked for.
func TestGeneratedBound(t *testing.T) {
	var st Store
	var bindings []Binding
	for i := range 2 * maxGenerated {
		bindings = append(bindings, Binding{Host: fmt.Sprintf("h%d.example", i), Reason: fmt.Sprintf("reason %d", i)})
	}
	st.Swap(NewSet(bindings, nil))
	ask := func(name, want string) {
		t.Helper()
		cert, err := st.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		if got := cert.Leaf.Subject.CommonName; got != namePrefix+want {
			t.Fatalf("%s: got %q, want %q", name, got, want)
		}
	}
	for i := range 1000 {
		ask(fmt.Sprintf("random-%d.test", i), reasonUnknown)
	}
	if n := len(*st.generated.byReason.Load()); n != 1 {
		t.Errorf("%d certificates for unknown names, want 1", n)
	}
	for i := range bindings {
		ask(bindings[i].Host, bindings[i].Reason)
		ask(bindings[i].Host, bindings[i].Reason)
	}
	if n := len(*st.generated.byReason.Load()); n > maxGenerated {
		t.Errorf("%d certificates are kept, want at most %d", n, maxGenerated)
	}
}

// TestGeneratedVouchesForNobody: a client that was told to trust it still refuses it.
func TestGeneratedVouchesForNobody(t *testing.T) {
	var g generated
	cert, err := g.certificate(reasonUnknown)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.Leaf.VerifyHostname("a.example"); err == nil {
		t.Error("the certificate is valid for a host")
	}
	if cert.Leaf.IsCA {
		t.Error("the certificate is an authority")
	}
}
