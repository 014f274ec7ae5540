package router

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// This file is the package comment once more, as the simplest program that does what it
// says: loops over all routes. It shares no code with the implementation.

var hostName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// name returns the canonical form of a route's host without wildcard, or "" when no request
// can have it.
func name(host string) string {
	if literal, ok := strings.CutPrefix(host, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		if addr, err := netip.ParseAddr(literal); ok && err == nil && addr.Is6() && addr.Zone() == "" {
			return "[" + addr.String() + "]"
		}
		return ""
	}
	host = strings.TrimSuffix(host, ".")
	if !hostName.MatchString(host) {
		return ""
	}
	return strings.ToLower(host)
}

// concerns says how closely a route's host concerns a request's: 3 exact, 2 wildcard, 1
// hostless, 0 not at all.
func concerns(routeHost, host string) int {
	if routeHost == "" {
		return 1
	}
	if suffix, ok := strings.CutPrefix(routeHost, "*."); ok {
		n := name(suffix)
		label, rest, dot := strings.Cut(host, ".")
		if dot && label != "" && n != "" && n[0] != '[' && rest == n {
			return 2
		}
		return 0
	}
	if n := name(routeHost); n != "" && n == host {
		return 3
	}
	return 0
}

func isPath(r *Route) bool { return r.PathType >= Exact && r.PathType <= ImplementationSpecific }

// matches says whether a path route matches a request's path, and with how many elements.
func matches(r *Route, path string) (int, bool) {
	if path == "*" {
		return 0, false
	}
	want, wantSlash := elements("/" + r.Path)
	got, gotSlash := elements(path)
	if r.PathType == Exact {
		return len(want), slices.Equal(want, got) && wantSlash == gotSlash
	}
	return len(want), len(want) <= len(got) && slices.Equal(want, got[:len(want)])
}

// naiveLookup returns the routes that may answer, which are more than one only when nobody
// could tell them apart.
func naiveLookup(routes []*Route, host, path string) ([]*Route, Outcome) {
	closest := 0
	for _, r := range routes {
		if r.Host != "" || r.PathType == Default || isPath(r) {
			closest = max(closest, concerns(r.Host, host))
		}
	}
	if closest == 0 {
		return nil, NoHost
	}
	var best []*Route
	better := func(a, b *Route) int {
		na, _ := matches(a, path)
		nb, _ := matches(b, path)
		exact := func(r *Route) int {
			if r.PathType == Exact {
				return 0
			}
			return 1
		}
		return cmp.Or(
			exact(a)-exact(b),
			nb-na,
			int(a.PathType)-int(b.PathType),
			a.Origin.Compare(b.Origin),
			strings.Compare(a.Target, b.Target),
			strings.Compare(a.Path, b.Path),
			strings.Compare(a.Host, b.Host),
		)
	}
	consider := func(r *Route) {
		switch {
		case len(best) == 0 || better(r, best[0]) < 0:
			best = []*Route{r}
		case better(r, best[0]) == 0:
			best = append(best, r)
		}
	}
	for _, r := range routes {
		if concerns(r.Host, host) == closest && isPath(r) {
			if _, ok := matches(r, path); ok {
				consider(r)
			}
		}
	}
	if best != nil {
		return best, Matched
	}
	for _, r := range routes {
		if concerns(r.Host, host) == closest && r.PathType == Default {
			if len(best) == 0 {
				best = []*Route{r}
				continue
			}
			c := cmp.Or(
				r.Origin.Compare(best[0].Origin),
				strings.Compare(r.Target, best[0].Target),
				strings.Compare(r.Path, best[0].Path),
				strings.Compare(r.Host, best[0].Host),
			)
			if c < 0 {
				best = []*Route{r}
			} else if c == 0 {
				best = append(best, r)
			}
		}
	}
	if best != nil {
		return best, MatchedDefault
	}
	return nil, NoPath
}

// sameClaim says whether two routes conflict, or would if they had not the same Origin and
// Target.
func sameClaim(a, b *Route) bool {
	if a.PathType != b.PathType || a.PathType == HostOnly || hostText(a.Host) != hostText(b.Host) {
		return false
	}
	if a.PathType == Default {
		return true
	}
	ea, sa := elements("/" + a.Path)
	eb, sb := elements("/" + b.Path)
	return slices.Equal(ea, eb) && (a.PathType != Exact || sa == sb)
}

func hostText(host string) string {
	suffix, wildcard := strings.CutPrefix(host, "*.")
	if n := name(suffix); n != "" && !(wildcard && n[0] == '[') {
		return strings.TrimSuffix(host, suffix) + n
	}
	return "not a host: " + strings.ToLower(host)
}

// loses says that b is served rather than a when both claim the same.
func loses(a, b *Route) bool {
	return cmp.Or(
		b.Origin.Compare(a.Origin),
		strings.Compare(b.Target, a.Target),
		strings.Compare(b.Path, a.Path),
		strings.Compare(b.Host, a.Host),
	) < 0
}

// checkTable compares Build and Lookup with the naive reading.
func checkTable(t *testing.T, routes []*Route, requests [][2]string) {
	t.Helper()
	table, conflicts := Build(routes)
	for _, rq := range requests {
		host, err := CanonicalHost(rq[0])
		if err != nil {
			continue
		}
		path, err := CanonicalPath(rq[1])
		if err != nil {
			continue
		}
		want, wantOutcome := naiveLookup(routes, host, rq[1])
		got, outcome := table.Lookup(host, path.Match)
		if outcome != wantOutcome || (got == nil) != (len(want) == 0) || got != nil && !slices.Contains(want, got) {
			t.Errorf("%q %q: got %s, want %v of\n%s", rq[0], rq[1], show(got, outcome), wantOutcome, list(want))
		}
	}

	served := table.Routes()
	lost := map[*Route]*Route{}
	for _, c := range conflicts {
		if lost[c.Loser] != nil {
			t.Errorf("two conflicts for one loser, the second: %v", c)
		}
		lost[c.Loser] = c.Winner
		checkExample(t, routes, c)
	}
	for _, r := range routes {
		winner := r
		for _, other := range routes {
			if sameClaim(r, other) && loses(winner, other) {
				winner = other
			}
		}
		wantConflict := r.PathType != HostOnly && (winner.Origin != r.Origin || winner.Target != r.Target)
		if got := lost[r]; (got != nil) != wantConflict || got != nil && loses(got, winner) {
			t.Errorf("conflict for %slost to %swant %v, to %s", list([]*Route{r}), list([]*Route{got}), wantConflict, list([]*Route{winner}))
		}
		if wantConflict && slices.Contains(served, r) {
			t.Errorf("loser is served: %s", list([]*Route{r}))
		}
	}
	if t.Failed() {
		t.Logf("routes:\n%stable:\n%s", list(routes), table)
	}
}

// checkExample follows a Conflict's example as a request.
func checkExample(t *testing.T, routes []*Route, c Conflict) {
	t.Helper()
	host, path, ok := strings.Cut(strings.TrimPrefix(c.Example, "http://"), "/")
	if !ok {
		t.Errorf("example %q: want a URL with a path", c.Example)
		return
	}
	for _, r := range []*Route{c.Winner, c.Loser} {
		if isPath(r) {
			if _, ok := matches(r, "/"+path); !ok {
				t.Errorf("example %q is not matched by %s", c.Example, list([]*Route{r}))
			}
		}
		if strings.HasPrefix(hostText(r.Host), "not a host") && r.Host != "" {
			continue
		}
		for _, other := range routes {
			if concerns(other.Host, host) > concerns(r.Host, host) && (other.Host != "" || other.PathType != HostOnly) {
				t.Errorf("example %q is for %s not for %s", c.Example, list([]*Route{other}), list([]*Route{r}))
			}
		}
		if concerns(r.Host, host) == 0 {
			t.Errorf("example %q does not concern host %q", c.Example, r.Host)
		}
	}
}

func list(routes []*Route) string {
	var b strings.Builder
	for _, r := range routes {
		if r == nil {
			b.WriteString("nothing\n")
			continue
		}
		fmt.Fprintf(&b, "%q %q %v %s %v %s\n", r.Host, r.Path, r.PathType, r.Target, r.Origin, r.Origin.Created.Format(time.DateOnly))
	}
	return b.String()
}

// The worlds the random tests are made of are small, so that routes and requests meet.
var (
	routeHosts   = []string{"", "x.a", "y.a", "*.a", "a", "*.x.a", "X.A", "x.a.", "*.A", "*", "x..a", "[::1]", "10.0.0.1", "any-host", "any-host.a"}
	requestHosts = []string{"", "x.a", "X.A.:80", "y.a", "z.a", "a", "w.x.a", "v.w.x.a", "other", "[::1]:80", "10.0.0.1"}
	pathElements = []string{"a", "b", "ab", "%61", "A", "a%2Fb", "sp%20ace", ".", "..", "%2e.", "", "x%3Ay"}
	ruleElements = append([]string{"sp ace", "100%", "x:y", "%zz"}, pathElements...)
)

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

func randomPath(rnd *rand.Rand, elements []string) string {
	var b strings.Builder
	for range rnd.IntN(4) {
		// The first few elements make most paths, so that they have much in common.
		b.WriteString("/" + elements[min(rnd.IntN(len(elements)), rnd.IntN(len(elements)))])
	}
	if rnd.IntN(3) == 0 {
		b.WriteString("/")
	}
	return b.String()
}

func randomRoute(rnd *rand.Rand) *Route {
	r := &Route{
		Host:     pick(rnd, routeHosts),
		Path:     randomPath(rnd, ruleElements),
		PathType: Exact + PathType(rnd.IntN(5)),
		Target:   fmt.Sprintf("svc-%d:80", rnd.IntN(3)),
		Origin: Origin{
			Namespace: pick(rnd, []string{"n1", "n2"}),
			Name:      pick(rnd, []string{"i1", "i2"}),
		},
	}
	if d := rnd.IntN(3); d > 0 {
		r.Origin.Created = time.Date(2025, 1, d, 0, 0, 0, 0, time.UTC)
	}
	return r
}

func randomRoutes(rnd *rand.Rand) []*Route {
	routes := make([]*Route, rnd.IntN(40))
	for i := range routes {
		routes[i] = randomRoute(rnd)
	}
	return routes
}

func randomRequests(rnd *rand.Rand, n int) [][2]string {
	requests := make([][2]string, n)
	for i := range requests {
		requests[i] = [2]string{pick(rnd, requestHosts), randomPath(rnd, pathElements)}
	}
	requests[0][1] = "*"
	return requests
}

func TestOracle(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 200
	}
	outcomes := map[Outcome]int{}
	for seed := range n {
		rnd := rand.New(rand.NewPCG(1, uint64(seed)))
		routes, requests := randomRoutes(rnd), randomRequests(rnd, 40)
		for _, rq := range requests {
			if host, err := CanonicalHost(rq[0]); err == nil {
				_, o := naiveLookup(routes, host, rq[1])
				outcomes[o]++
			}
		}
		checkTable(t, routes, requests)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for o := NoHost; o <= MatchedDefault; o++ {
		if outcomes[o] < n {
			t.Errorf("outcome %v came up %d times in %d tables: the worlds are badly chosen", o, outcomes[o], n)
		}
	}
}

func FuzzLookup(f *testing.F) {
	f.Fuzz(func(t *testing.T, text, host, path string) {
		routes, err := parseRoutes(text)
		if err != nil || len(routes) > 20 {
			return // the naive loops are slow
		}
		requests := [][2]string{{host, path}}
		for _, r := range routes {
			requests = append(requests, [2]string{r.Host, path}, [2]string{host, r.Path}, [2]string{r.Host, r.Path},
				[2]string{"l." + strings.TrimPrefix(r.Host, "*."), r.Path + "/x"})
		}
		checkTable(t, routes, requests)
	})
}
