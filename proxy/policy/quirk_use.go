package policy

import "net/http"

// quirkUse counts the requests that get to a rule, or are served by it, by quirks that no handler
// of another feature stands for.
var quirkUse = feature{
	name: "quirks",
	wrap: func(l link, next http.Handler) http.Handler {
		var always []Quirk
		for _, q := range [...]Quirk{QuirkAuthKeysAlone, QuirkBadUseRegex} {
			if l.Quirks.Has(q) {
				always = append(always, q)
			}
		}
		groups := l.Rewrite != nil && l.Rewrite.Target.usesGroups()
		if l.rule.Literal == nil && l.rule.SameCase == nil && len(always) == 0 {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, q := range always {
				l.depends(q, w, r)
			}
			path := exchangeOf(w).CanonicalPath()
			if l.rule.Literal != nil && (groups || !l.rule.Literal(path)) {
				for q := range numQuirks {
					if l.rule.Because.Has(q) {
						l.depends(q, w, r)
					}
				}
			}
			if l.rule.SameCase != nil && !l.rule.SameCase(decoded(path)) {
				l.depends(QuirkRegexAnyCase, w, r)
			}
			next.ServeHTTP(w, r)
		})
	},
}
