package router

import (
	"slices"
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{`/order/\d{2,4}`, []string{"/order/12", "/order/12345", "/ORDER/12/items"}, []string{"/order/1", "/x/order/12"}},
		{`/item/[a-f]+$`, []string{"/item/abc", "/ITEM/ABC"}, []string{"/item/abc/", "/item/abcg"}},
		{`/(?!private)[a-z]+`, []string{"/public"}, []string{"/private", "/privates", "/PRIVATE"}},
		{`/((?!api/).*)`, []string{"/web", "/apix"}, []string{"/api/x", "/API/x"}},
		{`/api/(?!v1|health).*`, []string{"/api/x", "/api/secret/health"}, []string{"/api/v1", "/api/health"}},
		{`/(?=a|b)[a-c]+`, []string{"/a", "/b"}, []string{"/c", "/cb"}},
		{`/(x(?!y))(a|b)?`, []string{"/x", "/xa"}, []string{"/xy"}},
		{`/a(?=/v[0-9])(/.*)`, []string{"/a/v1/x"}, []string{"/a/x"}},
		{`/u/(?<name>[a-z]+)`, []string{"/u/bob"}, []string{"/u/1"}},
		{`/team(/|$)(.*)`, []string{"/team", "/team/x"}, []string{"/teams"}},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, path := range c.yes {
			if !p.Match(path) {
				t.Errorf("%s does not match %s", c.pattern, path)
			}
		}
		for _, path := range c.no {
			if p.Match(path) {
				t.Errorf("%s matches %s", c.pattern, path)
			}
		}
	}
	for _, bad := range []string{`/bad[`, `/x.*(?!y)`, `/(?<!x)y`, `/a(?!b`, `/(api(?!x)|.*)`, `/(api(?!x))?.*`, `/(api(?!x)){0,1}.*`, `/api(?!x)|/.*`, `/api((?!x)y)*`, `/a(?!x)?`, `/(a{1000}){1000}`, `/(?!` + strings.Repeat("a{900}", 5) + `)`} {
		if _, err := ParsePattern(bad); err == nil {
			t.Errorf("%s compiles", bad)
		}
	}
	p, _ := ParsePattern(`/((?!api/)[^/]+)/(.*)`)
	if got := p.Groups("/web/x"); !slices.Equal(got, []string{"/web/x", "web", "x"}) {
		t.Errorf("groups are %q", got)
	}
}

// The longest pattern is tried first, of equal length the greater; other types come before.
func TestPatternOrder(t *testing.T) {
	var routes []*Route
	for _, path := range []string{"/m/[ab]", "/m/[bc]", "/a/.*", "/a/b/.*", "/"} {
		routes = append(routes, &Route{Host: "a.example", Path: path, PathType: Regexp, Target: path})
	}
	routes = append(routes, &Route{Host: "a.example", Path: "/", PathType: Exact, Target: "exact"})
	table, conflicts := Build(routes)
	if len(conflicts) > 0 {
		t.Error(conflicts)
	}
	slices.Reverse(routes)
	again, _ := upon(table, routes)
	for path, want := range map[string]string{"/m/a": "/m/[ab]", "/m/b": "/m/[bc]", "/a/b/x": "/a/b/.*", "/a/x": "/a/.*", "/else": "/", "/": "exact", "/%61/x": "/a/.*"} {
		p, err := CanonicalPath(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []*Table{table, again} {
			if r, _ := table.Lookup("a.example", p.Match); r == nil || r.Target != want {
				t.Errorf("%s: %+v, want %s", path, r, want)
			}
		}
	}
}
