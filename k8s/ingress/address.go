package ingress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// metadata are addresses outside the link-local ranges at which clouds hand out credentials.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS over IPv6
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
}

// hostNames are names that a hosts file usually gives to the loopback interface, beside
// "localhost" and what ends in it.
var hostNames = []string{
	"localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6",
	"ip6-localhost", "ip6-loopback",
}

// endpointAddress parses the address of an endpoint and refuses what a proxy must not be
// talked into reaching: this host itself, its link, many hosts at once, and the metadata
// service of a cloud. The loopback interface is allowed when local is set.
func endpointAddress(text string, local bool) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", text)
	}
	addr = addr.Unmap()
	if why := denied(addr); why != "" && !(local && addr.IsLoopback()) {
		return netip.Addr{}, fmt.Errorf("%s is %s", text, why)
	}
	return addr, nil
}

// denied says why addr is never proxied to, or "".
func denied(addr netip.Addr) string {
	addr = addr.Unmap()
	switch {
	case addr.IsLoopback():
		return "a loopback address"
	case addr.IsUnspecified(), addr.Is4() && addr.As4()[0] == 0:
		return "an unspecified address"
	case addr.IsLinkLocalUnicast():
		return "a link-local address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	case addr.Zone() != "":
		return "an address with a zone"
	}
	if slices.Contains(metadata, addr) {
		return "the metadata service of a cloud"
	}
	return ""
}

// deniedName says why a DNS name in lower case, without trailing dot, is never proxied to,
// or "". What it resolves to is a matter of whoever connects.
func deniedName(name string) string {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil {
		return denied(addr)
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case last == "localhost", slices.Contains(hostNames, name):
		return "a name of this host"
	case name == "metadata.google.internal":
		return "the metadata service of a cloud"
	case last != "" && isNumber(last):
		// "127.1" and "0x7f.1" are no names: some resolvers take them as addresses.
		return "an address in disguise"
	}
	return ""
}

// isNumber reports whether the last label of a name makes the name an IPv4 address for
// those who read it as inet_aton does: decimal or octal digits, or 0x and hex digits.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}
