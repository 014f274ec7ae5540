package certs

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Certificates are replaced, 1,000 at a time, while clients shake hands: no handshake fails, and
// one that begins after a swap gets the new certificate.
func TestRotationDuringHandshakes(t *testing.T) {
	const hosts, swaps, clients = 1000, 20, 4
	ca := newAuthority(t, nil, "ca")
	pairs := [2]*tls.Certificate{ca.certificate(t, ecdsaKey(t), "old.example"), ca.certificate(t, ecdsaKey(t), "new.example")}
	set := func(generation int) *Set {
		bindings := make([]Binding, hosts)
		for i := range bindings {
			bindings[i] = Binding{Host: fmt.Sprintf("h%d.example", i), Certificates: []*tls.Certificate{pairs[generation%2]}}
		}
		return NewSet(bindings, nil)
	}
	var store Store
	store.Swap(set(0))
	server := &tls.Config{GetCertificate: store.GetCertificate, MinVersion: tls.VersionTLS12}
	shake := func(host string) (string, error) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		done := make(chan error, 1)
		go func() { done <- tls.Server(a, server).HandshakeContext(t.Context()) }()
		c := tls.Client(b, &tls.Config{ServerName: host, InsecureSkipVerify: true})
		if err := c.HandshakeContext(t.Context()); err != nil {
			return "", err
		}
		name := c.ConnectionState().PeerCertificates[0].DNSNames[0]
		go func() { _, _ = c.Read(make([]byte, 1)) }() // session tickets
		return name, <-done
	}
	var stop atomic.Bool
	var handshakes atomic.Int64
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := n; !stop.Load(); i += clients {
				if _, err := shake(fmt.Sprintf("h%d.example", i%hosts)); err != nil {
					t.Errorf("handshake: %v", err)
					return
				}
				handshakes.Add(1)
			}
		})
	}
	for generation := 1; generation <= swaps; generation++ {
		store.Swap(set(generation))
		want := pairs[generation%2].Leaf.DNSNames[0]
		if got, err := shake("h7.example"); err != nil || got != want {
			t.Errorf("after swap %d: %q, %v, want %q", generation, got, err, want)
		}
	}
	stop.Store(true)
	wg.Wait()
	if handshakes.Load() == 0 {
		t.Error("no handshake happened meanwhile")
	}
}
