package ingress

import (
	"strings"

	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// facts is what the Ingresses of a host mean for all rules of that host, as in ingress-nginx,
// whose settings of a server are one. Hosts without any are not in it.
type facts map[string]fact

type fact uint8

const (
	factTLS   fact = 1 << iota // some Ingress has a TLS section
	factRegex                  // paths are regular expressions
)

// gatherFacts looks at the Ingresses that are ours. Those of the spec profile have no part in
// what is only ingress-nginx's.
func gatherFacts(cs *Classes, ingresses []*netv1.Ingress) facts {
	var f facts
	for _, ing := range ingresses {
		if len(ing.Annotations) == 0 && len(ing.Spec.TLS) == 0 {
			continue
		}
		regex := policy.MayWantRegex(ing.Annotations)
		if !regex && len(ing.Spec.TLS) == 0 {
			continue
		}
		c := cs.Claim(ing)
		if c.Whose != Ours {
			continue
		}
		profile := cs.profile(c)
		for i := range ing.Spec.Rules {
			rule := &ing.Spec.Rules[i]
			host, err := canonicalHost(rule.Host)
			if err != nil {
				continue
			}
			var v fact
			if len(ing.Spec.TLS) > 0 && profile == policy.Nginx {
				v |= factTLS
			}
			if regex && rule.HTTP != nil && policy.WantsRegex(ing.Annotations, profile, pathsOf(rule.HTTP)) {
				v |= factRegex
			}
			if v != 0 {
				if f == nil {
					f = make(facts)
				}
				f[host] |= v
			}
		}
	}
	return f
}

func pathsOf(http *netv1.HTTPIngressRuleValue) []string {
	paths := make([]string, len(http.Paths))
	for i := range http.Paths {
		paths[i] = http.Paths[i].Path
	}
	return paths
}

// of returns the facts of hosts in a form that can be compared, "" when there are none.
func (f facts) of(hosts []string) string {
	any := false
	for _, h := range hosts {
		any = any || f[h] != 0
	}
	if !any {
		return ""
	}
	var b strings.Builder
	for _, h := range hosts {
		b.WriteByte('0' + byte(f[h]))
	}
	return b.String()
}

// pattern makes the path of a rule a regular expression, on hosts where all are. One that does
// not compile answers 503 for what begins as it does.
func (r *reader) pattern(rule *proxy.Rule) {
	switch rule.PathType {
	case router.Exact, router.Prefix, router.ImplementationSpecific:
	default:
		return
	}
	if r.facts[rule.Host]&factRegex == 0 || rule.Answer == noRoute {
		return
	}
	rule.PathType = router.Regexp
	if _, err := router.ParsePattern(rule.Path); err != nil {
		r.report(RoutingUnsupported, "", "%w: requests that begin as it does are answered 503", err)
		literal, _, _ := strings.Cut(rule.Path, "(")
		if i := strings.IndexAny(literal, `[{.*+?^$|\\`); i >= 0 {
			literal = literal[:i]
		}
		rule.Path, rule.Answer = literal, routingUnsupported
	}
}
