package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

func handlers(t *Table) map[string]any {
	m := make(map[string]any)
	for _, h := range t.hosts {
		for i, rt := range h.routes {
			m[h.rules.Rules[i].Host+h.rules.Rules[i].Path] = rt
		}
	}
	return m
}

func TestUnchangedRulesKeepTheirHandlers(t *testing.T) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := New(pools)
	make := func() []*Rule {
		return []*Rule{
			rule("a.example", "/", webKey),
			{Host: "a.example", Path: "/p", PathType: router.Exact, Backend: webKey, Policies: &policy.Set{}},
			rule("b.example", "/", upstream.Key{Namespace: "shop", Service: "api", Port: "80"}),
		}
	}
	rules := make()
	first, _ := p.Compile(Config{Hosts: ByHost(rules)})
	p.Swap(first)

	same, _ := p.Compile(Config{Hosts: ByHost(rules)})
	equal, _ := p.Compile(Config{Hosts: ByHost(make())})
	for name, next := range map[string]*Table{"the same pointers": same, "equal rules": equal} {
		for route, h := range handlers(first) {
			if handlers(next)[route] != h {
				t.Errorf("%s: %s has a new handler", name, route)
			}
		}
	}

	changed := make()
	changed[0].Backend.Port = "81"
	changed[1].Answer = Answer{503, "policy-refused"}
	next, _ := p.Compile(Config{Hosts: ByHost(changed)})
	for _, route := range []string{"a.example/", "a.example/p"} {
		if handlers(next)[route] == handlers(first)[route] {
			t.Errorf("%s changed but has its old handler", route)
		}
	}
	if handlers(next)["b.example/"] != handlers(first)["b.example/"] {
		t.Error("b.example/ did not change but has a new handler")
	}
}

func TestTableSaysWhatIsServed(t *testing.T) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := New(pools)
	older := rule("a.example", "/", webKey)
	older.Origin.Created = time.Unix(1, 0)
	younger := rule("a.example", "/", upstream.Key{Namespace: "other", Service: "web", Port: "80"})
	younger.Origin.Created = time.Unix(2, 0)
	config := Config{
		Hosts: ByHost([]*Rule{
			younger, older,
			{Host: "b.example", Path: "/x", PathType: router.Exact, Answer: Answer{503, "policy-refused"}, Backend: upstream.Key{Service: "unused"}},
			{Host: "c.example", PathType: router.HostOnly},
		}),
		DefaultBackend: upstream.Key{Namespace: "infra", Service: "default", Port: "80"},
	}
	table, conflicts := p.Compile(config)
	if len(conflicts) != 1 || conflicts[0].Winner.Target != "shop/web:80" || conflicts[0].Loser.Target != "other/web:80" {
		t.Errorf("conflicts = %v, want the older shop/web to win", conflicts)
	}
	if got := p.Table().Generation(); got != 0 {
		t.Errorf("generation before Swap = %d, want 0", got)
	}
	p.Swap(table)
	got := dump(t, table)
	if !strings.HasPrefix(got, "# generation 1\n") {
		t.Errorf("dump begins with %.20q, want the generation", got)
	}
	for _, line := range []string{"a.example / Prefix shop/web:80 shop/ing", "b.example /x Exact 503:policy-refused"} {
		if !strings.Contains(got, line) {
			t.Errorf("dump lacks %q:\n%s", line, got)
		}
	}
	if strings.Contains(got, "other/web") {
		t.Errorf("dump has the loser of a conflict:\n%s", got)
	}
	keys := table.Keys()
	if keys.Has(upstream.Key{Service: "unused"}) || keys.Len() != 3 {
		// The loser's pool is kept too: it is the one to take over.
		t.Errorf("keys = %v, want those of shop/web, other/web and infra/default", keys)
	}
	if got := len(table.Rules()); got != table.Len() {
		t.Errorf("%d rules of %d routes", got, table.Len())
	}
}
