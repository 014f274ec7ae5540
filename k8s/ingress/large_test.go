package ingress_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// One object that is as large as the API server takes does not hold up those of all others: what it costs
// grows with its size and not with the square of that, which took minutes.
func TestLargeIngressCostsItsSize(t *testing.T) {
	const n = 5000
	l := newLive(t, "", nil)
	ing := l.add("ingress-nginx", "large", "a.example", "/x/", map[string]string{"from-to-www-redirect": "true", "app-root": "/x", "rewrite-target": "/y"})
	rule := ing.Spec.Rules[0]
	ing.Spec.Rules, ing.Spec.TLS = nil, []netv1.IngressTLS{{}}
	for i := range n {
		rule.Host = fmt.Sprintf("h%d.example", i)
		ing.Spec.Rules = append(ing.Spec.Rules, rule)
		ing.Spec.TLS[0].Hosts = append(ing.Spec.TLS[0].Hosts, rule.Host)
	}
	paths := l.add("ingress-nginx", "paths", "paths.example", "/", nil).Spec.Rules[0].HTTP
	path, exact := paths.Paths[0], netv1.PathTypeExact
	paths.Paths = nil
	for i := range n {
		path.Path, path.PathType = fmt.Sprintf("/x%d/", i), &exact
		paths.Paths = append(paths.Paths, path)
	}
	start := time.Now()
	table, _ := l.proxy.Compile(ingress.NewTranslator(l.options).Translate(l.snapshot).Config)
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if want := 5 * n; table.Len() != want { // app-root, rule and twin of the hosts; paths with a slash and without
		t.Errorf("%d routes, want %d", table.Len(), want)
	}
}

// Aliases have all the rules of their host, whoever's they are: a short annotation must not make millions.
func TestAliasesAreBounded(t *testing.T) {
	const names, paths = 1000, 100
	l := newLive(t, "", nil)
	rules := l.add("spec", "a", "a.example", "/", nil).Spec.Rules[0].HTTP
	for i := range paths - 1 {
		path := rules.Paths[0]
		path.Path = fmt.Sprintf("/x%d", i)
		rules.Paths = append(rules.Paths, path)
	}
	var list []string
	for i := range names {
		list = append(list, fmt.Sprintf("h%d.example", i))
	}
	l.add("spec", "b", "a.example", "/b", map[string]string{"server-alias": strings.Join(list, ",")})
	l.serve()
	table := l.proxy.Table()
	if most := 5000 + paths + 1; table.Len() > most || table.Len() < most-2*paths {
		t.Errorf("%d routes, want no more than %d", table.Len(), most)
	}
	told := 0
	for _, p := range l.problems {
		if p.Reason == ingress.AliasNotServed {
			told++
		}
	}
	const listed = 100 // mistakes of one object at most
	if served := (table.Len() - paths - 1) / (paths + 1); told != min(names-served, listed) {
		t.Errorf("%d aliases are served, and %d Problems tell of those that are not", served, told)
	}
	if resp := l.ask("GET", "http://h0.example/b", ""); resp.StatusCode != 200 {
		t.Errorf("the first alias is answered %d", resp.StatusCode)
	}
}
