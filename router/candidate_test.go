package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestCandidates(t *testing.T) {
	const routes = `
		a.foo.com /         Prefix  root
		a.foo.com /x        Prefix  x
		a.foo.com /x        ImplementationSpecific  spec
		a.foo.com /x        Exact   exact
		a.foo.com /x/y      Prefix  xy
		a.foo.com /x/y      Prefix  later b/later
		a.foo.com -         Default default
		*.foo.com /x        Prefix  wild
		*         /x/y      Prefix  hostless`
	for _, tt := range []struct{ host, path, want string }{
		{"a.foo.com", "/x", `
			root     ExactFirst
			x        ExactFirst
			spec     ExactFirst
			exact    Won
			xy       OtherPath
			later    OtherPath
			default  PathMatched
			wild     OtherHost
			hostless OtherHost`},
		{"a.foo.com", "/x/y/z", `
			root     Shorter
			x        Shorter
			spec     Shorter
			exact    OtherPath
			xy       Won
			later    Displaced by xy
			default  PathMatched
			wild     OtherHost
			hostless OtherHost`},
		{"a.foo.com", "/x/", `
			root     Shorter
			x        Won
			spec     LaterType
			exact    OtherPath
			xy       OtherPath
			later    OtherPath
			default  PathMatched
			wild     OtherHost
			hostless OtherHost`},
		{"a.foo.com", "*", `
			root     OtherPath
			x        OtherPath
			spec     OtherPath
			exact    OtherPath
			xy       OtherPath
			later    OtherPath
			default  Won
			wild     OtherHost
			hostless OtherHost`},
		{"b.foo.com", "/", `
			wild     OtherPath
			hostless OtherHost`},
		{"foo.com", "/x/y", `
			hostless Won`},
		{"", "/x", `
			hostless OtherPath`},
	} {
		table, _ := Build(mustRoutes(t, routes))
		got := make(map[string]string)
		for _, c := range table.Candidates(tt.host, tt.path) {
			text := c.Loss.String()
			if c.Loss == Displaced {
				text += " by " + c.By.Target
			}
			got[c.Route.Target] = text
		}
		want := make(map[string]string)
		for line := range strings.Lines(strings.TrimSpace(tt.want)) {
			target, text, _ := strings.Cut(strings.TrimSpace(line), " ")
			want[target] = strings.TrimSpace(text)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s%s: got %v, want %v", tt.host, tt.path, got, want)
		}
	}
	if got := (*Table)(nil).Candidates("a", "/"); got != nil {
		t.Errorf("nil table: %v", got)
	}
}

// The winner among the candidates is what Lookup returns, and every other reason holds when
// the candidate is put to the test: with the winner gone it may answer, or it may not.
func TestCandidatesAgreeWithLookup(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 11))
	for range 2000 {
		routes := randomRoutes(rnd)
		table, conflicts := Build(routes)
		lost := make(map[*Route]bool)
		for _, c := range conflicts {
			lost[c.Loser] = true
		}
		for _, q := range randomRequests(rnd, 5) {
			host, err := CanonicalHost(q[0])
			if err != nil {
				continue
			}
			path, err := CanonicalPath(q[1])
			if err != nil {
				continue
			}
			want, _ := table.Lookup(host, path.Match)
			var won []*Route
			for _, c := range table.Candidates(host, path.Match) {
				if lost[c.Route] && c.Loss == Won || !lost[c.Route] && c.Loss == Displaced {
					t.Fatalf("%s%s: conflict loser %v is %s\n%s", host, path.Match, lost[c.Route], c.Loss, table)
				}
				alone, _ := Build([]*Route{c.Route})
				answered, _ := alone.Lookup(host, path.Match)
				if c.Loss == OtherPath && answered != nil || c.Loss != OtherPath && c.Loss != OtherHost && answered == nil {
					t.Fatalf("%s%s: %s of %+v, but alone it answers %v", host, path.Match, c.Loss, c.Route, answered != nil)
				}
				if c.Loss == Won {
					won = append(won, c.Route)
				}
			}
			if want == nil && won != nil || want != nil && !slices.Equal(won, []*Route{want}) {
				t.Fatalf("%s%s: Lookup has %v, candidates %v\n%s", host, path.Match, want, won, table)
			}
		}
	}
}

func TestHosts(t *testing.T) {
	table, _ := Build(mustRoutes(t, "b.com / Prefix b\n*.b.com / Prefix w\n* / Prefix h\nA.com / Prefix a"))
	if got := table.Hosts(); !slices.Equal(got, []string{"a.com", "b.com", "*.b.com", "*"}) {
		t.Error(got)
	}
	if got := (*Table)(nil).Hosts(); len(got) != 0 {
		t.Error(got)
	}
}
