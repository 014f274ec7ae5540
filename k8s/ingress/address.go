package ingress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// hostNames are names that a hosts file usually gives to the loopback interface, beside
// "localhost" and what ends in it.
var hostNames = []string{
	"localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6",
	"ip6-localhost", "ip6-loopback",
}

// endpointAddress parses the address of an endpoint and refuses what upstream will not connect
// to. The loopback interface is allowed when local is set.
func endpointAddress(text string, local bool) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", text)
	}
	if addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%s has a zone", text)
	}
	addr = addr.Unmap()
	if why := upstream.Denied(addr); why != "" && !(local && addr.IsLoopback()) {
		return netip.Addr{}, fmt.Errorf("%s is %s", text, why)
	}
	return addr, nil
}

// deniedName says why a DNS name in lower case, without trailing dot, is never proxied to,
// or "". What it resolves to is a matter of whoever connects.
func deniedName(name string) string {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")); err == nil {
		return upstream.Denied(addr)
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
