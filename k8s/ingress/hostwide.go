package ingress

import (
	"fmt"
	"slices"

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
	h.Passthrough = passed(h, *first)
	for _, m := range members {
		switch asks := m.policies().Passthrough; {
		case len(m.part.rules) == 0:
		case m.entry == first.entry && h.Passthrough != nil && h.Passthrough.Refuse && len(m.policies().Refused) == 0:
			tell(m, "ssl-passthrough", found(RoutingUnsupported, "%s: connections to host %s are closed", whyNotPassed(h, m), h.Host))
		case asks && h.Passthrough == nil:
			tell(m, "ssl-passthrough", found(HostSettled, "TLS of host %s ends here: %s, which is older, does not ask to pass it on", h.Host, first.object))
		case !asks && h.Passthrough != nil:
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
func passed(h *proxy.HostRules, first member) *proxy.Passthrough {
	if !first.policies().Passthrough || h.Host == "" {
		return nil
	}
	root := slices.IndexFunc(h.Rules, isRoot)
	if root < 0 {
		root = 0
	}
	r := h.Rules[root]
	return &proxy.Passthrough{Rule: r, Refuse: !isRoot(r) || r.Policies != nil && r.Policies.ClientCert != nil}
}

// isRoot says that a rule is for the path that connections are passed on by.
func isRoot(r *proxy.Rule) bool { return r.Path == "/" && r.PathType != router.HostOnly }

func whyNotPassed(h *proxy.HostRules, m member) error {
	if !isRoot(h.Passthrough.Rule) {
		return fmt.Errorf("TLS is passed on to the backend of the path / and there is none")
	}
	return fmt.Errorf("another Ingress asks the clients of the host for certificates, which cannot be seen")
}
