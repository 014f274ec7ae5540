package proxy

import (
	"fmt"
	"io"
	"net/http"
	"reflect"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// Table is a compiled Config: immutable, and shared by the requests that loaded it.
type Table struct {
	routes   *router.Table
	compiled map[*Rule]*route
	keys     map[upstream.Key]struct{}
	// fallback answers what no rule matches; nil answers 404.
	fallback http.Handler
	// fallbackKey is where fallback leads to.
	fallbackKey upstream.Key
	unmatched   Recorder
	trust       *trust
	clientCerts *clientCerts // nil when no host wants any
	generation  uint64       // set by Swap
}

// Generation counts the tables that went live, from 1; 0 before Swap.
func (t *Table) Generation() uint64 { return t.generation }

// Len is the number of routes served.
func (t *Table) Len() int { return len(t.routes.Routes()) }

// Keys are the backends that the table's rules lead to. The caller must not change it.
func (t *Table) Keys() map[upstream.Key]struct{} { return t.keys }

// Rules are those served, in the order of the dump: conflicts are settled.
func (t *Table) Rules() []*Rule {
	routes := t.routes.Routes()
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
	pages   *errorPages // nil for none
}

func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.handler.ServeHTTP(w, r) }

// identity finds the rule of the last table that a new Rule may be equal to.
type identity struct {
	host, path, namespace, name string
	pathType                    router.PathType
	backend                     upstream.Key
}

func (r *Rule) identity() identity {
	return identity{r.Host, r.Path, r.Origin.Namespace, r.Origin.Name, r.PathType, r.Backend}
}

// Compile builds the table of c. Rules that are in the live table keep their handlers, with
// what these count and hold. It returns the rules that lost against others and are not
// served. Nothing is live before Swap; the pools of the table's backends exist afterwards.
// Compile and Swap are for one goroutine.
func (p *Proxy) Compile(c Config) (*Table, []router.Conflict) {
	last := p.table.Load()
	t := &Table{
		compiled: make(map[*Rule]*route, len(c.Rules)),
		keys:     make(map[upstream.Key]struct{}, len(last.keys)),
		trust:    p.trustOf(c.Trust),
	}
	var fresh []*Rule
	entries := make([]*router.Route, 0, len(c.Rules))
	keep := func(rule *Rule, rt *route) {
		t.compiled[rule] = rt
		entries = append(entries, rt.entry)
		rule.eachBackend(func(k upstream.Key) { t.keys[k] = struct{}{} })
	}
	for _, rule := range c.Rules {
		if rt := last.compiled[rule]; rt != nil {
			keep(rule, rt)
		} else {
			fresh = append(fresh, rule)
		}
	}
	if len(fresh) > 0 {
		gone := make(map[identity]*route)
		for rule, rt := range last.compiled {
			if t.compiled[rule] == nil {
				gone[rule.identity()] = rt
			}
		}
		for _, rule := range fresh {
			if rt := gone[rule.identity()]; rt != nil && reflect.DeepEqual(rt.rule, rule) {
				keep(rule, rt)
			} else {
				keep(rule, p.compileRule(rule))
			}
		}
	}
	if c.DefaultBackend != (upstream.Key{}) {
		t.keys[c.DefaultBackend] = struct{}{}
		t.fallback, t.fallbackKey = p.forwarder(p.Pools.Pool(c.DefaultBackend), nil), c.DefaultBackend
	}
	t.unmatched = p.recorder(nil)
	var conflicts []router.Conflict
	t.routes, conflicts = router.Build(entries, last.routes)
	t.clientCerts = newClientCerts(c.Rules, t.routes)
	return t, conflicts
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
	rt.handler = p.withPolicies(rule, rt.handler)
	rt.entry = &router.Route{
		Host: rule.Host, Path: rule.Path, PathType: rule.PathType,
		Origin: rule.Origin, Target: rule.Target(), Handler: rt,
	}
	return rt
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
