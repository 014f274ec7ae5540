package main

import "testing"

// A heap about the border does not change its kind at every collection.
func TestHeapIsLarge(t *testing.T) {
	large := false
	for _, step := range []struct {
		mib  uint64
		want bool
	}{{0, false}, {50, false}, {64, false}, {65, true}, {60, true}, {48, true}, {47, false}, {60, false}, {200, true}} {
		if large = isLarge(step.mib<<20, large); large != step.want {
			t.Errorf("with %d MiB live: large %v, want %v", step.mib, large, step.want)
		}
	}
}
