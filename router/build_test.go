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
	table, conflicts := Build(nil, nil)
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
		first, firstConflicts := Build(routes, nil)
		for range 5 {
			shuffled := slices.Clone(routes)
			rnd.Shuffle(len(routes), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			// A Table to share with must make no difference either.
			table, conflicts := Build(shuffled, first)
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
			if table, _ := Build(order, nil); !slices.Equal(table.Routes(), twins[:1]) {
				t.Errorf("of\n%sgot\n%swant the first", list(order), list(table.Routes()))
			}
		}
	}
}

// A chain of random edits, each built upon the last Table, is as if each was built alone.
func TestBuildUponPrevious(t *testing.T) {
	for seed := range 20 {
		rnd := rand.New(rand.NewPCG(3, uint64(seed)))
		routes := randomRoutes(rnd)
		var prev *Table
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
			got, gotConflicts := Build(routes, prev)
			want, wantConflicts := Build(routes, nil)
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
			prev = got
		}
	}
}

func TestBuildSharesUnchangedHosts(t *testing.T) {
	routes := fleet(20)
	first, _ := Build(routes, nil)
	changed := *routes[0]
	changed.Target = "other"
	edited := slices.Clone(routes)
	edited[0] = &changed
	second, _ := Build(edited, first)
	for key, h := range second.hosts {
		shared := h == first.hosts[key]
		if want := key != hostKey(changed.Host); shared != want {
			t.Errorf("host %s: shared %v, want %v", keyHost(key), shared, want)
		}
	}
	// A host with one route less is another host.
	third, _ := Build(edited[1:], second)
	if key := hostKey(changed.Host); third.hosts[key] == second.hosts[key] {
		t.Errorf("host %s lost a route and was shared", key)
	}
}

// A Table built upon another keeps alive neither it nor the routes it does not serve.
func TestBuildKeepsNothingOfPrevious(t *testing.T) {
	routes := fleet(20)
	prev, _ := Build(routes, nil)
	table, route := weak.Make(prev), weak.Make(routes[0])
	next, _ := Build(routes[1:], prev)
	routes, prev = nil, nil //nolint:ineffassign // what they held must not be kept alive by them
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
	table, _ := Build(routes, nil)
	if !slices.Equal(routes, given) {
		t.Fatal("Build changed the order of its input")
	}
	want := table.String()
	clear(routes)
	if got := table.String(); got != want {
		t.Errorf("the table changed with the slice it was built from:\n%s", got)
	}
	again, _ := Build(given, table)
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
