package proxy

import (
	"reflect"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// compiledHost is HostRules made into routes. It does not change, and the tables that have the
// same HostRules share it.
type compiledHost struct {
	rules  *HostRules
	routes []*route       // of each rule
	keys   []upstream.Key // the backends of the rules, each once; those of losers too
	terms  terms          // of its handshakes
	passed *passedHost    // nil where TLS ends here
}

// leadsTo is keys; none of nil.
func (h *compiledHost) leadsTo() []upstream.Key {
	if h == nil {
		return nil
	}
	return h.keys
}

// entries are the routes as the router knows them.
func (h *compiledHost) entries() []*router.Route {
	entries := make([]*router.Route, len(h.routes))
	for i, rt := range h.routes {
		entries[i] = rt.entry
	}
	return entries
}

// identity finds the rule of the last table that a new Rule may be equal to. The hosts are the
// same.
type identity struct {
	path, namespace, name string
	pathType              router.PathType
	backend               upstream.Key
}

func (r *Rule) identity() identity {
	return identity{r.Path, r.Origin.Namespace, r.Origin.Name, r.PathType, r.Backend}
}

// Compiled counts the hosts that were compiled: each once, and again when its rules changed.
func (p *Proxy) Compiled() uint64 { return p.compiled.Load() }

// compileHost compiles h. The rules that are in before, which may be nil, keep their routes.
func (p *Proxy) compileHost(h *HostRules, before *compiledHost) *compiledHost {
	p.compiled.Add(1)
	made := &compiledHost{rules: h, routes: make([]*route, len(h.Rules)), terms: termsOf(h)}
	same, equal := before.index()
	seen := make(map[upstream.Key]struct{})
	add := func(k upstream.Key) {
		if _, twice := seen[k]; !twice {
			seen[k] = struct{}{}
			made.keys = append(made.keys, k)
		}
	}
	for i, rule := range h.Rules {
		rt := same[rule]
		if rt == nil {
			if rt = equal[rule.identity()]; rt == nil || !reflect.DeepEqual(rt.rule, rule) {
				rt = p.compileRule(rule)
			}
		}
		made.routes[i] = rt
		rule.eachBackend(add)
		if h.Passthrough != nil && h.Passthrough.Rule == rule {
			made.passed = &passedHost{Passthrough: h.Passthrough, record: rt.record}
			if rule.Answer == (Answer{}) && rule.Backend != (upstream.Key{}) {
				made.passed.pool = p.Pools.Pool(rule.Backend)
			}
		}
	}
	return made
}

// index finds the routes of h by their rules; nil has none.
func (h *compiledHost) index() (same map[*Rule]*route, equal map[identity]*route) {
	if h == nil {
		return nil, nil
	}
	same, equal = make(map[*Rule]*route, len(h.routes)), make(map[identity]*route, len(h.routes))
	for _, rt := range h.routes {
		same[rt.rule], equal[rt.rule.identity()] = rt, rt
	}
	return same, equal
}
