package upstream

import (
	"fmt"
	"net/netip"
)

// guard decides which addresses a connection may be made to. Whoever may write a Service or an
// EndpointSlice can name any address; without a guard the proxy would reach for them what is
// only open to itself: its own admin port, the node, the credentials that a cloud serves at a
// link-local address. It is asked for the address that the socket is about to connect
// to, after all lookups, so a name cannot change its meaning in between.
type guard struct {
	allowLocal bool
	own        func() []netip.AddrPort // may be nil
}

// deniedError is a refusal of the guard.
type deniedError struct {
	address netip.AddrPort
	why     string
}

func (e *deniedError) Error() string { return fmt.Sprintf("no connection to %s: %s", e.address, e.why) }

// metadataIPv6 is where AWS serves a machine's credentials, besides 169.254.169.254.
var metadataIPv6 = netip.MustParseAddr("fd00:ec2::254")

var (
	thisNetwork  = netip.MustParsePrefix("0.0.0.0/8") // Linux takes 0.0.0.0 for 127.0.0.1
	broadcast    = netip.MustParseAddr("255.255.255.255")
	compatible   = netip.MustParsePrefix("::/96")           // IPv4-compatible, RFC 4291 2.5.5.1
	nat64        = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052 2.1
	siteLocal    = netip.MustParsePrefix("fec0::/10")       // deprecated by RFC 3879
	translatable = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765 2.1
)

// check returns a *deniedError when no connection may be made to a. literal says that the
// endpoint was given as an IP address, not as a name.
func (g *guard) check(a netip.AddrPort, literal bool) error {
	a = plain(a)
	if why := g.refusal(a.Addr(), literal); why != "" {
		return &deniedError{a, why}
	}
	if g.own != nil {
		for _, own := range g.own() {
			if own = plain(own); own == a || own.Port() == a.Port() && own.Addr().IsUnspecified() && a.Addr().IsLoopback() {
				return &deniedError{a, "it is a listener of this process"}
			}
		}
	}
	return nil
}

// checkConnected is check for what only a connection tells: it came from local and leads to
// remote. The kernel gives a connection to an address of the same machine that address on
// both ends, whichever interface or route makes it local.
func (g *guard) checkConnected(local, remote netip.AddrPort) error {
	local, remote = plain(local), plain(remote)
	if g.own == nil || local.Addr() != remote.Addr() {
		return nil
	}
	for _, own := range g.own() {
		if own.Addr().IsUnspecified() && own.Port() == remote.Port() {
			return &deniedError{remote, "it is a listener of this process"}
		}
	}
	return nil
}

// refusal returns why no endpoint may have the address ip, or "".
func (g *guard) refusal(ip netip.Addr, literal bool) string {
	switch {
	case !ip.IsValid():
		return "it is no IP address"
	case ip.IsUnspecified(), thisNetwork.Contains(ip):
		return "the address is unspecified"
	case ip.IsMulticast(), ip == broadcast:
		return "the address is multicast"
	case ip.IsLinkLocalUnicast(), siteLocal.Contains(ip):
		return "the address is link-local"
	case ip == metadataIPv6:
		return "the address is that of a cloud's metadata"
	case ip.IsLoopback():
		if g.allowLocal && literal {
			return ""
		}
		return "the address is loopback"
	case compatible.Contains(ip), nat64.Contains(ip), translatable.Contains(ip):
		b := ip.As16()
		return g.refusal(netip.AddrFrom4([4]byte(b[12:])), literal)
	}
	return ""
}

// plain returns a without a zone, and an IPv4-mapped IPv6 address as IPv4.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
