//go:build !race

package proxy_test

import "testing"

// maxAllocations is what a proxied request may cost: the text of either head, and its identity.
const maxAllocations = 3

func TestAllocationsOfARequest(t *testing.T) {
	if got := testing.AllocsPerRun(2000, proxied(t)); got > maxAllocations {
		t.Errorf("%.1f allocations a request, want at most %d", got, maxAllocations)
	}
}
