package k8s

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// A list has what was put in and not taken out, once, and leaves alone what is between.
func TestListReplace(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var l list[int]
	has, next := make(map[int]struct{}), 1
	for range 2000 {
		old, now := 0, 0
		if len(has) > 0 && r.IntN(2) == 0 {
			old = slices.Sorted(maps.Keys(has))[r.IntN(len(has))]
			delete(has, old)
		}
		if r.IntN(2) == 0 {
			now, next = next, next+1
			has[now] = struct{}{}
		}
		before := slices.Clone(l.objects)
		l.replace(old, now)
		if !slices.Equal(slices.Sorted(slices.Values(l.objects)), slices.Sorted(maps.Keys(has))) {
			t.Fatalf("%v after %d became %d: %v", before, old, now, l.objects)
		}
		differ := 0
		for i := range min(len(before), len(l.objects)) {
			if before[i] != l.objects[i] {
				differ++
			}
		}
		if differ > 1 {
			t.Fatalf("%v after %d became %d: %v", before, old, now, l.objects)
		}
	}
}
