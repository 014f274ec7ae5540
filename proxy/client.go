package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// peerAddr is the address at the other end of r's connection; the zero Addr when it is not
// an IP connection.
func peerAddr(r *http.Request) netip.Addr {
	if c, ok := r.Context().(interface{ Peer() netip.Addr }); ok {
		return c.Peer() // of package http1
	}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap().WithZone("") // no prefix has a zoned address in it
	}
	return netip.Addr{}
}

// addrOf is the IP address of a; the zero Addr when it has none.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// trust is whose forwarding fields a table believes.
type trust struct {
	proxy *Proxy // has those of the command line
	more  []netip.Prefix
	// forwardedFor is the field with the client's address.
	forwardedFor string
	// addressOnly and replace are of more, as in policy.Trust.
	addressOnly, replace bool
	balanced             bool // connections begin with PROXY headers
}

// securePort says that the client has connected to port 443 of a load balancer, by its PROXY header: it
// speaks TLS, and the balancer ends it.
func securePort(r *http.Request) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(*toldAddr)
	return ok && a.Port == 443
}

// trustOf is what p and a Config believe together.
func (p *Proxy) trustOf(t policy.Trust) *trust {
	made := &trust{proxy: p, more: t.Proxies, forwardedFor: t.ForwardedFor, addressOnly: t.AddressOnly, replace: t.Replace}
	if made.forwardedFor == "" {
		made.forwardedFor = forwardedForField
	}
	return made
}

const forwardedForField = "X-Forwarded-For"

// believes says whether the forwarding fields of addr are believed.
func (t *trust) believes(addr netip.Addr) bool {
	return contains(t.proxy.TrustedProxies, addr) || !t.addressOnly && contains(t.more, addr)
}

// knowsClient says whether addr is believed who the client is.
func (t *trust) knowsClient(addr netip.Addr) bool {
	return contains(t.proxy.TrustedProxies, addr) || contains(t.more, addr)
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// clientIP walks X-Forwarded-For from the right, where the nearest proxy wrote, to the first
// address that is not a trusted proxy: what stands left of it anybody may have made up. An
// entry that is no address ends the walk at the one before it. Call it for peers that know the client.
func (t *trust) clientIP(peer netip.Addr, forwardedFor []string) netip.Addr {
	client := peer
	for i := len(forwardedFor) - 1; i >= 0; i-- {
		line := forwardedFor[i]
		for line != "" {
			var entry string
			if comma := strings.LastIndexByte(line, ','); comma >= 0 {
				line, entry = line[:comma], line[comma+1:]
			} else {
				line, entry = "", line
			}
			addr, ok := parseForwardedAddr(strings.Trim(entry, " \t"))
			if !ok {
				return client
			}
			client = addr
			if !t.knowsClient(addr) {
				return client
			}
		}
	}
	return client
}

// parseForwardedAddr reads an entry of X-Forwarded-For: an address, or one with a port as
// some load balancers write it.
func parseForwardedAddr(s string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		if addr, err := netip.ParseAddr(s[1 : len(s)-1]); err == nil {
			return addr.Unmap().WithZone(""), true
		}
	}
	return netip.Addr{}, false
}
