package ingress

import (
	"strings"
	"unicode/utf8"

	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// fact is what the Ingresses of a host mean for all rules of that host, as in ingress-nginx,
// whose settings of a server are one.
type fact uint8

const (
	factTLS     fact = 1 << iota // some Ingress has a TLS section
	factRegex                    // paths are regular expressions, as use-regex says so
	factRewrite                  // paths are regular expressions, for a rewrite-target

	factKinds = iota
)

// factPattern are those that make paths regular expressions.
const factPattern = factRegex | factRewrite

// hostFact is what one Ingress means for one host.
type hostFact struct {
	host string
	fact fact
}

// factsOf returns what an Ingress of ours means for its hosts, each once, by its quirks.
func factsOf(ing *netv1.Ingress, quirks policy.QuirkSet) []hostFact {
	regex, tls := policy.MayWantRegex(ing.Annotations), len(ing.Spec.TLS) > 0 && quirks.Has(policy.QuirkAnyTLSSection)
	if !regex && !tls {
		return nil
	}
	var all []hostFact
	index := make(map[string]int)
	for i := range ing.Spec.Rules {
		rule := &ing.Spec.Rules[i]
		host, err := canonicalHost(rule.Host)
		if err != nil {
			continue
		}
		var f fact
		if tls {
			f |= factTLS
		}
		if regex && rule.HTTP != nil {
			switch said, rewrites := policy.WantsRegex(ing.Annotations, quirks, pathsOf(rule.HTTP)); {
			case said:
				f |= factRegex
			case rewrites:
				f |= factRewrite
			}
		}
		if at, known := index[host]; known {
			all[at].fact |= f
		} else if f != 0 {
			index[host] = len(all)
			all = append(all, hostFact{host, f})
		}
	}
	return all
}

// mean counts, by +1 and -1, what e means for its hosts. before keeps the facts that hosts had
// when they were first counted.
func (hs *hosts) mean(e *entry, n int, before map[*host]fact) {
	for _, f := range e.means {
		h := hs.at(f.host)
		if _, known := before[h]; !known {
			before[h] = h.facts()
		}
		for kind := range h.claims {
			if f.fact&(1<<kind) != 0 {
				h.claims[kind] += n
			}
		}
		hs.touched[h] = struct{}{} // it may be needed no more
	}
}

func pathsOf(http *netv1.HTTPIngressRuleValue) []string {
	paths := make([]string, len(http.Paths))
	for i := range http.Paths {
		paths[i] = http.Paths[i].Path
	}
	return paths
}

// factsOf returns those of a host. What was read with them is read again when they change: e becomes
// a member of the host.
func (r *reader) factsOf(host string) fact {
	if n := len(r.asked); n == 0 || r.asked[n-1] != host {
		r.asked = append(r.asked, host)
	}
	return r.known.facts(host)
}

// own returns those of a host that are of the Ingress itself.
func (r *reader) own(host string) fact {
	if r.meant == nil && len(r.means) > 0 {
		r.meant = make(map[string]fact, len(r.means))
		for _, f := range r.means {
			r.meant[f.host] = f.fact
		}
	}
	return r.meant[host]
}

// pattern makes the path of a rule a regular expression, where the Ingress asks for it or the host
// has such rules of others. One that does not compile answers 503 for what begins as it does.
func (r *reader) pattern(rule *proxy.Rule) {
	switch rule.PathType {
	case router.Exact, router.Prefix, router.ImplementationSpecific:
	default:
		return
	}
	own, all := r.own(rule.Host)&factPattern, r.factsOf(rule.Host)&factPattern
	if all == 0 || rule.Answer == noRoute {
		return
	}
	hostWide := r.quirks.Has(policy.QuirkRegexHostWide)
	if own == 0 && !hostWide {
		return
	}
	var because policy.QuirkSet
	switch {
	case own == 0:
		because = because.With(policy.QuirkRegexHostWide)
		if all == factRewrite {
			because = because.With(policy.QuirkRewriteRegex)
		}
	case own == factRewrite && (all == factRewrite || !hostWide): // else it would be one without either
		because = because.With(policy.QuirkRewriteRegex)
	}
	if because != 0 {
		rule.Regex = proxy.Regex{Literal: rule.PathType, Because: because}
	}
	rule.PathType = router.Regexp
	if !r.quirks.Has(policy.QuirkRegexAnyCase) {
		rule.Path = router.MindCase + rule.Path
	}
	if _, err := router.ParsePattern(rule.Path); err != nil {
		r.report(RoutingUnsupported, "", "%w: requests that begin as it does are answered 503", err)
		rule.Path, rule.Answer = beginnings(strings.TrimPrefix(rule.Path, router.MindCase)), routingUnsupported
	}
}

// beginnings returns a pattern that matches all that path would, which does not compile: the literal
// text that each of its alternatives begins with. As in path, the first of them alone is anchored. It
// is no shorter, so that it is tried before the patterns that path comes before.
func beginnings(path string) string {
	var all []string
	depth, class, from := 0, false, 0
	for i := 0; i <= len(path); i++ {
		if i == len(path) || path[i] == '|' && depth == 0 && !class {
			all = append(all, literalStart(path[from:i]))
			from = i + 1
			continue
		}
		switch c := path[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
	}
	const nothing = "(?:)"
	pattern := strings.Join(all, "|")
	pattern += strings.Repeat(nothing, (len(path)-len(pattern)+len(nothing)-1)/len(nothing))
	if _, err := router.ParsePattern(pattern); err != nil {
		return ""
	}
	return pattern
}

// literalStart returns what every match of a pattern without alternatives begins with.
func literalStart(pattern string) string {
	i := strings.IndexAny(pattern, `\.+*?()|[]{}^$`)
	if i < 0 {
		return pattern
	}
	literal := pattern[:i]
	if strings.IndexByte("*?{", pattern[i]) >= 0 { // which may leave out what is before
		_, n := utf8.DecodeLastRuneInString(literal)
		literal = literal[:i-n]
	}
	return literal
}
