package router

import (
	"cmp"
	"slices"
	"strings"
)

// Build makes a Table of routes, which must hold no nil, and returns what was left out of
// it because another route claims the same requests. The order of routes has no meaning,
// but for two that differ in nothing but their Handler: the first is served.
//
// prev may be nil. It never changes the result: a host whose routes are the same pointers
// in the same order as in prev shares prev's work. Nothing else of prev is kept alive.
func Build(routes []*Route, prev *Table) (*Table, []Conflict) {
	groups := groupByHost(routes, prev.size())
	t := &Table{hosts: make(map[string]*host, len(groups))}
	var disputed []*host
	var b builder
	for _, g := range groups {
		h := prev.host(g.key)
		if h == nil || !slices.Equal(h.input, g.routes) {
			h = b.host(g.key, g.routes)
		}
		if len(h.routes) == 0 {
			continue
		}
		t.hosts[g.key] = h
		if len(h.lost) > 0 {
			disputed = append(disputed, h)
		}
	}
	return t, t.conflicts(disputed)
}

func (t *Table) size() int {
	if t == nil {
		return 0
	}
	return len(t.hosts)
}

func (t *Table) host(key string) *host {
	if t == nil {
		return nil
	}
	return t.hosts[key]
}

// group is the routes of one host, in the order they were given.
type group struct {
	key    string
	size   int
	routes []*Route
}

// groupByHost sorts routes by host in linear time. The groups share one array. There will
// be about as many as expected.
func groupByHost(routes []*Route, expected int) []group {
	groups := make([]group, 0, expected+1)
	index := make(map[string]int32, expected+1)
	of := make([]int32, len(routes))
	for i, r := range routes {
		if i > 0 && r.Host == routes[i-1].Host {
			of[i] = of[i-1]
		} else {
			key := hostKey(r.Host)
			g, ok := index[key]
			if !ok {
				g = int32(len(groups))
				index[key] = g
				groups = append(groups, group{key: key})
			}
			of[i] = g
		}
		groups[of[i]].size++
	}
	all := make([]*Route, len(routes))
	for i := range groups {
		n := groups[i].size
		groups[i].routes = all[:0:n]
		all = all[n:]
	}
	for i, r := range routes {
		g := &groups[of[i]]
		g.routes = append(g.routes, r)
	}
	return groups
}

// claim is a Route with the canonical form of its path, "" for Default.
type claim struct {
	path string
	*Route
}

// sameRequests says that a and b, of one host, match the same requests and have the same
// precedence.
func (a claim) sameRequests(b claim) bool { return a.path == b.path && a.PathType == b.PathType }

// compareClaims puts claims of the same requests side by side, the winner first. Default
// comes last. Only routes that nobody can tell apart are equal.
func compareClaims(a, b claim) int {
	if (a.PathType == Default) != (b.PathType == Default) {
		if a.PathType == Default {
			return 1
		}
		return -1
	}
	if c := strings.Compare(a.path, b.path); c != 0 {
		return c
	}
	if c := cmp.Compare(a.PathType, b.PathType); c != 0 {
		return c
	}
	if c := a.Origin.Compare(b.Origin); c != 0 {
		return c
	}
	return cmp.Or(
		strings.Compare(a.Target, b.Target),
		strings.Compare(a.Path, b.Path),
		strings.Compare(a.Host, b.Host),
	)
}

// builder holds the memory that building one host after the other needs.
type builder struct {
	claims []claim
}

// host builds a host. It keeps no reference to input.
func (b *builder) host(key string, input []*Route) *host {
	h := &host{key: key, input: slices.Clone(input)}
	b.claims = b.claims[:0]
	var only *Route
	for _, r := range input {
		switch r.PathType {
		case Exact, Prefix, ImplementationSpecific:
			b.claims = append(b.claims, claim{ruleMatch(r.Path, r.PathType), r})
		case Regexp:
			b.claims = append(b.claims, claim{r.Path, r})
		case Default:
			b.claims = append(b.claims, claim{"", r})
		default:
			if only == nil || compareClaims(claim{"", r}, claim{"", only}) < 0 {
				only = r
			}
		}
	}
	if len(b.claims) == 0 {
		if key != "" {
			h.routes = []*Route{only}
		}
		return h
	}
	slices.SortStableFunc(b.claims, compareClaims)

	h.routes = make([]*Route, 0, len(b.claims))
	nodes := make(slab, len(b.claims))
	var winner claim
	for i, c := range b.claims {
		if i > 0 && c.sameRequests(winner) {
			if c.Origin.Compare(winner.Origin) != 0 || c.Target != winner.Target {
				h.lost = append(h.lost, lost{winner.Route, c.Route, c.path})
			}
			continue
		}
		winner = c
		h.routes = append(h.routes, c.Route)
		switch c.PathType {
		case Default:
			h.fallback = c.Route
		case Regexp:
			h.addPattern(c.Route)
		default:
			h.root.add(c.path, c.Route, &nodes)
		}
	}
	return h
}
