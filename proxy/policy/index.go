package policy

import (
	"slices"
	"strings"
	"sync"
)

// index is the keys of all features and tables, to be found by name. It is never written.
type index struct {
	supported  map[string]Key // those of the features, by each of their names
	candidates []candidate    // what a name may have been meant for, by name
}

// candidate is a key with the letters of its name, by which most of them can be told from a
// misspelled one without a closer look.
type candidate struct {
	key
	letters uint64
}

// known returns the index, which is made when it is first wanted.
var known = sync.OnceValue(func() *index {
	x := &index{supported: make(map[string]Key)}
	add := func(k key) {
		if k.outcome != Unknown {
			x.candidates = append(x.candidates, candidate{k, lettersOf(k.name)})
		}
	}
	for _, k := range keys {
		add(k)
	}
	for _, f := range chain {
		for _, k := range f.keys {
			if k.GlobalOnly {
				continue
			}
			for _, name := range append([]string{k.Name}, k.Aliases...) {
				x.supported[name] = k
				add(key{name: name, outcome: k.Class.outcome()})
			}
		}
	}
	slices.SortFunc(x.candidates, func(a, b candidate) int { return strings.Compare(a.name, b.name) })
	return x
})

// supported finds the key of a feature by one of its names.
func supported(name string) (Key, bool) {
	k, ok := known().supported[name]
	return k, ok
}

// lettersOf is the set of the characters of a name.
func lettersOf(name string) uint64 {
	var set uint64
	for i := range len(name) {
		set |= 1 << (name[i] & 63)
	}
	return set
}
