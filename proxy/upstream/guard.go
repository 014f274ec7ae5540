package upstream

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
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

func (e *deniedError) Error() string {
	return fmt.Sprintf("no connection to %s: it is %s", e.address, e.why)
}

// IsDenied reports whether err is a refusal to connect to an address that no endpoint may have.
func IsDenied(err error) bool {
	var denied *deniedError
	return errors.As(err, &denied)
}

// metadata are addresses outside the link-local ranges at which clouds hand out credentials.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS over IPv6
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud over IPv6
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
}

var (
	thisNetwork  = netip.MustParsePrefix("0.0.0.0/8") // Linux takes 0.0.0.0 for 127.0.0.1
	broadcast    = netip.MustParseAddr("255.255.255.255")
	compatible   = netip.MustParsePrefix("::/96")           // IPv4-compatible, RFC 4291 2.5.5.1
	nat64        = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052 2.1
	siteLocal    = netip.MustParsePrefix("fec0::/10")       // deprecated by RFC 3879
	sixToFour    = netip.MustParsePrefix("2002::/16")       // RFC 3056 2
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
				return &deniedError{a, "a listener of this process"}
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
			return &deniedError{remote, "a listener of this process"}
		}
	}
	return nil
}

// refusal says what the address ip is that no endpoint may have, or "".
func (g *guard) refusal(ip netip.Addr, literal bool) string {
	return denied(ip, g.allowLocal && literal)
}

// Denied says what the address ip is, if no endpoint may ever have it, wherever it comes from:
// "a loopback address", say. It returns "" for an address that is allowed.
func Denied(ip netip.Addr) string { return denied(ip, false) }

func denied(ip netip.Addr, loopback bool) string {
	ip = ip.Unmap().WithZone("")
	switch {
	case !ip.IsValid():
		return "no IP address"
	case ip.IsLoopback():
		if loopback {
			return ""
		}
		return "a loopback address"
	case ip.IsUnspecified(), thisNetwork.Contains(ip):
		return "an unspecified address"
	case ip == broadcast:
		return "the broadcast address"
	case ip.IsMulticast():
		return "a multicast address"
	case ip.IsLinkLocalUnicast(), siteLocal.Contains(ip):
		return "a link-local address"
	case slices.Contains(metadata, ip):
		return "the metadata service of a cloud"
	case sixToFour.Contains(ip):
		b := ip.As16()
		return denied(netip.AddrFrom4([4]byte(b[2:6])), loopback)
	case compatible.Contains(ip), nat64.Contains(ip), translatable.Contains(ip):
		b := ip.As16()
		return denied(netip.AddrFrom4([4]byte(b[12:])), loopback)
	}
	return ""
}

// plain returns a without a zone, and an IPv4-mapped IPv6 address as IPv4.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
