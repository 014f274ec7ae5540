package proxy

import (
	"net/http"
	"strings"
	"sync"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// Regex is why the path of a Rule of type Regexp is one. The zero value is that of an Ingress that
// asks for it.
type Regex struct {
	// Literal is the path type that the rule would have without Because.
	Literal router.PathType
	Because policy.QuirkSet
}

// patternFacts fills in what the policies must know of a regular expression.
func patternFacts(facts *policy.Rule, rule *Rule) {
	pattern, err := router.ParsePattern(rule.Path)
	if err != nil {
		return
	}
	facts.Match, facts.GroupNames = pattern.Groups, pattern.Names()
	text, minded := strings.CutPrefix(rule.Path, router.MindCase)
	facts.Path = text
	if !minded {
		// Few paths have letters in the wrong case, so that most rules never need it.
		strict := sync.OnceValue(func() *router.Pattern {
			p, err := router.ParsePattern(router.MindCase + text)
			if err != nil {
				return pattern
			}
			return p
		})
		facts.SameCase = func(path string) bool { return strings.HasPrefix(path, text) || strict().Match(path) }
	}
	if because := rule.Regex.Because; because != 0 {
		facts.Because = because
		alone, _ := router.Build([]*router.Route{{Path: text, PathType: rule.Regex.Literal}})
		facts.Literal = func(path string) bool {
			r, _ := alone.Lookup("", path)
			return r != nil
		}
	}
}

// countRetries tells of the quirks that attempts depended on.
func (p *Proxy) countRetries(w *responseWriter, r *http.Request, tries *upstream.Attempts) {
	if tries.Len() < 2 || w.x.Rule == nil || w.x.Rule.Policies == nil {
		return
	}
	quirks, all := w.x.Rule.Policies.Quirks, tries.All()
	for i := range all[1:] {
		if _, status := upstream.Reason(all[i].Err); all[i].Err != nil && status == http.StatusGatewayTimeout && quirks.Has(policy.QuirkRetryTimeouts) {
			p.depends(policy.QuirkRetryTimeouts, w, r)
			break
		}
	}
	if !quirks.Has(policy.QuirkRetrySame) {
		return
	}
	for i := range all {
		for j := range i {
			if all[i].Endpoint == all[j].Endpoint && all[i].Endpoint != nil {
				p.depends(policy.QuirkRetrySame, w, r)
				return
			}
		}
	}
}

// depends counts a request that depends on a quirk.
func (p *Proxy) depends(q policy.Quirk, w *responseWriter, r *http.Request) {
	p.policies.Depends(q, w.uses, w, r)
}

// QuirkRequests is how many requests depended on q up to now.
func (p *Proxy) QuirkRequests(q policy.Quirk) uint64 { return p.policies.Depended(q) }

// RuleUses is what was counted of the quirks of one rule.
type RuleUses struct {
	Rule *Rule
	Uses []policy.UseOf
}

// QuirkUses returns the rules of which requests depended on quirks, in the order of the dump. A
// rule that was changed begins anew.
func (t *Table) QuirkUses() []RuleUses {
	var all []RuleUses
	for _, r := range t.routes.Routes() {
		rt, ok := r.Handler.(*route)
		if !ok {
			continue
		}
		if uses := rt.uses.All(); len(uses) > 0 {
			all = append(all, RuleUses{rt.rule, uses})
		}
	}
	return all
}
