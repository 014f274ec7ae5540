package upstream

import "math/rand/v2"

// MaxSubset is the largest Size of a Pick.
const MaxSubset = 64

// Pick is how the endpoint of a request is picked. The zero value leaves it to the Options.
type Pick struct {
	Balance Balance // TwoChoices: that of the Options
	// Size binds the request to that many endpoints, at most MaxSubset: those that Hash ranks
	// highest, of which the one with the least load is picked. Zero: it is not bound, and Hash means
	// nothing. While an endpoint is ejected the next by rank takes its place, and what is bound to
	// others stays there. The rank is the same in all processes.
	Size int
	Hash uint64 // as HashOf makes it
}

// HashOf returns the Hash of a text.
func HashOf(s string) uint64 {
	h := uint64(14695981039346656037) // FNV-1a, which needs no seed: replicas must agree
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads each bit of h over all (the finalizer of SplitMix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// ranked returns one of the Size endpoints of the highest rank that are not in tried (rendezvous
// hashing). Nil: all were tried.
func (p Pick) ranked(endpoints []*Endpoint, tried []Attempt) *Endpoint {
	var (
		top   [MaxSubset]*Endpoint // by rank
		ranks [MaxSubset]uint64
		n     int
		size  = min(p.Size, MaxSubset)
	)
	for _, e := range endpoints {
		if wasTried(tried, e) {
			continue
		}
		rank, i := mix(p.Hash^e.hash), n
		if n < size {
			n++
		} else if i--; rank <= ranks[i] {
			continue
		}
		for ; i > 0 && rank > ranks[i-1]; i-- {
			top[i], ranks[i] = top[i-1], ranks[i-1]
		}
		top[i], ranks[i] = e, rank
	}
	if n <= 1 {
		return top[0]
	}
	return leastLoad(top[:n], nil, rand.IntN(n))
}
