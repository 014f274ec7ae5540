package router

import (
	"strings"
	"testing"
	"time"
)

func TestConflicts(t *testing.T) {
	for _, tt := range []struct {
		name, routes string
		table        string // targets in dump order
		conflicts    string // WINNER LOSER EXAMPLE, targets
	}{
		{
			"the older wins", `
			foo.com /a Prefix new n/a 2
			foo.com /a Prefix old n/z 1`,
			"old", "old new http://foo.com/a",
		},
		{
			"no time is the oldest", `
			foo.com /a Prefix new n/a 1
			foo.com /a Prefix old n/z`,
			"old", "old new http://foo.com/a",
		},
		{
			"of one age the first namespace wins", `
			foo.com /a Prefix second b/a 1
			foo.com /a Prefix first a/z 1`,
			"first", "first second http://foo.com/a",
		},
		{
			"of one namespace the first name wins", `
			foo.com /a Exact second n/b 1
			foo.com /a Exact first n/a 1`,
			"first", "first second http://foo.com/a",
		},
		{
			"within one object the first target wins", `
			foo.com /a Prefix y:80 n/i 1
			foo.com /a Prefix x:80 n/i 1`,
			"x:80", "x:80 y:80 http://foo.com/a",
		},
		{
			"the same twice in one object is silent", `
			foo.com /a Prefix x n/i 1
			foo.com /a/ Prefix x n/i 1
			FOO.com /a Prefix x n/i 1`,
			"x", "",
		},
		{
			"the same target from two objects is not", `
			foo.com /a Prefix x n/i 1
			foo.com /a Prefix x n/j 1`,
			"x", "x x http://foo.com/a",
		},
		{
			"each loser meets the winner", `
			foo.com /a Prefix a n/a
			foo.com /a Prefix b n/b
			foo.com /a Prefix c n/c`,
			"a", "a b http://foo.com/a\na c http://foo.com/a",
		},
		{
			"a Prefix with and without trailing slash", `
			foo.com /a/ Prefix a n/a
			foo.com /a Prefix b n/b
			foo.com /c ImplementationSpecific c n/c
			foo.com /c/ ImplementationSpecific d n/d`,
			"a c", "a b http://foo.com/a\nc d http://foo.com/c",
		},
		{
			"an Exact with and without is two", `
			foo.com /a/ Exact a n/a
			foo.com /a Exact b n/b`,
			"b a", "",
		},
		{
			"path types are apart", `
			foo.com /a ImplementationSpecific i n/a
			foo.com /a Prefix p n/b
			foo.com /a Exact e n/c`,
			"e p i", "",
		},
		{
			"hosts and paths are compared in canonical form", `
			FOO.com. /x/../a%3ab/sp␠ace Exact a n/a
			foo.com //a:b/sp%20ace Exact b n/b`,
			"a", "a b http://foo.com/a:b/sp%20ace",
		},
		{
			"Default", `
			foo.com - Default a n/a
			foo.com /ignored Default b n/b
			* - Default c n/c
			* - Default d n/d
			foo.com / Prefix p n/p`,
			"p a c", "a b http://foo.com/\nc d http://any-host/",
		},
		{
			"HostOnly conflicts with nothing", `
			foo.com - HostOnly a n/b
			foo.com - HostOnly b n/a`,
			"b", "",
		},
		{
			"the example of a wildcard is no exact host", `
			*.foo.com /a Prefix a n/a
			*.foo.com /a Prefix b n/b
			any-host.foo.com / Prefix c n/c
			any-host-2.foo.com - HostOnly d n/d`,
			"d c a", "a b http://any-host-3.foo.com/a",
		},
		{
			"the example of a hostless route is a host without routes", `
			* /a Prefix a n/a
			* /a Prefix b n/b
			any-host / Prefix c n/c`,
			"c a", "a b http://any-host-2/a",
		},
		{
			"sorted by host, path, type", `
			* /a Prefix h1 n/a
			* /a Prefix h2 n/b
			*.b /a Prefix g1 n/a
			*.b /a Prefix g2 n/b
			z.b /b Prefix f1 n/a
			z.b /b Prefix f2 n/b
			z.b /a ImplementationSpecific e1 n/a
			z.b /a ImplementationSpecific e2 n/b
			z.b /a Exact d1 n/a
			z.b /a Exact d2 n/b
			a.b /z Prefix c1 n/a
			a.b /z Prefix c2 n/b`,
			"c1 d1 e1 f1 g1 h1", `c1 c2 http://a.b/z
			d1 d2 http://z.b/a
			e1 e2 http://z.b/a
			f1 f2 http://z.b/b
			g1 g2 http://any-host.b/a
			h1 h2 http://any-host/a`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, conflicts := Build(mustRoutes(t, tt.routes))
			var targets, got []string
			for _, r := range table.Routes() {
				targets = append(targets, r.Target)
			}
			for _, c := range conflicts {
				got = append(got, c.Winner.Target+" "+c.Loser.Target+" "+c.Example)
			}
			if s := strings.Join(targets, " "); s != tt.table {
				t.Errorf("table has %q, want %q", s, tt.table)
			}
			if s, want := strings.Join(got, "\n"), strings.ReplaceAll(tt.conflicts, "\t", ""); s != want {
				t.Errorf("conflicts:\n%s\nwant:\n%s", s, want)
			}
		})
	}
}

// An example depends on other hosts than its own. It follows them when its own is shared.
func TestConflictExampleFollowsOtherHosts(t *testing.T) {
	routes := mustRoutes(t, `
		*.foo.com /a Prefix a n/a
		*.foo.com /a Prefix b n/b
		any-host.foo.com / Prefix c n/c`)
	table, conflicts := Build(routes[:2])
	if got, want := conflicts[0].Example, "http://any-host.foo.com/a"; got != want {
		t.Errorf("example %s, want %s", got, want)
	}
	_, conflicts = upon(table, routes)
	if got, want := conflicts[0].Example, "http://any-host-2.foo.com/a"; got != want {
		t.Errorf("example with that host taken %s, want %s", got, want)
	}
}

// The time zone an object's age is written in does not make it another object.
func TestConflictTimeZone(t *testing.T) {
	utc := mustRoutes(t, "foo.com /a Prefix x n/i 1")[0]
	local := *utc
	local.Origin.Created = utc.Origin.Created.In(time.FixedZone("east", 3600))
	if _, conflicts := Build([]*Route{utc, &local}); len(conflicts) != 0 {
		t.Errorf("conflicts %v, want none", conflicts)
	}
}

func TestConflictString(t *testing.T) {
	for _, tt := range []struct{ routes, want string }{
		{
			`foo.com /a Prefix n/x:80 n/old 1
		  foo.com /a/ Prefix n/y:80 n/new 2`,
			`Prefix "/a/" on foo.com of n/new to n/y:80 matches the same requests as Prefix "/a" on foo.com of n/old to n/x:80, like http://foo.com/a; the latter is served: it is older`,
		},
		{
			`*.foo.com /a Exact n/x:80 n/a
		  *.foo.com /a Exact n/y:80 n/b`,
			`Exact "/a" on *.foo.com of n/b to n/y:80 matches the same requests as Exact "/a" on *.foo.com of n/a to n/x:80, like http://any-host.foo.com/a; the latter is served: it comes first by namespace and name`,
		},
		{
			`* - Default n/x:80 n/a
		  * - Default n/y:80 n/a`,
			`Default on * of n/a to n/y:80 matches the same requests as Default on * of n/a to n/x:80, like http://any-host/; the latter is served: it comes first by target`,
		},
	} {
		_, conflicts := Build(mustRoutes(t, tt.routes))
		if len(conflicts) != 1 || conflicts[0].String() != tt.want {
			t.Errorf("got  %v\nwant [%s]", conflicts, tt.want)
		}
	}
}
