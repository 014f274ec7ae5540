package policy

import (
	"net/http"
	"net/netip"

	"golang.org/x/net/http/httpguts"
)

// Trust says whose forwarding fields are believed, beside those that the command line names.
type Trust struct {
	// Proxies are the peers that are believed.
	Proxies []netip.Prefix
	// ForwardedFor is the field, in canonical form, in which they tell the client's address.
	// Empty means X-Forwarded-For.
	ForwardedFor string
	// AddressOnly: of Proxies nothing is believed but the client's address.
	AddressOnly bool
	// Replace: behind Proxies the X-Forwarded-For of backends is the client's address alone. What
	// came is in X-Original-Forwarded-For in any case.
	Replace bool
}

var (
	useForwarded = Key{
		Name: "use-forwarded-headers", GlobalOnly: true, Value: "true or false", Default: "false",
		Doc: "believes the X-Forwarded-* fields of the peers in proxy-real-ip-cidr",
	}
	realIPCIDR = Key{
		Name: "proxy-real-ip-cidr", GlobalOnly: true, Class: Tuning, Value: "addresses and CIDRs, separated by commas", Default: "private addresses",
		Doc: "the proxies in front of us that use-forwarded-headers believes, in all that they say; 0.0.0.0/0 believes anybody and must be written out. A list with a mistake, or of commas alone, believes nobody; an empty one is none",
	}
	realIP = Key{
		Name: "enable-real-ip", GlobalOnly: true, Value: "true or false", Default: "false",
		Doc: "believes the peers in proxy-real-ip-cidr what they say of the client's address, and nothing else of it; use-forwarded-headers is more",
	}
	fullForwarded = Key{
		Name: "compute-full-forwarded-for", GlobalOnly: true, Value: "true or false", Default: "false",
		Doc: "behind the peers in proxy-real-ip-cidr backends get X-Forwarded-For as it came, and the peer's address; else it is the client's address alone. What came is in X-Original-Forwarded-For",
	}
	forwardedFor = Key{
		Name: "forwarded-for-header", GlobalOnly: true, Value: "field name", Default: "X-Forwarded-For",
		Doc: "the field in which trusted proxies tell the client's address",
	}
)

var trust = part{
	name: "trusted proxies",
	keys: []Key{useForwarded, realIP, realIPCIDR, forwardedFor, fullForwarded},
	read: func(r *reader, g *Global) {
		all, address, full := r.boolean(useForwarded, false), r.boolean(realIP, false), r.boolean(fullForwarded, false)
		from, good := r.prefixes(realIPCIDR)
		_, said := r.text(realIPCIDR)
		if said && good && len(from) == 0 {
			r.bad(realIPCIDR, "want addresses or CIDRs, got none")
			good = false
		}
		field := r.fieldName(forwardedFor)
		if !all && !address || !good {
			return // a list with a mistake is believed for nobody
		}
		g.Trust.AddressOnly, g.Trust.Replace = !all, !full
		if field != "X-Forwarded-For" {
			g.Trust.ForwardedFor = field
		}
		if !said {
			from = privateAddresses()
		}
		g.Trust.Proxies = from
	},
}

// privateAddresses are where the load balancers of a cluster without a list are looked for:
// clients of the Internet have none of them.
func privateAddresses() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"),
	}
}

// fieldName reads the name of a header field; "" when there is none that is one.
func (r *reader) fieldName(k Key) string {
	v, ok := r.text(k)
	if !ok {
		return ""
	}
	if !httpguts.ValidHeaderFieldName(v) {
		r.bad(k, "want the name of a header field, got %.80q", v)
		return ""
	}
	return http.CanonicalHeaderKey(v)
}
