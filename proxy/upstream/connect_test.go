package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// TestConnectBalances: connections for bytes go to all endpoints, and past those that take none.
func TestConnectBalances(t *testing.T) {
	echo := func(c *net.TCPConn) { _, _ = io.Copy(c, c) }
	one, two := start(t, &proxytest.Backend{Raw: echo}), start(t, &proxytest.Backend{Raw: echo})
	p := newTestPool(t, Options{}, HTTPS, one.Addr(), two.Addr(), proxytest.Refused(t))
	const n = 40
	var ends []func(int64, error)
	for range n {
		var a Attempts
		c, end, err := p.Connect(t.Context(), Pick{}, &a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ends = append(ends, end)
	}
	if one.Accepted() < n/4 || two.Accepted() < n/4 {
		t.Errorf("%d and %d connections, want about the same", one.Accepted(), two.Accepted())
	}
	inFlight := int64(0)
	for _, e := range p.Endpoints() {
		inFlight += e.InFlight()
		if e.InFlight() != e.Connections() {
			t.Errorf("%v: %d in flight over %d connections", e.Address(), e.InFlight(), e.Connections())
		}
	}
	if inFlight != n {
		t.Errorf("%d in flight, want %d", inFlight, n)
	}
	for _, end := range ends {
		end(1, nil)
	}
	for _, e := range p.Endpoints() {
		if e.InFlight() != 0 || e.Connections() != 0 {
			t.Errorf("%v: %d in flight over %d connections in the end", e.Address(), e.InFlight(), e.Connections())
		}
	}
}

// TestConnectFails tells why, as Do does, and leaves nothing in flight.
func TestConnectFails(t *testing.T) {
	var a Attempts
	p := newTestPool(t, Options{}, HTTP)
	_, _, err := p.Connect(t.Context(), Pick{}, &a)
	wantReason(t, err, NoReadyEndpoints, 503)
	if a.Len() != 0 {
		t.Errorf("%d attempts without an endpoint", a.Len())
	}
	p = newTestPool(t, Options{}, HTTP, proxytest.Refused(t), proxytest.Refused(t))
	_, _, err = p.Connect(t.Context(), Pick{}, &a)
	wantReason(t, err, ConnectRefused, 502)
	if a.Len() != 2 {
		t.Errorf("%d attempts, want one for each endpoint", a.Len())
	}
	for _, e := range p.Endpoints() {
		if all, failed := e.Attempts(); e.InFlight() != 0 || all != 1 || failed != 1 {
			t.Errorf("%v: %d in flight, %d attempts, %d failed", e.Address(), e.InFlight(), all, failed)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p = newTestPool(t, Options{}, HTTP, blackhole(t))
	if _, _, err = p.Connect(ctx, Pick{}, &a); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after the end of the context: %v", err)
	}
	if _, failed := p.Endpoints()[0].Attempts(); failed != 0 {
		t.Error("the endpoint is blamed for a client that left")
	}
}
