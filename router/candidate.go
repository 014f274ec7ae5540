package router

import (
	"slices"
	"strings"
)

// Loss says why a Route does not answer a request that concerns its host.
type Loss uint8

const (
	// Won: it does answer.
	Won Loss = iota
	// OtherPath: its path does not match. A HostOnly route has none that could.
	OtherPath
	// OtherHost: a more specific host has routes, and hosts are isolated.
	OtherHost
	// Displaced: another Route matches the same requests, and its Origin comes first.
	Displaced
	// ExactFirst: its path matches, and so does an Exact one.
	ExactFirst
	// Shorter: its path matches, and so does one with more elements.
	Shorter
	// LaterType: its path matches, and so does one of as many elements whose PathType comes
	// first.
	LaterType
	// PathMatched: it is a Default, and a path matches.
	PathMatched
)

func (l Loss) String() string {
	switch l {
	case Won:
		return "Won"
	case OtherPath:
		return "OtherPath"
	case OtherHost:
		return "OtherHost"
	case Displaced:
		return "Displaced"
	case ExactFirst:
		return "ExactFirst"
	case Shorter:
		return "Shorter"
	case LaterType:
		return "LaterType"
	case PathMatched:
		return "PathMatched"
	}
	return "Loss(?)"
}

// Candidate is a Route that concerns the host of a request, with what became of it.
type Candidate struct {
	Route *Route
	Loss  Loss
	// By is the Route that answers instead; nil when none does, and for the winner. Of one
	// that is Displaced it is the Route that is served in its place.
	By *Route
}

// Candidates returns every Route that concerns a host, those that lost a conflict too, with
// why each does not answer. Host and path are as for Lookup, and the Route that Lookup
// returns is the one candidate with the Loss Won. They are in order of precedence of their
// hosts, then as in the dump. It is for people, and costs as much as the host has routes.
func (t *Table) Candidates(host, path string) []Candidate {
	if t == nil {
		return nil
	}
	winner, _ := t.Lookup(host, path)
	var all []Candidate
	chosen := true
	for _, key := range concerning(host) {
		h := t.hosts[key]
		if h == nil {
			continue
		}
		for _, r := range h.routes {
			all = append(all, judge(r, winner, path, chosen))
		}
		for _, l := range h.lost {
			c := judge(l.loser, winner, path, chosen)
			if c.Loss != OtherPath && c.Loss != OtherHost {
				c.Loss, c.By = Displaced, l.winner
			}
			all = append(all, c)
		}
		chosen = false
	}
	return all
}

// concerning are the keys that Lookup tries for a host.
func concerning(host string) []string {
	var keys []string
	if host != "" {
		keys = append(keys, host)
	}
	if i := strings.IndexByte(host, '.'); i > 0 {
		keys = append(keys, host[i:])
	}
	return append(keys, "")
}

// judge says what becomes of r when winner answers. chosen says that the host of r is the one
// whose routes are asked.
func judge(r, winner *Route, path string, chosen bool) Candidate {
	c := Candidate{Route: r, By: winner}
	switch {
	case r == winner:
		c.By = nil
	case !chosen:
		c.Loss = OtherHost
	case r.PathType == Default:
		c.Loss = PathMatched
	case !r.MatchesPath(path):
		c.Loss = OtherPath
	case winner.PathType == Exact:
		c.Loss = ExactFirst
	case winner.PathType == Regexp && r.PathType != Regexp:
		c.Loss = LaterType
	case r.PathType == Regexp && winner.PathType == Regexp, r.depth() < winner.depth():
		c.Loss = Shorter
	default:
		c.Loss = LaterType
	}
	return c
}

// MatchesPath reports whether a request with that path, canonical as for Lookup, would be
// answered by the Route if it were the only one. A Default has no path to match.
func (r *Route) MatchesPath(path string) bool {
	switch r.PathType {
	case Exact, Prefix, ImplementationSpecific:
	case Regexp:
		alone := &host{}
		alone.addPattern(r)
		return alone.matchPattern(path) != nil
	default:
		return false
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	var root node
	var s slab
	root.add(ruleMatch(r.Path, r.PathType), r, &s)
	return root.match(path) != nil
}

// depth is the number of elements of the path.
func (r *Route) depth() int {
	path := strings.Trim(ruleMatch(r.Path, r.PathType), "/")
	if path == "" {
		return 0
	}
	return 1 + strings.Count(path, "/")
}

// Hosts returns the hosts that have routes, in the order of the dump: "*" stands for the
// hostless ones.
func (t *Table) Hosts() []string {
	if t == nil {
		return nil
	}
	hosts := t.order
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = keyHost(h.key)
	}
	return slices.Clip(names)
}
