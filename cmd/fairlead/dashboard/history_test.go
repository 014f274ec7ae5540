package dashboard

import (
	"crypto/tls"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

func TestHistory(t *testing.T) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := proxy.New(pools)
	rule := func(host, service string) *proxy.Rule {
		return &proxy.Rule{Host: host, Path: "/", PathType: router.Prefix, Origin: router.Origin{Namespace: "n", Name: "i"}, Backend: upstream.Key{Namespace: "n", Service: service, Port: "80"}}
	}
	h := NewHistory()
	var bindings []certs.Binding
	note := func(rules ...*proxy.Rule) {
		table, _ := p.Compile(proxy.Config{Hosts: proxy.ByHost(rules)})
		p.Swap(table)
		h.take(Live{At: time.Now(), Table: table, Certificates: bindings})
	}
	a, b, c := rule("a.example", "a"), rule("b.example", "b"), rule("c.example", "c")
	note(a, b)
	note(rule("a.example", "a"), b) // the same as before, behind another pointer
	if list := h.Generations(); len(list) != 1 || list[0].Added != 2 || len(list[0].Told) != 0 {
		t.Fatalf("first: %+v", list)
	}
	moved, guarded := rule("a.example", "other"), rule("b.example", "b")
	guarded.Policies = &policy.Set{HSTS: "x"}
	note(moved, guarded, c, &proxy.Rule{Host: "c.example", PathType: router.HostOnly})
	note(guarded)
	bindings = []certs.Binding{{Host: "a.example", Certificates: []*tls.Certificate{{}}, Source: "Secret n/a"}, {Host: "b.example", Reason: "Secret n/b not found"}}
	note(guarded)
	bindings = slices.Clone(bindings[:1])
	note(guarded)
	bindings = slices.Clone(bindings)
	note(guarded)
	list := h.Generations()
	want := [][]Told{
		{{"certificate", "b.example: no TLS section any more"}},
		{{"certificate", "a.example: Secret n/a"}, {"certificate", "b.example: none, Secret n/b not found"}},
		{{"removed", "a.example/ Prefix → n/other:80, Ingress n/i"}, {"removed", "c.example/ Prefix → n/c:80, Ingress n/i"}},
		{{"changed", "a.example/ Prefix: n/a:80 → n/other:80"}, {"changed", "b.example/ Prefix: policies [] → [HSTS]"}, {"added", "c.example/ Prefix → n/c:80, Ingress n/i"}},
		nil,
	}
	if len(list) != len(want) {
		t.Fatalf("%d generations, want %d: %+v", len(list), len(want), list)
	}
	for i := range want {
		if !slices.Equal(list[i].Told, want[i]) {
			t.Errorf("%d: %q, want %q", i, list[i].Told, want[i])
		}
	}
	for range 2 * maxGenerations {
		note(guarded, c)
		note(guarded)
	}
	if n := len(h.Generations()); n != maxGenerations {
		t.Errorf("%d generations are kept, want %d", n, maxGenerations)
	}
}

func BenchmarkTake(b *testing.B) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := proxy.New(pools)
	table, _ := p.Compile(proxy.Config{Hosts: proxy.ByHost(manyRules(10_000))})
	h := NewHistory()
	for b.Loop() {
		h.take(Live{Table: table})
	}
}

// Of what is noted in a hurry the last is never lost.
func TestHistoryRuns(t *testing.T) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := proxy.New(pools)
	h := NewHistory()
	go h.Run(t.Context())
	for n := range 100 {
		table, _ := p.Compile(proxy.Config{Hosts: proxy.ByHost(manyRules(n + 1))})
		p.Swap(table)
		h.Note(Live{Table: table})
	}
	for list := h.Generations(); len(list) == 0 || list[0].Routes != 100; list = h.Generations() {
		if t.Context().Err() != nil {
			t.Fatal(list)
		}
		runtime.Gosched()
	}
}
