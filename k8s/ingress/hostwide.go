package ingress

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// hostWide fills in what holds for a host as a whole, since all of its rules share their
// connections, and tells the Ingresses that it is not as they have it. The first Ingress that asks
// decides, but for passing TLS on: there the first of the host does, as the others' rules would
// not be asked at all.
func hostWide(h *proxy.HostRules, members []member) []Problem {
	var problems []Problem
	tell := func(m member, key string, f finding) {
		problems = append(problems, f.on(m.object, m.annotationField(key)))
	}
	var first *member
	var ciphers, demand *member
	for i := range members {
		m := &members[i]
		set := m.policies()
		if len(m.part.rules) == 0 {
			continue
		}
		if first == nil {
			first = m
		}
		if set.Ciphers != nil {
			switch {
			case ciphers == nil:
				ciphers, h.Ciphers = m, set.Ciphers
			case !slices.Equal(set.Ciphers, h.Ciphers):
				tell(*m, "ssl-ciphers", found(HostSettled, "the ciphers of host %s are those of %s, which is older", h.Host, ciphers.object))
			}
		}
		switch cert := set.ClientCert; {
		case cert != nil && demand == nil:
			demand = m
		case cert != nil && cert.Identity() != demand.policies().ClientCert.Identity():
			tell(*m, "auth-tls-secret", found(HostSettled, "host %s asks clients for the certificates that %s says, which is older", h.Host, demand.object))
		}
	}
	if demand != nil && demand.policies().ClientCert.Refuse {
		for _, m := range members {
			if m.entry != demand.entry && len(m.part.rules) > 0 {
				problems = append(problems, found(HostClosed,
					"host %s answers 503, also to the rules of this Ingress: what %s asks of client certificates cannot be honoured", h.Host, demand.object).on(m.object, ""))
			}
		}
	}
	if first == nil {
		return problems
	}
	return append(problems, passOn(h, first, members)...)
}

// passOn fills in where the connections of the host go by its first Ingress, and tells the Ingresses
// what is not as they have it.
func passOn(h *proxy.HostRules, first *member, members []member) []Problem {
	to, closed := passed(h, first, members)
	h.Passthrough = to
	var problems []Problem
	for _, m := range members {
		field := m.annotationField("ssl-passthrough")
		switch asks := m.policies().Passthrough; {
		case len(m.part.rules) == 0:
		case m.entry == first.entry && closed != nil:
			problems = append(problems, found(RoutingUnsupported, "%w: TLS connections to host %s are closed", closed, h.Host).on(m.object, field))
		case m.entry == first.entry:
		case to != nil && to.Refuse:
			problems = append(problems, found(HostSettled,
				"TLS connections to host %s are closed: %s, which is older, asks to pass them on, and that cannot be done", h.Host, first.object).on(m.object, ""))
		case asks && to == nil:
			problems = append(problems, found(HostSettled, "TLS of host %s ends here: %s, which is older, does not ask to pass it on", h.Host, first.object).on(m.object, field))
		case !asks && to != nil:
			problems = append(problems, found(HostSettled,
				"TLS connections to host %s are passed on as %s says, which is older: over them nothing of this Ingress is served", h.Host, first.object).on(m.object, ""))
		}
	}
	return problems
}

// policies are those of the Ingress's rules of the host, as far as they are of the host as a
// whole: all of them have the same.
func (m *member) policies() *policy.Set {
	for _, r := range m.part.rules {
		if r.Policies != nil {
			return r.Policies
		}
	}
	return &policy.Set{}
}

// passed returns where the connections of the host go by its first Ingress, nil if TLS ends here.
// The backend is that of the Ingress's own path /: nobody else's is to get connections that his
// guards are not asked of. The error says why they are closed, if nothing else has said it.
func passed(h *proxy.HostRules, first *member, members []member) (*proxy.Passthrough, error) {
	set := first.policies()
	if !set.Passthrough || h.Host == "" {
		return nil, nil
	}
	var to *proxy.Rule
	for _, r := range h.Rules {
		if r.Origin == first.origin && (to == nil || !isRoot(to) && isRoot(r)) {
			to = r
		}
	}
	refused := len(set.Refused) > 0 || set.Unroutable // which was reported
	var closed error
	switch {
	case refused:
	case !isRoot(to):
		closed = errors.New("TLS is passed on to the backend of the Ingress's own path / and there is none")
	default:
		closed = bypassed(members, to)
	}
	return &proxy.Passthrough{Rule: to, Refuse: refused || closed != nil}, closed
}

// bypassed says which rule of the host has guards that connections would get by if they went to
// the backend of to; nil if none has. Any path of the host can be asked for over them.
func bypassed(members []member, to *proxy.Rule) error {
	for _, m := range members {
		for _, r := range m.part.rules { // as they were before guardHost, for whoever asks is named
			by := policy.Unasked(r.Policies)
			if r.Policies != nil && len(by) == 0 {
				by = r.Policies.Refused
			}
			if len(by) > 0 {
				return fmt.Errorf("Ingress %s guards access to %s by what cannot be asked of connections that are not decrypted (%s)", r.Origin, r.Path, strings.Join(by, ", "))
			}
			if !policy.SameAddresses(to.Policies, r.Policies) {
				return fmt.Errorf("Ingress %s has another list of addresses for %s than there is for /", r.Origin, r.Path)
			}
		}
	}
	return nil
}

// isRoot says that a rule is for the path that connections are passed on by.
func isRoot(r *proxy.Rule) bool { return r.Path == "/" && r.PathType != router.HostOnly }
