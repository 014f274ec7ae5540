package upstream

import (
	"cmp"
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
	// LeastLoad takes the endpoint with the fewest requests in flight; of equals, the next whose
	// turn it is. With many replicas of the proxy it sends the same newcomer all that is new.
	LeastLoad
)

func (b Balance) String() string {
	switch b {
	case RoundRobin:
		return "round-robin"
	case LeastLoad:
		return "least-load"
	}
	return "two-choices"
}

// picker picks an endpoint for each request of a Pool. It takes no lock.
type picker struct {
	balance Balance
	turn    atomic.Uint64 // starts anywhere, so that replicas do not move in step
}

// pick returns one of endpoints, which is not empty.
func (p *picker) pick(endpoints []*Endpoint, how Pick) *Endpoint {
	n := uint64(len(endpoints))
	if n == 1 {
		return endpoints[0]
	}
	if how.Size > 0 {
		return how.ranked(endpoints, nil)
	}
	i := p.turn.Add(1) % n
	first := endpoints[i]
	switch cmp.Or(how.Balance, p.balance) {
	case RoundRobin:
		return first
	case LeastLoad:
		return leastLoad(endpoints, nil, int(i))
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

// pickOther returns the endpoint for a retry, which is not in tried: the next by rank of a
// request that is bound, else that with the least load, of equals a random one: the turns are for first tries, or the neighbour of an endpoint that fails would get
// all its retries. Nil: all were tried.
func pickOther(endpoints []*Endpoint, tried []Attempt, how Pick) *Endpoint {
	if how.Size > 0 {
		return how.ranked(endpoints, tried)
	}
	return leastLoad(endpoints, tried, rand.IntN(max(len(endpoints), 1)))
}

// leastLoad returns the endpoint with the least load that is not in tried, of equals the first
// one from start on. Nil: all were tried.
func leastLoad(endpoints []*Endpoint, tried []Attempt, start int) *Endpoint {
	var (
		best  *Endpoint
		least int64 = math.MaxInt64
		n           = len(endpoints)
	)
	for k := range n {
		e := endpoints[(start+k)%n]
		if wasTried(tried, e) {
			continue
		}
		if l := e.load(); best == nil || l < least {
			best, least = e, l
		}
	}
	return best
}

func wasTried(tried []Attempt, e *Endpoint) bool {
	return slices.ContainsFunc(tried, func(a Attempt) bool { return a.Endpoint == e })
}
