package ingress

import (
	"reflect"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// place is what a canary has in common with the rule that it is an alternative for.
type place struct {
	host, path string
	pathType   router.PathType
}

// site is a place in a namespace: nobody may take part of another namespace's requests, or keep
// its canaries out.
type site struct {
	place
	namespace string
}

func placeOf(r *proxy.Rule) place { return place{r.Host, r.Path, r.PathType} }
func siteOf(r *proxy.Rule) site   { return site{placeOf(r), r.Origin.Namespace} }

// canaries is the canary Ingresses joined to the rules of others.
type canaries struct {
	// joined has the rule with its canary for each that has one, to give the same pointer
	// for the same pair.
	joined   map[*proxy.Rule]*proxy.Rule
	keys     map[upstream.Key]struct{} // of the canaries that are joined
	problems []Problem
}

// join returns rules, in order of precedence, with the canaries among entries, and what has
// become of those. It is a function of its arguments: last only saves work. A canary belongs to
// the first rule of its place, which is the one that is served, if that is of its namespace.
// What its annotations guard access by the rule must have as well, for the canary's guards are not
// asked.
func join(entries []*entry, rules []*proxy.Rule, last canaries) ([]*proxy.Rule, canaries) {
	wanted := make(map[site]*proxy.Rule)
	owner := make(map[*proxy.Rule]*entry)
	var c canaries
	report := func(alternative *proxy.Rule, format string, args ...any) {
		e := owner[alternative]
		args = append([]any{shown(alternative.Host), alternative.Path, alternative.PathType}, args...)
		c.problems = append(c.problems, found(CanaryNotServed, "the canary for %s%s (%s) gets no requests: "+format, args...).on(e.object, ""))
	}
	for _, e := range entries {
		for _, alternative := range e.alternatives {
			owner[alternative] = e
			at := siteOf(alternative)
			if first := wanted[at]; first == nil {
				wanted[at] = alternative
			} else if first.Origin != alternative.Origin {
				report(alternative, "that of the older Ingress %s does", first.Origin)
			}
		}
	}
	if len(wanted) == 0 {
		return rules, canaries{}
	}
	c.joined, c.keys = make(map[*proxy.Rule]*proxy.Rule), make(map[upstream.Key]struct{})
	all := make([]*proxy.Rule, len(rules))
	copy(all, rules)
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
		canary := &proxy.Canary{
			Backend: alternative.Backend, Secure: alternative.Secure, Origin: alternative.Origin,
			Policy: alternative.Policies.Canary, Balance: alternative.Policies.Balance,
		}
		if before := last.joined[rule]; before != nil && reflect.DeepEqual(before.Canary, canary) {
			all[i] = before
		} else {
			with := *rule
			with.Canary = canary
			all[i] = &with
		}
		c.joined[rule] = all[i]
		c.keys[canary.Backend] = struct{}{}
	}
	for at, alternative := range wanted {
		report(alternative, "no other Ingress of the namespace has the host %s with this path and path type", shown(at.host))
	}
	return all, c
}

func shown(host string) string {
	if host == "" {
		return "*"
	}
	return host
}

// join notes which backends canaries lead to.
func (bs *backends) join(keys map[upstream.Key]struct{}) {
	for k, b := range bs.byKey {
		if _, joined := keys[k]; joined != b.joined {
			b.joined = joined
			bs.touched[b] = struct{}{}
		}
	}
}
