package ingress

import (
	"reflect"
	"slices"

	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// claim brings t.known up to date. It returns the entries that are no longer ours to serve,
// and those that are from now on, which were read.
func (t *Translator) claim(s *Snapshot, sameSettings bool) (gone, fresh []*entry) {
	sameClasses := sameSlice(t.last.Classes, s.Classes) && t.classes != nil
	same := sameClasses && sameSettings && sameMap(t.last.Secrets, s.Secrets) && sameMap(t.last.ConfigMaps, s.ConfigMaps)
	if same && sameSlice(t.last.Ingresses, s.Ingresses) {
		return nil, nil
	}
	if !sameClasses {
		t.classes = newClasses(t.options, s.Classes)
		t.classProblems = t.classes.problems(s.Classes)
	}
	end := func(e *entry) {
		e.alive = false
		delete(t.troubled, e)
		gone = append(gone, e)
	}
	begin := func(e *entry, profile policy.Profile) {
		e.alive, e.profile = true, profile
		t.known[e.ingress] = e
		fresh = append(fresh, e)
	}
	look := func(ing *netv1.Ingress) {
		e := t.known[ing]
		if e == nil {
			e = newEntry(ing)
			t.known[ing] = e
		} else if sameClasses && (!e.alive || !e.stale(s, t.settings)) {
			return
		}
		c := t.classes.Claim(ing)
		ours, profile := c.Whose == Ours, t.classes.profile(c)
		acmeByClass := c.Object != nil && policy.WantsACME(c.Object.Annotations)
		if e.alive && (!ours || e.profile != profile || e.acmeByClass != acmeByClass || e.stale(s, t.settings)) {
			end(e)
			e = e.again()
			t.known[ing] = e
		}
		e.classProblem = c.Problem
		if ours && !e.alive {
			e.acmeByClass = acmeByClass
			begin(e, profile)
		}
		t.note(e)
	}
	removed, added := difference(t.last.Ingresses, s.Ingresses)
	for _, ing := range removed {
		e := t.known[ing]
		if e == nil {
			continue
		}
		if e.alive {
			end(e)
		}
		delete(t.known, ing)
		delete(t.troubled, e)
	}
	if !same {
		added = s.Ingresses // and all others are looked at again
	}
	for _, ing := range added {
		look(ing)
	}
	before := make(map[*host]fact)
	for _, e := range gone {
		t.hosts.mean(e, -1, before)
	}
	for _, e := range fresh {
		e.means = factsOf(e.ingress, t.options.Quirks.Of(e.profile))
		t.hosts.mean(e, +1, before)
	}
	for h, facts := range before {
		if h.facts() == facts {
			continue
		}
		for _, m := range h.members {
			if e := m.entry; e.alive {
				end(e)
				again := e.again()
				again.means, again.acmeByClass = e.means, e.acmeByClass
				begin(again, e.profile)
			}
		}
	}
	slices.SortFunc(fresh, compareEntries)
	for _, e := range fresh {
		read(&t.options, s, &t.hosts, t.settings, e)
		t.note(e)
	}
	t.read.Add(uint64(len(fresh)))
	return gone, fresh
}

// difference returns what of before is not in now, and what of now was not before. Where the
// order is the same it costs next to nothing.
func difference(before, now []*netv1.Ingress) (removed, added []*netv1.Ingress) {
	for i := range max(len(before), len(now)) {
		if i < len(before) && i < len(now) && before[i] == now[i] {
			continue
		}
		if i < len(before) {
			removed = append(removed, before[i])
		}
		if i < len(now) {
			added = append(added, now[i])
		}
	}
	moved := make(map[*netv1.Ingress]struct{}, len(removed))
	for _, ing := range removed {
		moved[ing] = struct{}{}
	}
	added = slices.DeleteFunc(added, func(ing *netv1.Ingress) bool {
		_, both := moved[ing]
		delete(moved, ing)
		return both
	})
	removed = slices.DeleteFunc(removed, func(ing *netv1.Ingress) bool { _, only := moved[ing]; return !only })
	return removed, added
}

// again is e as it was before it was ours.
func (e *entry) again() *entry {
	return &entry{ingress: e.ingress, object: e.object, origin: e.origin, classProblem: e.classProblem}
}

// ranking is the entries that are ours in order of precedence. It is replaced as a whole, as
// Results share its lists.
type ranking struct {
	entries []*entry
	owned   []*netv1.Ingress // of each entry
}

// replace returns the ranking without gone, and with fresh, which is sorted. Runs of entries that
// stay are copied as they are.
func (r ranking) replace(gone, fresh []*entry) ranking {
	changes := slices.Concat(gone, fresh)
	slices.SortStableFunc(changes, compareEntries) // of equal ones the old before the new
	var next ranking
	grow := len(r.entries) + len(fresh)
	next.entries, next.owned = make([]*entry, 0, grow), make([]*netv1.Ingress, 0, grow)
	from := 0
	keep := func(to int) {
		next.entries, next.owned = append(next.entries, r.entries[from:to]...), append(next.owned, r.owned[from:to]...)
		from = to
	}
	for _, e := range changes {
		at, _ := slices.BinarySearchFunc(r.entries[from:], e, compareEntries)
		keep(from + at)
		if e.alive {
			next.entries, next.owned = append(next.entries, e), append(next.owned, e.ingress)
		} else {
			from++ // e itself
		}
	}
	keep(len(r.entries))
	if len(next.entries) == 0 {
		return ranking{}
	}
	return next
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
