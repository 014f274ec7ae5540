package ingress

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// maxNamed is how many addresses a Problem names.
const maxNamed = 5

// gathering is the union of the endpoints of a Service port over its slices.
type gathering struct {
	ready       map[netip.AddrPort]struct{}
	terminating map[netip.AddrPort]struct{} // serving until they are gone
	notReady    int
	denied      map[string]error // by address
	types       map[discoveryv1.AddressType]struct{}
	ports       map[string]struct{} // names in slices that do not have ours
	appProtocol *string
}

// resolveSlices unites the endpoints of port over all slices of the Service. They belong
// together by the port's name: the number behind it may differ from slice to slice.
func resolveSlices(b *backend, port target) (upstream.Resolution, []finding) {
	g := gathering{appProtocol: port.AppProtocol}
	for _, slice := range b.slices {
		g.slice(slice, port, b.local)
	}
	r := upstream.Resolution{Protocol: b.key.Protocol.Or(protocol(g.appProtocol))}
	// As kube-proxy does it: endpoints that shut down but still serve are better than none.
	from := g.ready
	if len(from) == 0 {
		from = g.terminating
	}
	r.Addresses = addresses(from)

	service := b.key.Namespace + "/" + b.key.Service
	findings := g.findings(service)
	if len(r.Addresses) > 0 {
		return r, findings
	}
	switch {
	case g.notReady > 0:
		r.Reason = reasonNotReady
		findings = append(findings, found(NoReadyEndpoints, "port %s of Service %s has %d endpoints and none is ready", portName(port.ServicePort), service, g.notReady))
	case len(g.denied) > 0:
		r.Reason = reasonDenied
	default:
		r.Reason = reasonEmpty
		findings = append(findings, g.empty(b, port))
	}
	return r, findings
}

func (g *gathering) slice(s *discoveryv1.EndpointSlice, port target, local bool) {
	if s.AddressType != discoveryv1.AddressTypeIPv4 && s.AddressType != discoveryv1.AddressTypeIPv6 {
		put(&g.types, s.AddressType, struct{}{})
		return
	}
	number, ok := g.port(s, port)
	if !ok {
		return
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if len(e.Addresses) == 0 {
			continue
		}
		// The addresses of one endpoint are fungible and the API asks to use the first.
		addr, err := endpointAddress(e.Addresses[0], local)
		if err != nil {
			put(&g.denied, e.Addresses[0], err)
			continue
		}
		at := netip.AddrPortFrom(addr, number)
		switch c := &e.Conditions; {
		case c.Ready == nil || *c.Ready:
			put(&g.ready, at, struct{}{})
		case c.Terminating != nil && *c.Terminating && (c.Serving == nil || *c.Serving):
			put(&g.terminating, at, struct{}{})
		default:
			g.notReady++
		}
	}
}

// port returns the number of the Service port in one slice.
func (g *gathering) port(s *discoveryv1.EndpointSlice, port target) (uint16, bool) {
	if port.direct {
		return validPort(port.Port)
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.Protocol != nil && !isTCP(*p.Protocol) {
			continue
		}
		if name := deref(p.Name); name != port.Name {
			put(&g.ports, name, struct{}{})
			continue
		}
		if g.appProtocol == nil {
			g.appProtocol = p.AppProtocol
		}
		if p.Port == nil { // the slice does not restrict ports
			return validPort(port.number())
		}
		return validPort(*p.Port)
	}
	return 0, false
}

func validPort(n int32) (uint16, bool) { return uint16(n), 0 < n && n <= 65535 }

func (g *gathering) findings(service string) []finding {
	var findings []finding
	for _, t := range keysOf(g.types) {
		findings = append(findings, found(EndpointAddressType, "Service %s has an EndpointSlice with addressType %q, want IPv4 or IPv6: left out", service, string(t)))
	}
	if len(g.denied) > 0 {
		denied := keysOf(g.denied)
		more := ""
		if n := len(denied) - maxNamed; n > 0 {
			denied, more = denied[:maxNamed], fmt.Sprintf(" (and %d more)", n)
		}
		texts := make([]string, len(denied))
		for i, address := range denied {
			texts[i] = g.denied[address].Error()
		}
		findings = append(findings, found(EndpointAddressDenied, "Service %s: %s%s: left out", service, strings.Join(texts, ", "), more))
	}
	return findings
}

// empty says why there is not one endpoint.
func (g *gathering) empty(b *backend, port target) finding {
	service := b.key.Namespace + "/" + b.key.Service
	switch {
	case len(b.slices) == 0:
		return found(NoEndpoints, "Service %s has no EndpointSlices", service)
	case len(g.ports) > 0:
		return found(NoEndpoints, "port %s of Service %s: no EndpointSlice has a port named %q, they have %q", portName(port.ServicePort), service, port.Name, keysOf(g.ports))
	}
	return found(NoEndpoints, "port %s of Service %s has no endpoints in its EndpointSlices", portName(port.ServicePort), service)
}

func addresses(set map[netip.AddrPort]struct{}) []upstream.Address {
	if len(set) == 0 {
		return nil
	}
	list := make([]netip.AddrPort, 0, len(set))
	for at := range set {
		list = append(list, at)
	}
	slices.SortFunc(list, netip.AddrPort.Compare)
	result := make([]upstream.Address, len(list))
	for i, at := range list {
		result[i] = upstream.Address{Host: at.Addr().String(), Port: at.Port()}
	}
	return result
}

// put sets a key of a map that is made when it is needed.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[k] = v
}

func keysOf[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
