//go:build !race

package proxy_test

import (
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// maxAllocations is what a proxied request may cost: the text of either head, and its identity.
const maxAllocations = 3

func TestAllocationsOfARequest(t *testing.T) {
	if got := testing.AllocsPerRun(2000, proxied(t)); got > maxAllocations {
		t.Errorf("%.1f allocations a request, want at most %d", got, maxAllocations)
	}
}

// What a rule asks of the way to the backend costs nothing where a request does not need it.
func TestAllocationsOfTheWay(t *testing.T) {
	once := proxiedBy(t, func(r *proxy.Rule) {
		r.Policies = &policy.Set{
			Timeouts: policy.Timeouts{Connect: 5 * time.Second},
			Retry:    upstream.Retry{On: upstream.OnError | upstream.OnTimeout | upstream.OnStatus(503), Again: true},
			Buffer:   policy.Buffer{Request: true, Memory: 64 << 10},
		}
	}, "")
	if got := testing.AllocsPerRun(2000, once); got > maxAllocations {
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
