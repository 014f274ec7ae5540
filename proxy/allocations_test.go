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

// TestAllocationsOfPolicies is the same of routes with policies.
func TestAllocationsOfPolicies(t *testing.T) {
	for _, c := range costedRoutes {
		t.Run(c.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(1000, c.once(t)); got > c.most {
				t.Errorf("%.1f allocations a request, want at most %.0f", got, c.most)
			}
		})
	}
}
