//go:build unix

package proxytest

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// A port that was closed instead was now and then given to the next socket.
func TestRefused(t *testing.T) {
	seen := map[netip.AddrPort]bool{}
	for range 500 {
		address := Refused(t)
		if seen[address] {
			t.Fatalf("%s was given twice", address)
		}
		seen[address] = true
		if _, err := net.Dial("tcp", address.String()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("want it refused, got %v", err)
		}
	}
	for range 500 {
		if b := Start(t, &Backend{}); seen[b.Addr()] {
			t.Fatalf("%s was given to a listener", b.Addr())
		}
	}
	address := Refused(t)
	if b := Start(t, &Backend{Address: address.String()}); b.Addr() != address {
		t.Errorf("want a backend at %s, got %s", address, b.Addr())
	}
}
