package upstream

import (
	"fmt"
	"testing"
)

func testEndpoints(n int) []*Endpoint {
	endpoints := make([]*Endpoint, n)
	p := &Pool{registry: &Registry{options: Options{}.withDefaults()}}
	for i := range endpoints {
		endpoints[i] = &Endpoint{pool: p, address: Address{fmt.Sprintf("10.0.0.%d", i), 80}}
	}
	return endpoints
}

// Requests that do not overlap reach each endpoint equally often, from any start.
func TestPickSpreadsEvenly(t *testing.T) {
	for _, balance := range []Balance{TwoChoices, RoundRobin, LeastLoad} {
		for _, n := range []int{1, 2, 3, 10} {
			t.Run(fmt.Sprintf("%s/%d", balance, n), func(t *testing.T) {
				endpoints := testEndpoints(n)
				p := &picker{balance: balance}
				p.turn.Store(7)
				count := make(map[*Endpoint]int)
				for range 10 * n {
					count[p.pick(endpoints, Pick{})]++
				}
				for _, e := range endpoints {
					if count[e] != 10 {
						t.Errorf("%s was picked %d times of %d", e.address, count[e], 10*n)
					}
				}
			})
		}
	}
}

func TestPickAvoidsTheBusier(t *testing.T) {
	endpoints := testEndpoints(5)
	endpoints[3].inFlight.Store(1)
	for balance, want := range map[Balance]int{TwoChoices: 0, RoundRobin: 100, LeastLoad: 0} {
		p, count := &picker{balance: balance}, make(map[*Endpoint]int)
		for range 500 {
			count[p.pick(endpoints, Pick{})]++
		}
		if got := count[endpoints[3]]; got != want {
			t.Errorf("%s: want the busy endpoint picked %d times of 500, got %d", balance, want, got)
		}
	}
}

// With requests in flight for ever, two choices keep the endpoints level, also when they begin apart.
func TestTwoChoicesLevel(t *testing.T) {
	endpoints := testEndpoints(10)
	endpoints[0].inFlight.Store(100)
	p := &picker{}
	for range 900 {
		p.pick(endpoints, Pick{}).inFlight.Add(1)
	}
	for _, e := range endpoints {
		if n := e.inFlight.Load(); n < 95 || n > 105 {
			t.Errorf("want about 100 in flight to %s, got %d", e.address, n)
		}
	}
}

// A suspect has one request at a time.
func TestPickSuspect(t *testing.T) {
	endpoints := testEndpoints(2)
	endpoints[0].inARow.Store(3)
	endpoints[1].inFlight.Store(50)
	p := &picker{}
	if e := p.pick(endpoints, Pick{}); e != endpoints[0] {
		t.Error("an idle suspect was not picked beside a busy one")
	}
	endpoints[0].inFlight.Store(1)
	for range 10 {
		if p.pick(endpoints, Pick{}) == endpoints[0] {
			t.Fatal("a suspect was picked while it has a request")
		}
	}
}

func TestPickOther(t *testing.T) {
	endpoints := testEndpoints(4)
	endpoints[2].inFlight.Store(2)
	endpoints[3].inFlight.Store(1)
	tried := []Attempt{{Endpoint: endpoints[0]}, {Endpoint: endpoints[1]}}
	if e := pickOther(endpoints, tried, Pick{}); e != endpoints[3] {
		t.Errorf("want the less busy of two, got %s", e.address)
	}
	tried = append(tried, Attempt{Endpoint: endpoints[2]}, Attempt{Endpoint: endpoints[3]})
	if e := pickOther(endpoints, tried, Pick{}); e != nil {
		t.Errorf("want none when all were tried, got %s", e.address)
	}
	if e := pickOther(nil, nil, Pick{}); e != nil {
		t.Errorf("want none of none, got %s", e.address)
	}
	seen := make(map[*Endpoint]bool)
	for range 100 {
		seen[pickOther(endpoints[:2], nil, Pick{})] = true
	}
	if len(seen) != 2 {
		t.Errorf("want retries spread over two equals, got %d", len(seen))
	}
}

func TestPickAllocates(t *testing.T) {
	endpoints, p := testEndpoints(10), &picker{}
	if n := testing.AllocsPerRun(100, func() { p.pick(endpoints, Pick{}) }); n != 0 {
		t.Errorf("want no allocations, got %v", n)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, balance := range []Balance{TwoChoices, RoundRobin, LeastLoad} {
		for _, n := range []int{2, 10, 1000} {
			b.Run(fmt.Sprintf("%s/%d", balance, n), func(b *testing.B) {
				endpoints, p := testEndpoints(n), &picker{balance: balance}
				b.ReportAllocs()
				for b.Loop() {
					p.pick(endpoints, Pick{})
				}
			})
		}
	}
}
