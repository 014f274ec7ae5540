package router

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Build makes a Table of routes, which must hold no nil, and returns what was left out of
// it because another route claims the same requests. The order of routes has no meaning,
// but for two that differ in nothing but their Handler: the first is served.
func Build(routes []*Route) (*Table, []Conflict) {
	return (*Table)(nil).With(groupByHost(routes))
}

// HostRoutes is all the routes of one host.
type HostRoutes struct {
	Host   string   // as in Route.Host, which is the same host in each of Routes
	Routes []*Route // in any order; With keeps no reference to the slice
}

// With returns the Table that Build makes of the routes of t with those of some hosts replaced,
// and all its Conflicts. A host without Routes is removed. None may be in hosts twice, in
// whatever spelling. t, which may be nil, does not change; nothing of it but the other hosts is
// kept alive.
func (t *Table) With(hosts []HostRoutes) (*Table, []Conflict) {
	if t == nil {
		t = new(Table)
	}
	next := &Table{hosts: maps.Clone(t.hosts), routes: t.routes}
	if next.hosts == nil {
		next.hosts = make(map[string]*host, len(hosts))
	}
	order, disputed := make([]change, 0, len(hosts)), make([]change, 0, len(hosts))
	var b builder
	for _, r := range hosts {
		h := b.host(HostKey(r.Host), r)
		if old := next.hosts[h.key]; old != nil {
			next.routes -= len(old.routes)
		}
		next.routes += len(h.routes)
		if len(h.routes) > 0 {
			next.hosts[h.key] = h
		} else {
			delete(next.hosts, h.key)
		}
		order = append(order, change{h, len(h.routes) > 0})
		disputed = append(disputed, change{h, len(h.lost) > 0})
	}
	next.order, next.disputed = replaced(t.order, order), replaced(t.disputed, disputed)
	return next, next.conflicts()
}

// change says of a host, known by its key, whether it is part of a list from now on.
type change struct {
	*host
	has bool
}

// replaced returns list, which is in the order of compareHosts, with changes made to it. A list
// that stays the same is returned as it is.
func replaced(list []*host, changes []change) []*host {
	slices.SortFunc(changes, func(a, b change) int { return compareHosts(a.host, b.host) })
	next := make([]*host, 0, len(list)+len(changes))
	rest, differs := list, false
	for _, c := range changes {
		at, had := slices.BinarySearchFunc(rest, c.host, compareHosts)
		next, rest = append(next, rest[:at]...), rest[at:]
		if had {
			rest = rest[1:]
		}
		if c.has {
			next = append(next, c.host)
		}
		differs = differs || had || c.has
	}
	if !differs {
		return list
	}
	if next = append(next, rest...); len(next) == 0 {
		return nil
	}
	return next
}

// groupByHost sorts routes by host in linear time. The groups share one array.
func groupByHost(routes []*Route) []HostRoutes {
	var groups []HostRoutes
	index := make(map[string]int32)
	of := make([]int32, len(routes))
	var sizes []int
	for i, r := range routes {
		if i > 0 && r.Host == routes[i-1].Host {
			of[i] = of[i-1]
		} else {
			key := HostKey(r.Host)
			g, ok := index[key]
			if !ok {
				g = int32(len(groups))
				index[key] = g
				groups, sizes = append(groups, HostRoutes{Host: r.Host}), append(sizes, 0)
			}
			of[i] = g
		}
		sizes[of[i]]++
	}
	all := make([]*Route, len(routes))
	for i, n := range sizes {
		groups[i].Routes, all = all[:0:n], all[n:]
	}
	for i, r := range routes {
		g := &groups[of[i]]
		g.Routes = append(g.Routes, r)
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

// host builds a host.
func (b *builder) host(key string, input HostRoutes) *host {
	h := &host{key: key, name: input.Host}
	b.claims = b.claims[:0]
	var only *Route
	for _, r := range input.Routes {
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
		if key != "" && only != nil {
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
	slices.SortStableFunc(h.patterns, comparePatterns)
	return h
}
