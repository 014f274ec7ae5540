package router

import "strings"

// Table is an immutable set of Routes, made by Build. It is safe for concurrent use. A nil
// Table is empty.
type Table struct {
	hosts    map[string]*host // by HostKey
	order    []*host          // the same, in the order of compareHosts
	disputed []*host          // those of order that have lost routes
	routes   int              // that are served
}

// host is what the routes of one host come to. It is immutable, and shared by the Tables
// that have the same routes for it.
type host struct {
	key      string
	name     string   // as in Route.Host
	routes   []*Route // what is served, in dump order; never empty in a Table
	root     node
	patterns []patternRoute
	fallback *Route // of PathType Default; may be nil
	lost     []lost
}

// Outcome says what Lookup found.
type Outcome uint8

const (
	// NoHost: no route concerns the host.
	NoHost Outcome = iota
	// NoPath: the host has routes, or hostless routes concern it, and none matches the path.
	NoPath
	// Matched: a route's path matches.
	Matched
	// MatchedDefault: no path matches, and the Default route of the host answers, or for a
	// host without routes the hostless Default.
	MatchedDefault
)

func (o Outcome) String() string {
	switch o {
	case NoHost:
		return "NoHost"
	case NoPath:
		return "NoPath"
	case Matched:
		return "Matched"
	case MatchedDefault:
		return "MatchedDefault"
	}
	return "Outcome(?)"
}

// Lookup returns the route of a request. The host must be as CanonicalHost returns it and
// the path must be the Match of a Path. The Route is nil unless the Outcome is Matched or
// MatchedDefault. Lookup does not
// allocate, but to decode a path for patterns.
func (t *Table) Lookup(host, path string) (*Route, Outcome) {
	if t == nil {
		return nil, NoHost
	}
	h := t.find(host)
	if h == nil {
		return nil, NoHost
	}
	if strings.HasPrefix(path, "/") {
		r := h.root.match(path)
		if len(h.patterns) > 0 && (r == nil || r.PathType != Exact) {
			if p := h.matchPattern(path); p != nil {
				r = p
			}
		}
		if r != nil {
			return r, Matched
		}
	}
	if h.fallback != nil {
		return h.fallback, MatchedDefault
	}
	return nil, NoPath
}

// find returns the host whose routes concern a canonical host; nil when there is none.
func (t *Table) find(name string) *host {
	h := t.hosts[name]
	if h == nil {
		if i := strings.IndexByte(name, '.'); i > 0 {
			h = t.hosts[name[i:]]
		}
		if h == nil {
			h = t.hosts[""]
		}
	}
	return h
}

// HostOf returns the Route.Host of the routes that concern a canonical host: what Lookup chooses
// before it looks at the path. It is "" for the hostless routes and when there is none.
func (t *Table) HostOf(host string) string {
	if t == nil {
		return ""
	}
	h := t.find(host)
	if h == nil {
		return ""
	}
	return h.name
}

// Len is the number of routes served.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return t.routes
}

// Routes returns what is served, in the order of WriteTo. The slice is the caller's.
func (t *Table) Routes() []*Route {
	if t == nil {
		return nil
	}
	all := make([]*Route, 0, t.routes)
	for _, h := range t.order {
		all = append(all, h.routes...)
	}
	return all
}

func compareHosts(a, b *host) int { return compareKeys(a.key, b.key) }

// compareKeys orders hosts as Lookup tries them: exact, wildcard, hostless; each by name.
func compareKeys(a, b string) int {
	rank := func(key string) int {
		switch {
		case key == "":
			return 2
		case key[0] == '.':
			return 1
		}
		return 0
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}
