package ingress

import (
	"reflect"
	"slices"

	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/proxy"
)

// claim brings t.known up to date. It returns the entries that are no longer ours to serve,
// and those that are from now on.
func (t *Translator) claim(s *Snapshot, sameSettings bool) (gone, fresh []*entry) {
	sameClasses := sameSlice(t.last.Classes, s.Classes) && t.generation > 1
	sameSecrets := sameMap(t.last.Secrets, s.Secrets)
	if sameClasses && sameSecrets && sameSettings && sameSlice(t.last.Ingresses, s.Ingresses) {
		return nil, nil
	}
	cs := newClasses(t.options, s.Classes)
	t.classProblems = cs.problems(s.Classes)
	t.facts = gatherFacts(cs, s.Ingresses)
	for _, ing := range s.Ingresses {
		e, known := t.known[ing]
		if !known {
			e = &entry{ingress: ing, object: ingressObject(ing)}
			t.known[ing] = e
		}
		e.seen = t.generation
		if known && sameClasses && !e.stale(s, e.profile, t.facts, t.settings) {
			continue
		}
		c := cs.Claim(ing)
		if profile := cs.profile(c); e.stale(s, profile, t.facts, t.settings) {
			// What it asks for is another now: the old one goes, a new one comes.
			if e.alive {
				gone = append(gone, e)
			}
			e.alive = false
			delete(t.troubled, e)
			e = &entry{ingress: ing, object: e.object, seen: t.generation, profile: profile}
			t.known[ing] = e
		} else {
			e.profile = profile
		}
		ours := c.Whose == Ours
		e.classProblem = c.Problem
		if ours && !e.alive {
			if !e.complete {
				read(&t.options, s, t.facts, t.settings, e)
			}
			fresh = append(fresh, e)
		} else if !ours && e.alive {
			gone = append(gone, e)
		}
		e.alive = ours
		t.note(e)
	}
	if len(t.known) > len(s.Ingresses) {
		for ing, e := range t.known {
			if e.seen == t.generation {
				continue
			}
			if e.alive {
				gone = append(gone, e)
			}
			e.alive = false
			delete(t.known, ing)
			delete(t.troubled, e)
		}
	}
	slices.SortFunc(fresh, compareEntries)
	return gone, fresh
}

// ranking is the entries that are ours in order of precedence, with their rules one after
// the other. It is replaced as a whole, as Results share its lists.
type ranking struct {
	entries []*entry
	owned   []*netv1.Ingress // of each entry
	rules   []*proxy.Rule
	ends    []int // of each entry's rules in rules
}

// replace returns the ranking without the entries that are not alive, and with fresh, which
// is sorted. Runs of entries that stay are copied as they are.
func (r ranking) replace(fresh []*entry) ranking {
	var next ranking
	grow := len(r.entries) + len(fresh)
	next.entries, next.owned, next.ends = make([]*entry, 0, grow), make([]*netv1.Ingress, 0, grow), make([]int, 0, grow)
	next.rules = make([]*proxy.Rule, 0, len(r.rules)+4*len(fresh))

	from := 0
	keep := func(to int) {
		for from < to {
			start := from
			for from < to && r.entries[from].alive {
				from++
			}
			next.take(r, start, from)
			for from < to && !r.entries[from].alive {
				from++
			}
		}
	}
	for _, e := range fresh {
		at, _ := slices.BinarySearchFunc(r.entries[from:], e, compareEntries)
		keep(from + at)
		next.entries = append(next.entries, e)
		next.owned = append(next.owned, e.ingress)
		next.rules = append(next.rules, e.rules...)
		next.ends = append(next.ends, len(next.rules))
	}
	keep(len(r.entries))
	if len(next.entries) == 0 {
		return ranking{}
	}
	return next
}

// take adds the entries of from between start and end.
func (r *ranking) take(from ranking, start, end int) {
	if start >= end {
		return
	}
	first := 0
	if start > 0 {
		first = from.ends[start-1]
	}
	shift := len(r.rules) - first
	r.entries = append(r.entries, from.entries[start:end]...)
	r.owned = append(r.owned, from.owned[start:end]...)
	r.rules = append(r.rules, from.rules[first:from.ends[end-1]]...)
	for _, end := range from.ends[start:end] {
		r.ends = append(r.ends, end+shift)
	}
}

// compareEntries orders entries by precedence.
func compareEntries(a, b *entry) int {
	if c := a.origin.Compare(b.origin); c != 0 {
		return c
	}
	return a.object.compare(b.object)
}

// sameSlice reports whether a and b are the same memory.
func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// sameMap reports whether a and b are one map. Both are referred to, so that no address is
// used again.
func sameMap[K comparable, V any](a, b map[K]V) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
