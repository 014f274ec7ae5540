package upstream

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// hashedEndpoints are as newEndpoint makes them.
func hashedEndpoints(n int) []*Endpoint {
	endpoints := testEndpoints(n)
	for _, e := range endpoints {
		e.hash = HashOf(e.address.String())
	}
	return endpoints
}

// The rank of an endpoint is the same in every version and process: replicas must agree.
func TestHashOf(t *testing.T) {
	for text, want := range map[string]uint64{"": 0xf52a15e9a9b5e89b, "10.0.0.1:80": 0xdbbc907f21531a73} {
		if got := HashOf(text); got != want {
			t.Errorf("%q: got %#x, want %#x", text, got, want)
		}
	}
}

func TestPickBound(t *testing.T) {
	endpoints := hashedEndpoints(10)
	p := &picker{}
	count := make(map[*Endpoint]int)
	bound := make(map[int]*Endpoint)
	for key := range 1000 {
		how := Pick{Size: 1, Hash: HashOf(strconv.Itoa(key))}
		e := p.pick(endpoints, how)
		bound[key], count[e] = e, count[e]+1
		e.inFlight.Add(1) // however busy it is
		for range 3 {
			if again := p.pick(endpoints, how); again != e {
				t.Fatalf("key %d: want %s again, got %s", key, e.address, again.address)
			}
		}
	}
	for _, e := range endpoints {
		if n := count[e]; n < 60 || n > 140 {
			t.Errorf("want about 100 of 1000 keys bound to %s, got %d", e.address, n)
		}
	}
	// Without one endpoint, only what was bound to it moves, and is spread.
	left, moved := endpoints[1:], make(map[*Endpoint]int)
	for key, was := range bound {
		e := p.pick(left, Pick{Size: 1, Hash: HashOf(strconv.Itoa(key))})
		if was == endpoints[0] {
			moved[e]++
		} else if e != was {
			t.Errorf("key %d: moved from %s to %s", key, was.address, e.address)
		}
	}
	if len(moved) < 7 {
		t.Errorf("want the keys of the lost endpoint spread over nine, got %d", len(moved))
	}
}

func TestPickSubset(t *testing.T) {
	endpoints := hashedEndpoints(10)
	p := &picker{}
	for _, test := range []struct{ size, want int }{{2, 2}, {3, 3}, {10, 10}, {11, 10}, {1 << 30, 10}} {
		for key := range 20 {
			how, seen := Pick{Size: test.size, Hash: HashOf(strconv.Itoa(key))}, make(map[*Endpoint]bool)
			for range 40 * test.want {
				seen[p.pick(endpoints, how)] = true
			}
			if len(seen) != test.want {
				t.Errorf("size %d, key %d: want %d endpoints, got %d", test.size, key, test.want, len(seen))
			}
			if best := p.pick(endpoints, Pick{Size: 1, Hash: how.Hash}); !seen[best] {
				t.Errorf("size %d, key %d: the endpoint of the highest rank is not in the subset", test.size, key)
			}
		}
	}
	// Within it, the less busy one.
	how := Pick{Size: 2, Hash: 7}
	busy := p.pick(endpoints, how)
	busy.inFlight.Add(1)
	for range 50 {
		if p.pick(endpoints, how) == busy {
			t.Fatal("the busier endpoint of a subset was picked")
		}
	}
}

// More endpoints than a subset can have are no fault.
func TestPickLargestSubset(t *testing.T) {
	endpoints, seen := hashedEndpoints(200), make(map[*Endpoint]bool)
	p := &picker{}
	for range 64 * 40 {
		seen[p.pick(endpoints, Pick{Size: 1000, Hash: 1})] = true
	}
	if len(seen) != MaxSubset {
		t.Errorf("want %d, got %d", MaxSubset, len(seen))
	}
}

// A retry of a bound request goes to the next by rank, which is where all of its key go.
func TestPickOtherBound(t *testing.T) {
	endpoints := hashedEndpoints(5)
	p := &picker{}
	how := Pick{Size: 1, Hash: HashOf("cart")}
	var tried []Attempt
	for range endpoints {
		next := pickOther(endpoints, tried, how)
		if next == nil || wasTried(tried, next) || next != pickOther(endpoints, tried, how) {
			t.Fatalf("after %d attempts got %v", len(tried), next)
		}
		if len(tried) == 0 && next != p.pick(endpoints, how) {
			t.Error("the order begins with another endpoint than the first try")
		}
		tried = append(tried, Attempt{Endpoint: next})
	}
	if e := pickOther(endpoints, tried, how); e != nil {
		t.Errorf("want none when all were tried, got %s", e.address)
	}
}

// Requests that are bound reach one endpoint and, when it fails, all the same other one.
func TestDoBound(t *testing.T) {
	p := newTestPool(t, Options{EjectAfter: -1, RetryBudget: 10}, HTTP, start(t, &proxytest.Backend{}).Addr(), start(t, &proxytest.Backend{}).Addr(), proxytest.Refused(t), proxytest.Refused(t))
	answered := make(map[netip.AddrPort]bool)
	for key := range 40 {
		reached := make(map[string]bool)
		for range 4 {
			var a Attempts
			_, _, err := doHooked(t, p, request(t, "GET", "/", nil), Hooks{Pick: Pick{Size: 1, Hash: HashOf(strconv.Itoa(key))}}, &a)
			if err != nil {
				t.Fatalf("key %d: %v after %s", key, err, show(&a))
			}
			reached[a.Last().Endpoint.Address().String()] = true
			answered[netip.MustParseAddrPort(a.Last().Endpoint.Address().String())] = true
		}
		if len(reached) != 1 {
			t.Errorf("key %d: want one endpoint, got %v", key, reached)
		}
	}
	if len(answered) != 2 {
		t.Errorf("want keys at both endpoints that serve, got %v", answered)
	}
}

func TestPickBoundAllocates(t *testing.T) {
	endpoints, p := hashedEndpoints(10), &picker{}
	for _, size := range []int{1, 3} {
		if n := testing.AllocsPerRun(100, func() { p.pick(endpoints, Pick{Size: size, Hash: 1}) }); n != 0 {
			t.Errorf("size %d: want no allocations, got %v", size, n)
		}
	}
}

func BenchmarkPickBound(b *testing.B) {
	for _, size := range []int{1, 3} {
		for _, n := range []int{2, 10, 100, 1000} {
			b.Run(fmt.Sprintf("%d/%d", size, n), func(b *testing.B) {
				endpoints, p := hashedEndpoints(n), &picker{}
				b.ReportAllocs()
				for b.Loop() {
					p.pick(endpoints, Pick{Size: size, Hash: 1})
				}
			})
		}
	}
}
