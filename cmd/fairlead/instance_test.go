package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/manifest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// A port of the instance is its own by every address of the machine where it listens on all.
func TestOwnAddresses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(explainObjects), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{
		manifests: dir, httpAddress: "127.0.0.1:0", adminAddress: "0.0.0.0:0", accessLog: "off", logLevel: "error", electionTTL: 15 * time.Second,
	}
	s, err := o.check()
	if err != nil {
		t.Fatal(err)
	}
	in, err := newInstance(s, zap.NewNop(), new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	in.localAddresses = func() []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")}
	}
	addresses := in.addresses()
	admin := netip.MustParseAddrPort(addresses["admin"].String()).Port()
	data := netip.MustParseAddrPort(addresses["http"].String()).Port()
	for _, tt := range []struct {
		host string
		port uint16
		want bool
	}{
		{"192.0.2.1", admin, true},
		{"::ffff:192.0.2.1", admin, true},
		{"192.0.2.2", admin, false},
		{"192.0.2.1", data, false},
		{"127.0.0.1", data, true},
		{"127.0.0.1", admin, true},
		{"localhost", admin, false},
	} {
		if got := in.isOwn(upstream.Address{Host: tt.host, Port: tt.port}); got != tt.want {
			t.Errorf("%s:%d is own: %v, want %v", tt.host, tt.port, got, tt.want)
		}
	}
	if err := in.close(); err != nil {
		t.Error(err)
	}
}

// The parts of a probe run side by side on one question: see what the race detector says.
func TestProbePartsShareNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(explainObjects), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	state, done := explain.Offline(m.Snapshot(), ingress.Options{}, nil)
	defer done()
	u, err := explain.ParseURL("http://a.example:1/")
	if err != nil {
		t.Fatal(err)
	}
	q := explain.Question{URL: u, Answer: &explain.Answer{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}
	e := explainWith(t.Context(), explain.New(state), q, true, false)
	if s := e.Step(explain.Listener); s.Reason != "FrontRefused" {
		t.Errorf("port 1 of this machine: %+v", s)
	}
}
