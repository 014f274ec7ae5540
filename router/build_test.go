package router

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"weak"
)

func TestBuildEmpty(t *testing.T) {
	table, conflicts := Build(nil)
	if len(conflicts) != 0 || len(table.Routes()) != 0 || table.String() != "" {
		t.Errorf("Build(nil) = %q, %v, want nothing", table, conflicts)
	}
	if r, o := table.Lookup("foo.com", "/"); r != nil || o != NoHost {
		t.Errorf("Lookup = %v, %v, want nothing and NoHost", r, o)
	}
}

// Any order of the same routes makes the same dump, the same conflicts and the same answers.
func TestBuildOrderHasNoMeaning(t *testing.T) {
	for seed := range 200 {
		rnd := rand.New(rand.NewPCG(2, uint64(seed)))
		routes, requests := randomRoutes(rnd), randomRequests(rnd, 40)
		answers := func(table *Table) []string {
			var s []string
			for _, rq := range requests {
				if p, err := CanonicalPath(rq[1]); err == nil {
					host, _ := CanonicalHost(rq[0])
					r, o := table.Lookup(host, p.Match)
					s = append(s, show(r, o)+" "+list([]*Route{r}))
				}
			}
			return s
		}
		texts := func(conflicts []Conflict) []string {
			var s []string
			for _, c := range conflicts {
				s = append(s, c.String())
			}
			return s
		}
		first, firstConflicts := Build(routes)
		for range 5 {
			shuffled := slices.Clone(routes)
			rnd.Shuffle(len(routes), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			// A Table to share with must make no difference either.
			table, conflicts := upon(first, shuffled)
			if got, want := table.String(), first.String(); got != want {
				t.Fatalf("seed %d: dump\n%s\nin another order\n%s", seed, want, got)
			}
			if got, want := texts(conflicts), texts(firstConflicts); !slices.Equal(got, want) {
				t.Fatalf("seed %d: conflicts\n%s\nin another order\n%s", seed, strings.Join(want, "\n"), strings.Join(got, "\n"))
			}
			if got, want := answers(table), answers(first); !slices.Equal(got, want) {
				t.Fatalf("seed %d: answers\n%q\nin another order\n%q", seed, want, got)
			}
		}
	}
}

// Even routes whose lines in the dump are the same have an order of their own.
func TestBuildOrderOfNearTwins(t *testing.T) {
	for _, twins := range [][2]*Route{
		{{Host: "FOO.com", PathType: Exact}, {Host: "foo.com", PathType: Exact}},
		{{PathType: Prefix, Path: "//a"}, {PathType: Prefix, Path: "/a"}},
		{{PathType: Default, Path: "/a"}, {PathType: Default, Path: "/b"}},
		{{Host: "a", PathType: HostOnly, Target: "1"}, {Host: "a", PathType: HostOnly, Target: "2"}},
	} {
		for _, order := range [][]*Route{{twins[0], twins[1]}, {twins[1], twins[0]}} {
			if table, _ := Build(order); !slices.Equal(table.Routes(), twins[:1]) {
				t.Errorf("of\n%sgot\n%swant the first", list(order), list(table.Routes()))
			}
		}
	}
}

// A chain of random edits, each built upon the last Table, is as if each was built alone.
func TestWithIsBuild(t *testing.T) {
	for seed := range 20 {
		rnd := rand.New(rand.NewPCG(3, uint64(seed)))
		routes := randomRoutes(rnd)
		var prev *Table
		var before []*Route
		for step := range 40 {
			for range rnd.IntN(4) {
				switch at := rnd.IntN(len(routes) + 1); rnd.IntN(4) {
				case 0:
					routes = slices.Insert(slices.Clone(routes), at, randomRoute(rnd))
				case 1:
					if at < len(routes) {
						routes = slices.Delete(slices.Clone(routes), at, at+1)
					}
				case 2:
					if at < len(routes) {
						changed := *routes[at]
						changed.Target = "changed-" + strconv.Itoa(step)
						routes = slices.Clone(routes)
						routes[at] = &changed
					}
				case 3:
					routes = slices.Clone(routes)
					rnd.Shuffle(len(routes), func(i, j int) { routes[i], routes[j] = routes[j], routes[i] })
				}
			}
			got, gotConflicts := prev.With(edits(before, routes))
			want, wantConflicts := Build(routes)
			if !slices.Equal(got.Routes(), want.Routes()) {
				t.Fatalf("seed %d step %d: routes\n%s\nbuilt alone\n%s", seed, step, list(got.Routes()), list(want.Routes()))
			}
			if !slices.Equal(gotConflicts, wantConflicts) {
				t.Fatalf("seed %d step %d: conflicts\n%v\nbuilt alone\n%v", seed, step, gotConflicts, wantConflicts)
			}
			// The structure itself, so that no lookup can differ.
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d step %d: the tables differ", seed, step)
			}
			fresh, gone := got.Difference(prev)
			if !slices.Equal(fresh, without(got, prev)) || !slices.Equal(gone, without(prev, got)) {
				t.Fatalf("seed %d step %d: fresh\n%s\ngone\n%s", seed, step, list(fresh), list(gone))
			}
			prev, before = got, routes
		}
	}
}

// without is what of a is not in b.
func without(a, b *Table) []*Route {
	others := b.Routes()
	return slices.DeleteFunc(a.Routes(), func(r *Route) bool { return slices.Contains(others, r) })
}

// edits are the hosts whose routes are others, or in another order, after than before.
func edits(before, after []*Route) []HostRoutes {
	had := make(map[string]HostRoutes)
	for _, g := range groupByHost(before) {
		had[HostKey(g.Host)] = g
	}
	var changed []HostRoutes
	for _, g := range groupByHost(after) {
		if !slices.Equal(had[HostKey(g.Host)].Routes, g.Routes) {
			changed = append(changed, g)
		}
		delete(had, HostKey(g.Host))
	}
	for _, g := range had {
		changed = append(changed, HostRoutes{Host: g.Host})
	}
	return changed
}

// upon is the Table of routes, made by replacing every host of t.
func upon(t *Table, routes []*Route) (*Table, []Conflict) {
	hosts := groupByHost(routes)
	for _, h := range t.order {
		if !slices.ContainsFunc(hosts, func(r HostRoutes) bool { return HostKey(r.Host) == h.key }) {
			hosts = append(hosts, HostRoutes{Host: h.name})
		}
	}
	return t.With(hosts)
}

func TestWithSharesUnchangedHosts(t *testing.T) {
	routes := fleet(20)
	first, _ := Build(routes)
	changed := *routes[0]
	changed.Target = "other"
	edited := slices.Clone(routes)
	edited[0] = &changed
	second, _ := first.With(edits(routes, edited))
	for key, h := range second.hosts {
		shared := h == first.hosts[key]
		if want := key != HostKey(changed.Host); shared != want {
			t.Errorf("host %s: shared %v, want %v", keyHost(key), shared, want)
		}
	}
	// A host with one route less is another host.
	third, _ := second.With(edits(edited, edited[1:]))
	if key := HostKey(changed.Host); third.hosts[key] == second.hosts[key] {
		t.Errorf("host %s lost a route and was shared", key)
	}
}

// A Table built upon another keeps alive neither it nor the routes it does not serve.
func TestWithKeepsNothingOfPrevious(t *testing.T) {
	routes := fleet(20)
	prev, _ := Build(routes)
	table, route := weak.Make(prev), weak.Make(routes[0])
	next, _ := prev.With(edits(routes, routes[1:]))
	routes, prev = nil, nil // what they held must not be kept alive by them
	deadline := time.Now().Add(10 * time.Second)
	for table.Value() != nil || route.Value() != nil {
		if time.Now().After(deadline) {
			t.Fatalf("still alive: previous table %v, its route %v", table.Value() != nil, route.Value() != nil)
		}
		runtime.GC()
	}
	runtime.KeepAlive(next)
}

func TestBuildDoesNotKeepOrChangeItsInput(t *testing.T) {
	routes := fleet(5)
	given := slices.Clone(routes)
	table, _ := Build(routes)
	if !slices.Equal(routes, given) {
		t.Fatal("Build changed the order of its input")
	}
	want := table.String()
	clear(routes)
	if got := table.String(); got != want {
		t.Errorf("the table changed with the slice it was built from:\n%s", got)
	}
	again, _ := upon(table, given)
	if got := again.String(); got != want {
		t.Errorf("built upon it:\n%s\nwant\n%s", got, want)
	}
}

// What Routes returns is the caller's.
func TestRoutesIsACopy(t *testing.T) {
	table := mustBuild(t, "foo.com /a Prefix a n/i\nfoo.com /b Prefix b n/i")
	want := table.String()
	clear(table.Routes())
	if got := table.String(); got != want {
		t.Errorf("the table changed with what Routes returned:\n%s", got)
	}
}
