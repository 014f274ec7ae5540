package upstream

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// Balance is an algorithm that picks one of several endpoints.
type Balance uint8

const (
	// TwoChoices compares an endpoint whose turn it is with a random other one and takes
	// that with fewer requests in flight; of equals, the one whose turn it is. Requests that
	// do not overlap are spread as by RoundRobin.
	TwoChoices Balance = iota
	// RoundRobin takes one endpoint after the other, whatever they have to do.
	RoundRobin
)

func (b Balance) String() string {
	if b == RoundRobin {
		return "round-robin"
	}
	return "two-choices"
}

// picker picks an endpoint for each request of a Pool. It takes no lock.
type picker struct {
	balance Balance
	turn    atomic.Uint64 // starts anywhere, so that replicas do not move in step
}

// pick returns one of endpoints, which is not empty.
func (p *picker) pick(endpoints []*Endpoint) *Endpoint {
	n := uint64(len(endpoints))
	if n == 1 {
		return endpoints[0]
	}
	i := p.turn.Add(1) % n
	first := endpoints[i]
	if p.balance == RoundRobin {
		return first
	}
	// One of the n-1 others, each as likely.
	j := rand.Uint64N(n - 1)
	if j >= i {
		j++
	}
	if second := endpoints[j]; second.load() < first.load() {
		return second
	}
	return first
}

// pickOther returns the endpoint with the least load that is not in tried, of equals a random
// one: the turns are for first tries, or the neighbour of an endpoint that fails would get
// all its retries. Nil: all were tried.
func pickOther(endpoints []*Endpoint, tried []Attempt) *Endpoint {
	var (
		best  *Endpoint
		least int64 = math.MaxInt64
		n           = len(endpoints)
		start       = rand.IntN(max(n, 1))
	)
	for k := range n {
		e := endpoints[(start+k)%n]
		if slices.ContainsFunc(tried, func(a Attempt) bool { return a.Endpoint == e }) {
			continue
		}
		if l := e.load(); best == nil || l < least {
			best, least = e, l
		}
	}
	return best
}
