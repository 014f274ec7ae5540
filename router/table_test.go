package router

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

// lookup is what a proxy does with the host and the path of a request.
func lookup(t testing.TB, table *Table, host, path string) (*Route, Outcome) {
	t.Helper()
	h, err := CanonicalHost(host)
	if err != nil {
		t.Fatal(err)
	}
	p, err := CanonicalPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return table.Lookup(h, p.Match)
}

// show is the answer of Lookup as the tests write it: the Target with its Outcome when
// that is not Matched.
func show(r *Route, o Outcome) string {
	switch {
	case r == nil:
		return o.String()
	case o == Matched:
		return r.Target
	default:
		return r.Target + " " + o.String()
	}
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		name   string
		routes string
		want   string // HOST PATH answer; "-" is an empty host or path
	}{
		{"exact host, with port, case and trailing dot", `
			foo.com / Prefix a`, `
			foo.com / a
			foo.com:8080 / a
			foo.com: / a
			FOO.Com / a
			foo.com. / a
			Foo.com.:80 / a
			bar.com / NoHost
			www.foo.com / NoHost
			- / NoHost`},
		{"route host with case and trailing dot", `
			Foo.COM. / Prefix a
			*.Foo.COM. / Prefix w`, `
			foo.com / a
			x.foo.com / w`},
		{"wildcard is one label", `
			*.foo.com / Prefix w`, `
			bar.foo.com / w
			a.bar.foo.com / NoHost
			foo.com / NoHost
			com / NoHost`},
		{"exact host beats wildcard whatever the path", `
			*.foo.com /only-here Exact w
			*.foo.com - Default wd
			bar.foo.com /a Prefix a`, `
			bar.foo.com /a a
			bar.foo.com /only-here NoPath
			bar.foo.com / NoPath
			baz.foo.com /only-here w
			baz.foo.com /x wd MatchedDefault`},
		{"wildcard of a wildcard's name", `
			*.foo.com / Prefix one
			*.bar.foo.com / Prefix two`, `
			bar.foo.com / one
			x.bar.foo.com / two`},
		{"hostless routes serve hosts without routes only", `
			* /a Prefix any
			* - Default last
			foo.com /b Prefix b
			*.foo.com /b Prefix w`, `
			other.com /a any
			other.com /b last MatchedDefault
			- /a any
			10.0.0.1 /a any
			[::1]:80 /a any
			foo.com /a NoPath
			foo.com /b b
			x.foo.com /a NoPath
			x.foo.com /b w
			x.y.foo.com /a any`},
		{"hostless routes without Default", `
			* /a Prefix any`, `
			foo.com /a any
			foo.com /b NoPath`},
		{"Default of a host", `
			foo.com - Default d
			foo.com /a Exact a`, `
			foo.com /a a
			foo.com /b d MatchedDefault
			bar.com /b NoHost`},
		{"HostOnly isolates", `
			* / Prefix any
			*.foo.com / Prefix w
			bar.foo.com - HostOnly`, `
			bar.foo.com / NoPath
			baz.foo.com / w
			x.com / any`},
		{"HostOnly beside routes", `
			foo.com - HostOnly
			foo.com /a Prefix a
			foo.com - Default d`, `
			foo.com /a a
			foo.com /b d MatchedDefault`},
		{"HostOnly without host has no effect", `
			* - HostOnly`, `
			foo.com / NoHost`},
		{"hosts that no request has", `
			a..b / Prefix x
			.foo.com / Prefix x
			*. / Prefix x
			*.*.foo.com / Prefix x
			*foo.com / Prefix x
			foo.com:80 / Prefix x
			foo_com* / Prefix x
			*.[::1] / Prefix x
			*.a..b / Prefix x`, `
			foo.com / NoHost
			a.foo.com / NoHost
			a.b / NoHost
			x.a.b / NoHost
			[::1] / NoHost`},
		{"addresses", `
			10.0.0.1 / Prefix v4
			[2001:DB8:0::1] / Prefix v6`, `
			10.0.0.1:80 / v4
			[2001:db8::1]:443 / v6
			[2001:db8::2] / NoHost`},
		{"punycode is compared as bytes", `
			xn--mnchen-3ya.example / Prefix a`, `
			XN--mnchen-3ya.example / a`},

		{"Exact", `
			foo.com /foo Exact a`, `
			foo.com /foo a
			foo.com /foo/ NoPath
			foo.com /FOO NoPath
			foo.com /foo/bar NoPath
			foo.com /fo NoPath
			foo.com /fooo NoPath
			foo.com / NoPath`},
		{"Exact with trailing slash", `
			foo.com /foo/ Exact a`, `
			foo.com /foo/ a
			foo.com /foo NoPath
			foo.com /foo// a
			foo.com /foo/. a
			foo.com /foo/bar/.. a`},
		{"Exact with and without trailing slash are two", `
			foo.com /foo Exact a
			foo.com /foo/ Exact b`, `
			foo.com /foo a
			foo.com /foo/ b`},
		{"Exact root", `
			foo.com / Exact a`, `
			foo.com / a
			foo.com - a
			foo.com /a NoPath`},
		{"Prefix is by element", `
			foo.com /aaa Prefix a`, `
			foo.com /aaa a
			foo.com /aaa/ a
			foo.com /aaa/ccc a
			foo.com /aaa/ccc/ddd/ a
			foo.com /aaaccc NoPath
			foo.com /aa NoPath
			foo.com /AAA NoPath
			foo.com /b/aaa NoPath
			foo.com / NoPath`},
		{"Prefix with trailing slash", `
			foo.com /aaa/bbb/ Prefix a`, `
			foo.com /aaa/bbb a
			foo.com /aaa/bbb/ a
			foo.com /aaa/bbb/ccc a
			foo.com /aaa/bbbccc NoPath
			foo.com /aaa NoPath`},
		{"Prefix root", `
			foo.com / Prefix a`, `
			foo.com / a
			foo.com - a
			foo.com /x/y a`},
		{"empty path is the root", `
			foo.com - Prefix a
			bar.com - ImplementationSpecific b
			baz.com - Exact c`, `
			foo.com /x a
			bar.com /x b
			baz.com / c
			baz.com /x NoPath`},
		{"longest in elements, not in bytes", `
			foo.com /long-element-name Prefix x
			foo.com / Prefix root
			foo.com /a Prefix a
			foo.com /a/b Prefix ab
			foo.com /a/b/c/d Prefix abcd`, `
			foo.com /a/b/c ab
			foo.com /a/b/c/d abcd
			foo.com /a/b/c/d/e abcd
			foo.com /a/x a
			foo.com /ab root
			foo.com /a/bc a`},
		{"Exact beats a Prefix of the same path only there", `
			foo.com /a Prefix p
			foo.com /a Exact e
			foo.com /a/ Exact es
			foo.com /a/b Prefix pb`, `
			foo.com /a e
			foo.com /a/ es
			foo.com /a/c p
			foo.com /a/b pb`},
		{"a longer Exact falls back to the Prefix it passed", `
			foo.com /a Prefix p
			foo.com /a/b/c Exact e`, `
			foo.com /a/b/c e
			foo.com /a/b/c/ p
			foo.com /a/b p`},
		{"ImplementationSpecific is a Prefix tried last", `
			foo.com /a ImplementationSpecific i
			foo.com /a/b Prefix p
			foo.com /a/b ImplementationSpecific i2
			foo.com /c Exact e
			foo.com /c ImplementationSpecific ic`, `
			foo.com /a i
			foo.com /a/ i
			foo.com /ab NoPath
			foo.com /a/b/x p
			foo.com /c e
			foo.com /c/ ic`},
		{"normalised before matching", `
			foo.com /a/b Exact e
			foo.com /secret Prefix s
			foo.com / Prefix root`, `
			foo.com //a//b e
			foo.com /a/./b e
			foo.com /x/../a/b e
			foo.com /x/%2e%2E/a/b e
			foo.com /x/.%2e/a/%2e/b e
			foo.com /%61/b e
			foo.com /../../secret/x s
			foo.com /a/..%252fsecret root
			foo.com /public/../secret s`},
		{"encoded slash is part of its element", `
			foo.com /a Prefix a
			foo.com /a/b Prefix ab
			foo.com /a%2fb Prefix enc`, `
			foo.com /a%2Fb enc
			foo.com /a%2fb/c enc
			foo.com /a%2Fc NoPath
			foo.com /a%5Cb NoPath
			foo.com /a/b ab`},
		{"raw and escaped characters meet", `
			foo.com /sp␠ace Prefix space
			foo.com /na%c3%afve Exact naive
			foo.com /things:delete Exact delete
			foo.com /100% Exact percent
			foo.com /a?b#c Exact query
			foo.com /%7Euser Prefix user`, `
			foo.com /sp%20ace/x space
			foo.com /naïve naive
			foo.com /na%C3%AFve naive
			foo.com /things%3Adelete delete
			foo.com /things%3adelete delete
			foo.com /100%25 percent
			foo.com /a%3Fb%23c query
			foo.com /~user user`},
		{"route paths are canonicalized", `
			foo.com //a//b/ Prefix ab
			foo.com /x/../c Exact c
			foo.com no-slash Prefix n`, `
			foo.com /a/b/z ab
			foo.com /c c
			foo.com /no-slash n`},
		{"asterisk", `
			foo.com / Prefix a
			foo.com /* Prefix star
			bar.com / Prefix b
			bar.com - Default d
			* * Prefix any`, `
			foo.com * NoPath
			foo.com /* star
			bar.com * d MatchedDefault
			baz.com * NoPath
			baz.com /* any`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := mustBuild(t, tt.routes)
			for line := range strings.Lines(tt.want) {
				f := strings.Fields(line)
				if len(f) == 0 {
					continue
				}
				for i := range 2 {
					if f[i] == "-" {
						f[i] = ""
					}
				}
				if got, want := show(lookup(t, table, f[0], f[1])), strings.Join(f[2:], " "); got != want {
					t.Errorf("%q %q: got %s, want %s", f[0], f[1], got, want)
				}
			}
		})
	}
}

func TestLookupUnknownPathTypeIsolates(t *testing.T) {
	table, _ := Build([]*Route{{Host: "foo.com", Path: "/"}, {Path: "/", PathType: Prefix}})
	if r, o := table.Lookup("foo.com", "/"); r != nil || o != NoPath {
		t.Errorf("got %v, %v, want nothing and NoPath", r, o)
	}
	if got, want := table.String(), "foo.com - PathType(?) - /\n* / Prefix - /\n"; got != want {
		t.Errorf("dump:\n%s\nwant:\n%s", got, want)
	}
}

func TestNilTable(t *testing.T) {
	var table *Table
	if r, o := table.Lookup("foo.com", "/"); r != nil || o != NoHost {
		t.Errorf("Lookup = %v, %v, want nothing and NoHost", r, o)
	}
	if got := table.Routes(); len(got) != 0 {
		t.Errorf("Routes = %v, want none", got)
	}
	if got := table.String(); got != "" {
		t.Errorf("dump = %q, want none", got)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	table, _ := Build(append(fleet(1000), wideHost(2000)...))
	for _, rq := range []struct{ host, path string }{
		{"app-3.team-3.example.com", "/healthz"},
		{"app-3.team-3.example.com", "/api/v1/a/b/c/d"},
		{"x.app-9.team-9.example.com", "/static/x"},
		{"wide.example.com", "/api/v2/service-2"},
		{"wide.example.com", "/none/of/these"},
		{"unknown.example.org", "/"},
		{"", "*"},
	} {
		if n := testing.AllocsPerRun(100, func() { table.Lookup(rq.host, rq.path) }); n != 0 {
			t.Errorf("Lookup(%q, %q): %v allocations, want 0", rq.host, rq.path, n)
		}
	}
}

// Readers of a Table are not disturbed by a Build that shares its hosts. For -race.
func TestLookupDuringBuild(t *testing.T) {
	routes := fleet(50)
	table, _ := Build(routes)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				for _, r := range routes[:40] {
					if got, o := table.Lookup(HostKey(r.Host), ruleMatch(r.Path, r.PathType)); got != r {
						t.Errorf("Lookup(%q, %q) = %v, %v, want its route", r.Host, r.Path, got, o)
						return
					}
				}
				_ = table.String()
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	next := table
	for i := range 50 {
		changed := *routes[len(routes)-1]
		changed.Target = strconv.Itoa(i)
		edited := append(routes[:len(routes)-1:len(routes)-1], &changed)
		next, _ = next.With(edits(routes, edited))
	}
	close(done)
	readers.Wait()
}
