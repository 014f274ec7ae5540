package router

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// fleet is hosts with four paths each, every tenth of them a wildcard, as a cluster with
// one Ingress per host would have them.
func fleet(hosts int) []*Route {
	created := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	var routes []*Route
	for i := range hosts {
		host := fmt.Sprintf("app-%d.team-%d.example.com", i, i%97)
		if i%10 == 9 {
			host = fmt.Sprintf("*.app-%d.team-%d.example.com", i, i%97)
		}
		origin := Origin{
			Namespace: fmt.Sprintf("team-%d", i%97),
			Name:      fmt.Sprintf("app-%d", i),
			Created:   created.Add(time.Duration(i) * time.Minute),
		}
		for _, p := range []struct {
			path string
			t    PathType
		}{
			{"/", Prefix}, {"/api/v1", Prefix}, {"/static/", Prefix}, {"/healthz", Exact},
		} {
			routes = append(routes, &Route{
				Host: host, Path: p.path, PathType: p.t,
				Origin: origin, Target: "team/app:80",
			})
		}
	}
	return routes
}

// wideHost is one host with many paths, of one to three elements.
func wideHost(paths int) []*Route {
	var routes []*Route
	for i := range paths {
		r := &Route{Host: "wide.example.com", Path: fmt.Sprintf("/service-%d", i), PathType: Prefix}
		switch i % 4 {
		case 1:
			r.Path = fmt.Sprintf("/api/service-%d", i)
		case 2:
			r.Path = fmt.Sprintf("/api/v2/service-%d/", i)
		case 3:
			r.PathType = Exact
		}
		routes = append(routes, r)
	}
	return routes
}

func BenchmarkLookup(b *testing.B) {
	for _, hosts := range []int{10, 1_000, 100_000} {
		t, _ := Build(fleet(hosts))
		n := min(hosts/2, 1000) // enough hosts to leave the innermost caches
		names := func(format string, last int) []string {
			var s []string
			for k := range n {
				i := (k*(hosts/n))/10*10 + last
				s = append(s, fmt.Sprintf(format, i, i%97))
			}
			return s
		}
		exact := names("app-%d.team-%d.example.com", 3)
		wildcard := names("www.app-%d.team-%d.example.com", 9)
		for _, bb := range []struct {
			name, path string
			hosts      []string
			want       Outcome
		}{
			{"exact", "/healthz", exact, Matched},
			{"prefix", "/api/v1/users/17", exact, Matched},
			{"wildcard", "/api/v1/users/17", wildcard, Matched},
			{"miss", "/api/v1/users/17", []string{"www.other.example.com"}, NoHost},
		} {
			b.Run(fmt.Sprintf("hosts=%d/%s", hosts, bb.name), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if _, o := t.Lookup(bb.hosts[i], bb.path); o != bb.want {
						b.Fatalf("Lookup(%q, %q) = %v, want %v", bb.hosts[i], bb.path, o, bb.want)
					}
					if i++; i == len(bb.hosts) {
						i = 0
					}
				}
			})
		}
	}
}

func BenchmarkLookupWideHost(b *testing.B) {
	for _, paths := range []int{4, 2_000} {
		routes := append(wideHost(paths), &Route{Host: "wide.example.com", Path: "/", PathType: Prefix})
		t, _ := Build(routes)
		var requests []string
		for _, r := range routes[:paths] {
			requests = append(requests, ruleMatch(r.Path, r.PathType))
		}
		for _, bb := range []struct {
			name     string
			requests []string
		}{
			{"hit", requests},
			{"miss", []string{"/api/v2/service-x/y"}},
		} {
			b.Run(fmt.Sprintf("paths=%d/%s", paths, bb.name), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if _, o := t.Lookup("wide.example.com", bb.requests[i]); o != Matched {
						b.Fatalf("Lookup of %q = %v", bb.requests[i], o)
					}
					if i++; i == len(bb.requests) {
						i = 0
					}
				}
			})
		}
	}
}

// BenchmarkBuild is 10,000 hosts with 40,000 routes, from nothing.
func BenchmarkBuild(b *testing.B) {
	routes := fleet(10_000)
	b.ReportAllocs()
	for b.Loop() {
		Build(routes)
	}
}

// BenchmarkWith is one host of 10,000 whose routes change.
func BenchmarkWith(b *testing.B) {
	routes := fleet(10_000)
	b.ReportAllocs()
	t, _ := Build(routes)
	for i := 0; b.Loop(); i = (i + 4_000) % len(routes) {
		host := slices.Clone(routes[i : i+4])
		changed := *host[1]
		changed.Target = fmt.Sprintf("team/app-%d:80", i)
		host[1] = &changed
		t, _ = t.With([]HostRoutes{{changed.Host, host}})
	}
}

// BenchmarkBuildScattered is BenchmarkBuild when no two routes of a host are neighbours.
func BenchmarkBuildScattered(b *testing.B) {
	routes := fleet(10_000)
	slices.SortStableFunc(routes, func(a, b *Route) int { return len(a.Path) - len(b.Path) })
	b.ReportAllocs()
	for b.Loop() {
		Build(routes)
	}
}

func BenchmarkCanonicalPath(b *testing.B) {
	for _, bb := range []struct{ name, path string }{
		{"canonical", "/api/v1/users/17/avatar.png"},
		{"escapes", "/files/sp%20ace/na%C3%AFve"},
		{"rewritten", "/files//sp%20ace/%7Euser"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := CanonicalPath(bb.path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCanonicalHost(b *testing.B) {
	for _, bb := range []struct{ name, host string }{
		{"canonical", "app-17.team-3.example.com"},
		{"port", "app-17.team-3.example.com:8443"},
		{"upper", "App-17.Team-3.Example.com"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := CanonicalHost(bb.host); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
