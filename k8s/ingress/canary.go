package ingress

import (
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// place is what a canary has in common with the rule of its host that it is an alternative for.
type place struct {
	path     string
	pathType router.PathType
}

// site is a place in a namespace: nobody may take part of another namespace's requests, or keep
// its canaries out.
type site struct {
	place
	namespace string
}

func placeOf(r *proxy.Rule) place { return place{r.Path, r.PathType} }
func siteOf(r *proxy.Rule) site   { return site{placeOf(r), r.Origin.Namespace} }

// joinCanaries returns the rules of one host, in order of precedence, with the canaries among
// members; the backends of these; and what has become of the others. A canary belongs to the
// first rule of its place, which is the one that is served, if that is of its namespace. What its
// annotations guard access by the rule must have as well, for the canary's guards are not asked.
func joinCanaries(members []member, rules []*proxy.Rule) ([]*proxy.Rule, []upstream.Key, []Problem) {
	var wanted map[site]*proxy.Rule
	owner := make(map[*proxy.Rule]*entry)
	var problems []Problem
	report := func(alternative *proxy.Rule, format string, args ...any) {
		e := owner[alternative]
		args = append([]any{shown(alternative.Host), alternative.Path, alternative.PathType}, args...)
		problems = append(problems, found(CanaryNotServed, "the canary for %s%s (%s) gets no requests: "+format, args...).on(e.object, ""))
	}
	for _, m := range members {
		for _, alternative := range m.alternatives {
			owner[alternative] = m.entry
			at := siteOf(alternative)
			if first := wanted[at]; first == nil {
				if wanted == nil {
					wanted = make(map[site]*proxy.Rule)
				}
				wanted[at] = alternative
			} else if first.Origin != alternative.Origin {
				report(alternative, "that of the older Ingress %s does", first.Origin)
			}
		}
	}
	if len(wanted) == 0 {
		return rules, nil, nil
	}
	all := make([]*proxy.Rule, len(rules))
	copy(all, rules)
	var keys []upstream.Key
	open := make(map[place]struct{}, len(wanted)) // no rule has it yet
	for at := range wanted {
		open[at.place] = struct{}{}
	}
	for i, rule := range rules {
		if _, first := open[placeOf(rule)]; !first {
			continue
		}
		delete(open, placeOf(rule))
		alternative := wanted[siteOf(rule)]
		if alternative == nil || rule.Answer == noRoute {
			continue
		}
		delete(wanted, siteOf(rule))
		if rule.Answer != (proxy.Answer{}) || alternative.Answer != (proxy.Answer{}) {
			continue // which was reported
		}
		if apart := policy.GuardsApart(alternative.Policies, rule.Policies, owner[alternative].ingress.Annotations); len(apart) > 0 {
			report(alternative, "it guards access (%s) otherwise than Ingress %s, whose guards count: give both the same, or the canary none", strings.Join(apart, ", "), rule.Origin)
			continue
		}
		with := *rule
		with.Canary = &proxy.Canary{
			Backend: alternative.Backend, Secure: alternative.Secure, Origin: alternative.Origin,
			Policy: alternative.Policies.Canary, Balance: alternative.Policies.Balance,
		}
		all[i] = &with
		keys = append(keys, alternative.Backend)
		if alternative.Secure != nil {
			keys = append(keys, *alternative.Secure)
		}
	}
	for _, alternative := range wanted {
		report(alternative, "no other Ingress of the namespace has the host %s with this path and path type", shown(alternative.Host))
	}
	return all, keys, problems
}

func shown(host string) string {
	if host == "" {
		return "*"
	}
	return host
}

// join counts, by +1 and -1, the hosts whose canaries lead to backends.
func (bs *backends) join(keys []upstream.Key, n int) {
	for _, k := range keys {
		if b := bs.byKey[k]; b != nil {
			b.joined += n
			bs.touched[b] = struct{}{}
		}
	}
}
