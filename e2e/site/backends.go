package site

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/echo"
)

// Backends are the echo backends at one address, each on a port of its own.
type Backends struct {
	address netip.Addr
	ca      *Authority

	mu       sync.Mutex
	at       map[BackendID]netip.AddrPort
	servers  []*http.Server
	refusals []*refusing
}

// NewBackends starts none yet. Those of Listen that speak TLS get certificates of ca; it may be nil when
// only Start is called.
func NewBackends(address netip.Addr, ca *Authority) *Backends {
	return &Backends{address: address, ca: ca, at: map[BackendID]netip.AddrPort{}}
}

// Listen implements Listener. A backend that was started stays until Close, also when no
// EndpointSlice names it any more: a Pod that is being deleted goes on for a while.
func (b *Backends) Listen(id BackendID) (netip.AddrPort, error) {
	return b.Start(id, func() (tls.Certificate, error) { return b.ca.Pair(id.Name) })
}

// Start is Listen for a backend whose certificate, if it speaks TLS, comes from elsewhere.
func (b *Backends) Start(id BackendID, pair func() (tls.Certificate, error)) (netip.AddrPort, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.at[id]; ok {
		return at, nil
	}
	if id.Refuses {
		r, err := newRefusing(b.address)
		if err != nil {
			return netip.AddrPort{}, err
		}
		b.refusals = append(b.refusals, r)
		b.at[id] = r.at
		return r.at, nil
	}
	server, err := b.newServer(id, pair)
	if err != nil {
		return netip.AddrPort{}, err
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(b.address, 0).String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	b.at[id] = at
	b.servers = append(b.servers, server)
	go func() {
		if server.TLSConfig != nil {
			_ = server.ServeTLS(l, "", "") // returns at Close
			return
		}
		_ = server.Serve(l) // likewise
	}()
	return at, nil
}

// newServer makes the server of a backend for the protocol that its Service announces.
func (b *Backends) newServer(id BackendID, certificate func() (tls.Certificate, error)) (*http.Server, error) {
	server := &http.Server{
		Handler:           echo.Backend{Name: id.Name, Port: id.Port},
		ReadHeaderTimeout: 10 * time.Second,
		Protocols:         new(http.Protocols),
	}
	switch id.Protocol {
	case "kubernetes.io/h2c":
		server.Protocols.SetUnencryptedHTTP2(true)
	case "https":
		pair, err := certificate()
		if err != nil {
			return nil, err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetHTTP2(true)
	case "", "http", "kubernetes.io/ws":
		server.Protocols.SetHTTP1(true)
	default:
		return nil, fmt.Errorf("backend %s: want appProtocol http, https, kubernetes.io/h2c or kubernetes.io/ws, got %q", id.Name, id.Protocol)
	}
	return server, nil
}

// Close ends all of them.
func (b *Backends) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, server := range b.servers {
		_ = server.Close() // they only serve tests
	}
	for _, r := range b.refusals {
		r.close()
	}
}
