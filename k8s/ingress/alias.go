package ingress

import (
	"slices"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/router"
)

// maxAliasRules bounds what the aliases of one Ingress come to: each has all the rules of a host, so that
// one annotation could fill the memory.
const maxAliasRules = 5000

// alias notes the hosts that are served as the first of the Ingress's own.
func (r *reader) alias() {
	if len(r.policies.Aliases) == 0 {
		return
	}
	field := r.annotationField("server-alias")
	i := slices.IndexFunc(r.hosts, func(host string) bool { return host != "" })
	if i < 0 {
		r.report(AnnotationNoEffect, field, "server-alias has no effect here: the rules have no host, so they are for every host that has none of its own")
		return
	}
	seen := make(map[string]struct{})
	for n, name := range r.policies.Aliases {
		if n == maxAliasRules {
			r.report(AliasNotServed, field, "%d aliases, want %d at most", len(r.policies.Aliases), maxAliasRules)
			break
		}
		host, err := canonicalHost(name)
		if err != nil {
			r.report(InvalidHost, field, "%w", err)
			continue
		}
		_, own := r.hostIndex[host]
		if _, twice := seen[host]; own || twice || host == "" {
			continue
		}
		seen[host] = struct{}{}
		r.aliased = r.hosts[i]
		r.aliases = append(r.aliases, host)
	}
}

// alias returns what h serves, of which rules are its own, with the Problems of those who would have
// it served as another host: only the first by precedence does, and nobody where there are rules. It
// is a function of the members and of the hosts that they name, which are no aliases themselves: an
// Ingress with rules names them.
func (hs *hosts) alias(h *host, rules *proxy.HostRules) (*proxy.HostRules, []Problem) {
	var problems []Problem
	var first *member
	for i := range h.members {
		m := &h.members[i]
		switch {
		case m.aliasOf == "":
		case hasRules(rules):
			problems = append(problems, m.notAlias("Ingress %s has rules for it", rules.Rules[0].Origin))
		case first == nil:
			first = m
		case m.aliasOf != first.aliasOf:
			problems = append(problems, m.notAlias("it is served as %s, by server-alias of the older Ingress %s", first.aliasOf, first.origin))
		}
	}
	if first == nil {
		return rules, problems
	}
	of := hs.at(first.aliasOf).rules
	if of == nil {
		return rules, problems
	}
	if n := (first.aliasAt + 1) * len(of.Rules); n > maxAliasRules && first.aliasAt > 0 {
		return rules, append(problems, first.notAlias("with it Ingress %s has aliases for %d rules, want %d at most", first.origin, n, maxAliasRules))
	}
	made := &proxy.HostRules{Host: h.name, Ciphers: of.Ciphers, Rules: make([]*proxy.Rule, len(of.Rules))}
	for i, rule := range of.Rules {
		alike := *rule
		alike.Host, alike.AliasOf = h.name, of.Host
		made.Rules[i] = &alike
		if of.Passthrough != nil && of.Passthrough.Rule == rule {
			made.Passthrough = &proxy.Passthrough{Rule: &alike, Refuse: of.Passthrough.Refuse}
		}
	}
	return made, problems
}

// hasRules reports whether a host has rules of Ingresses, and not but the redirect of a twin.
func hasRules(rules *proxy.HostRules) bool {
	return rules != nil && slices.ContainsFunc(rules.Rules, func(r *proxy.Rule) bool {
		return r.PathType == router.HostOnly || r.Policies == nil || r.Policies.WWW == nil || r.Policies.WWW.Host == ""
	})
}

func (m *member) notAlias(format string, args ...any) Problem {
	args = append([]any{m.host, m.aliasOf}, args...)
	return found(AliasNotServed, "%s is not served as %s: "+format, args...).on(m.object, "")
}
