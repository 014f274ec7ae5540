package proxy

import (
	"fmt"
	"io"
	"net/http"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// Table is a compiled Config: immutable, and shared by the requests that loaded it.
type Table struct {
	routes *router.Table
	hosts  []*compiledHost // in the order of Config.Hosts
	keys   upstream.Map[int]
	// fallback answers what no rule matches; nil answers 404.
	fallback http.Handler
	// fallbackKey is where fallback leads to.
	fallbackKey upstream.Key
	unmatched   Recorder
	trust       *trust
	hosting     *hosting
	generation  uint64 // set by Swap
}

// Generation counts the tables that went live, from 1; 0 before Swap.
func (t *Table) Generation() uint64 { return t.generation }

// Len is the number of routes served.
func (t *Table) Len() int { return t.routes.Len() }

// Keys are the backends that the table's rules lead to, each with the number of hosts that do.
func (t *Table) Keys() upstream.Map[int] { return t.keys }

// Rules are those served, in the order of the dump: conflicts are settled.
func (t *Table) Rules() []*Rule {
	return rulesOf(t.routes.Routes())
}

// Difference returns the rules that are served by t and not by before, and those that were served by
// before and are not by t. A rule that did not change is the same pointer in both. Either may be nil.
func (t *Table) Difference(before *Table) (fresh, gone []*Rule) {
	var old, now *router.Table
	if before != nil {
		old = before.routes
	}
	if t != nil {
		now = t.routes
	}
	came, left := now.Difference(old)
	return rulesOf(came), rulesOf(left)
}

func rulesOf(routes []*router.Route) []*Rule {
	rules := make([]*Rule, 0, len(routes))
	for _, r := range routes {
		if h, ok := r.Handler.(*route); ok {
			rules = append(rules, h.rule)
		}
	}
	return rules
}

// WriteTo writes the table as text: a line "# generation N" and one line a route, the same
// for the same rules in any order.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintf(w, "# generation %d\n", t.generation)
	if err != nil {
		return int64(n), err
	}
	m, err := t.routes.WriteTo(w)
	return int64(n) + m, err
}

// route is a compiled Rule. It is what a long-lived request keeps of its table.
type route struct {
	rule    *Rule
	entry   *router.Route // the same pointer from table to table, so that Build shares work
	handler http.Handler
	record  Recorder
	uses    policy.Uses
	pages   *errorPages // nil for none
}

// begin removes from the header of a request what the rule wants nobody to see. It reports whether
// that came of a quirk.
func (rt *route) begin(h http.Header) bool {
	set := rt.rule.Policies
	return set != nil && set.FieldNames.Clean(h) && set.Quirks.Has(policy.QuirkFieldNames)
}

func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.handler.ServeHTTP(w, r) }

// Compile builds the table of c. Hosts and rules that are in the live table keep their handlers,
// with what these count and hold. It returns the rules that lost against others and are not
// served. Nothing is live before Swap; the pools of the table's backends exist afterwards.
// Compile and Swap are for one goroutine.
func (p *Proxy) Compile(c Config) (*Table, []router.Conflict) {
	for i, h := range c.Hosts {
		if i > 0 && h.Host <= c.Hosts[i-1].Host {
			c.Hosts = ByHost(c.Rules())
			break
		}
	}
	last := p.table.Load()
	t := &Table{hosts: make([]*compiledHost, len(c.Hosts)), trust: p.trustOf(c.Trust)}
	t.trust.balanced = c.Listener.ProxyProtocol != nil
	var changed []router.HostRoutes
	hosts := make(map[upstream.Key]int) // that lead to a backend: how many came, less those that left
	count := func(keys []upstream.Key, n int) {
		for _, k := range keys {
			hosts[k] += n
		}
	}
	old := last.hosts
	leave := func() {
		changed = append(changed, router.HostRoutes{Host: old[0].rules.Host})
		count(old[0].keys, -1)
		old = old[1:]
	}
	for i, h := range c.Hosts {
		for len(old) > 0 && old[0].rules != h && old[0].rules.Host < h.Host {
			leave()
		}
		var before *compiledHost
		if len(old) > 0 && (old[0].rules == h || old[0].rules.Host == h.Host) {
			before, old = old[0], old[1:]
		}
		if before != nil && before.rules == h {
			t.hosts[i] = before
			continue
		}
		now := p.compileHost(h, before)
		t.hosts[i] = now
		count(before.leadsTo(), -1)
		count(now.keys, +1)
		changed = append(changed, router.HostRoutes{Host: h.Host, Routes: now.entries()})
	}
	for len(old) > 0 {
		leave()
	}
	if last.fallbackKey != (upstream.Key{}) {
		hosts[last.fallbackKey]--
	}
	if c.DefaultBackend != (upstream.Key{}) {
		hosts[c.DefaultBackend]++
		t.fallback, t.fallbackKey = p.compileFallback(c.DefaultBackend, c.DefaultPolicies), c.DefaultBackend
	}
	t.keys = recount(last.keys, hosts)
	t.unmatched = p.recorder(nil)
	var conflicts []router.Conflict
	t.routes, conflicts = last.routes.With(changed)
	t.hosting = newHosting(t.hosts, t.routes, c.Listener)
	return t, conflicts
}

// recount returns counts with changes added to them. What comes to nothing is left out.
func recount(counts upstream.Map[int], changes map[upstream.Key]int) upstream.Map[int] {
	edit := counts.Edit()
	for k, n := range changes {
		before, _ := edit.Get(k)
		switch {
		case n == 0:
		case before+n == 0:
			edit.Delete(k)
		default:
			edit.Set(k, before+n)
		}
	}
	return edit.Map()
}

// compileRule is the only place where a rule's plain data becomes behaviour.
func (p *Proxy) compileRule(rule *Rule) *route {
	rt := &route{rule: rule, record: p.recorder(rule), pages: p.errorPages(rule)}
	switch {
	case rule.PathType == router.HostOnly:
	case rule.Answer != (Answer{}):
		rt.handler = rule.Answer
	default:
		rt.handler = p.leading(rule.Backend, rule.Secure, rule.Policies)
		if rule.Policies != nil {
			rt.handler = balanced(&rule.Policies.Balance, factsOf(rule), rt.handler)
		}
		if rule.Canary != nil {
			rt.handler = p.split(rule, rt.handler)
		}
	}
	rt.handler = p.withPolicies(rule, &rt.uses, rt.handler)
	rt.entry = &router.Route{
		Host: rule.Host, Path: rule.Path, PathType: rule.PathType,
		Origin: rule.Origin, Target: rule.Target(), Handler: rt,
	}
	return rt
}

// compileFallback returns the handler of what no rule matches. set may be nil.
func (p *Proxy) compileFallback(key upstream.Key, set *policy.Set) http.Handler {
	last := p.forwarder(p.Pools.Pool(key), nil)
	if set == nil {
		return last
	}
	if len(set.Refused) > 0 {
		return Answer{http.StatusServiceUnavailable, "policy-refused"} // without a page, as of rules
	}
	guarded := policy.Wrap(set, policy.Rule{}, &p.policies, last)
	pages := p.fallbackPages(key, set)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set.FieldNames.Clean(r.Header)
		if pages != nil {
			pages.begin(exchangeOf(w), r)
		}
		guarded.ServeHTTP(w, r)
	})
}

func (p *Proxy) recorder(rule *Rule) Recorder {
	if p.Observer == nil {
		return nil
	}
	return p.Observer.Route(rule)
}

// Swap makes t live: requests that start from now on use it, those that run keep the table
// they loaded.
func (p *Proxy) Swap(t *Table) {
	t.generation = p.table.Load().generation + 1
	p.table.Store(t)
}

// Table is the live table; before the first Swap an empty one of generation 0.
func (p *Proxy) Table() *Table { return p.table.Load() }
