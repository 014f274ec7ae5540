package ingress

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func pairFor(names ...string) *keyPair {
	k := &keyPair{names: certificateNames(&tls.Certificate{Leaf: &x509.Certificate{DNSNames: names}})}
	k.sorted = slices.Sorted(slices.Values(k.names))
	return k
}

// TestCovers: the names of certificates as they come, and the hosts that they are for.
func TestCovers(t *testing.T) {
	pair := pairFor("Shop.Example", "*.example", "deep.a.example.", "*.b.example", "*", "*.", "*.*.c.example", "d*.example2", "xn--bcher-kva.example3", "192.0.2.1")
	for host, want := range map[string]bool{
		"shop.example": true, "any.example": true, "example": false, "deep.a.example": true, "other.a.example": false,
		"a.b.example": true, "x.a.b.example": false, "b.example": true, ".example": false, "": false,
		"*.example": true, "*.b.example": true, "*.a.example": false, "x.y.c.example": false, "*.c.example": false,
		"dd.example2": false, "xn--bcher-kva.example3": true, "com": false, "*.com": false,
	} {
		if got := pair.covers(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
	if none := pairFor(); none.covers("a.example") || none.covers("") {
		t.Error("a certificate without names is for something")
	}
}

// BenchmarkCovers is one host of as many as a Secret has room for names of: looking at each of them
// took the controller 3 s for each change of an Ingress with as many hosts.
func BenchmarkCovers(b *testing.B) {
	names := make([]string, 20_000)
	for i := range names {
		names[i] = fmt.Sprintf("h%06d.tenant.example", i)
	}
	pair := pairFor(names...)
	host := strings.Clone(names[len(names)/2])
	for b.Loop() {
		if !pair.covers(host) || pair.covers("x.other.example") {
			b.Fatal("not the hosts of the certificate")
		}
	}
}
