package policy

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Blocking says whom the instance serves nothing; they get 403.
type Blocking struct {
	Clients []netip.Prefix
	// Agents and Referers are as in the ConfigMap: a text that is compared without case, "~" with
	// a regular expression, "~*" with one without case.
	Agents, Referers []string
}

var (
	blockCIDRs    = Key{Name: "block-cidrs", GlobalOnly: true, Class: Guard, Value: "addresses and CIDRs, separated by commas", Doc: "answers 403 to these client addresses, on all rules"}
	blockAgents   = Key{Name: "block-user-agents", GlobalOnly: true, Class: Guard, Value: "texts, ~ or ~* and a regular expression, separated by commas", Doc: "answers 403 to requests with such a User-Agent"}
	blockReferers = Key{Name: "block-referers", GlobalOnly: true, Class: Guard, Value: "as block-user-agents", Doc: "answers 403 to requests with such a Referer"}
)

var blocking = feature{
	name: "blocking",
	keys: []Key{blockCIDRs, blockAgents, blockReferers},
	read: func(r *reader, s *Set) {
		var b Blocking
		b.Clients, _ = r.prefixes(blockCIDRs)
		b.Agents, b.Referers = r.patterns(blockAgents), r.patterns(blockReferers)
		if len(b.Clients)+len(b.Agents)+len(b.Referers) > 0 {
			s.Blocking = &b
		}
	},
	guard: func(s *Set) any { return s.Blocking },
	wrap: func(l link, next http.Handler) http.Handler {
		b := l.Blocking
		if b == nil {
			return next
		}
		agents, referers := l.env.patterns.compile(b.Agents), l.env.patterns.compile(b.Referers)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			client := exchangeOf(w).Client()
			blocked := slices.ContainsFunc(b.Clients, func(p netip.Prefix) bool { return p.Contains(client) }) || len(b.Clients) > 0 && !client.IsValid()
			if blocked || matchesAny(agents, r.Header["User-Agent"]) || matchesAny(referers, r.Header["Referer"]) {
				answer(w, r, http.StatusForbidden, "blocked")
				return
			}
			next.ServeHTTP(w, r)
		})
	},
}

// patterns reads a list of patterns. One that does not compile makes the list no guard.
func (r *reader) patterns(k Key) []string {
	list := r.list(k)
	for _, p := range list {
		_, err := compilePattern(p)
		if err == nil && strings.Count(p, "{") != strings.Count(p, "}") {
			err = fmt.Errorf("a comma ends a pattern, within braces too, got %.80q", p)
		}
		if err != nil {
			r.bad(k, "%w", err)
			return nil
		}
	}
	return list
}

// compilePattern makes an expression of a pattern, in the manner of nginx's map.
func compilePattern(p string) (*regexp.Regexp, error) {
	if expression, ok := strings.CutPrefix(p, "~*"); ok {
		return regexp.Compile("(?i)" + expression)
	}
	if expression, ok := strings.CutPrefix(p, "~"); ok {
		return regexp.Compile(expression)
	}
	return regexp.Compile("(?i)^" + regexp.QuoteMeta(p) + "$")
}

// patterns has what lists were compiled to, for all rules, as they have the same lists. The zero
// value is ready for use.
type patterns struct {
	mu    sync.Mutex
	known map[string][]*regexp.Regexp
}

// maxLists is how many lists are known, so that those of old ConfigMaps do not stay.
const maxLists = 8

func (ps *patterns) compile(list []string) []*regexp.Regexp {
	if len(list) == 0 {
		return nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	name := strings.Join(list, ",") // which none of them has in it
	if compiled, ok := ps.known[name]; ok {
		return compiled
	}
	compiled := make([]*regexp.Regexp, 0, len(list))
	for _, p := range list {
		if e, err := compilePattern(p); err == nil { // as it was when the list was read
			compiled = append(compiled, e)
		}
	}
	if ps.known == nil || len(ps.known) >= maxLists {
		ps.known = make(map[string][]*regexp.Regexp)
	}
	ps.known[name] = compiled
	return compiled
}

// matchesAny looks at all values of a field, as a backend may take any; without one, at "".
func matchesAny(list []*regexp.Regexp, values []string) bool {
	if len(values) == 0 {
		values = []string{""}
	}
	return slices.ContainsFunc(list, func(e *regexp.Regexp) bool { return slices.ContainsFunc(values, e.MatchString) })
}
