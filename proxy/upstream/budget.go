package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	budgetWindow = 10 // seconds that are looked back on, the current one included
	// budgetFloor is how many retries a window always has, so that a Pool with few requests
	// can retry at all: ten a second, as in Finagle and Linkerd.
	budgetFloor = 100
)

// budget limits the retries of a Pool to a part of its requests, so that endpoints which fail
// because there are too many requests do not get even more. Over the last ten seconds it allows
// the larger of ratio times the requests, and budgetFloor. Requests are counted without a lock.
type budget struct {
	ratio float64
	// seconds is a ring: the second s is counted in seconds[s%len]. A word holds 16 bits of s,
	// so as to notice that it is an old one, 20 bits of retries and 28 bits of requests.
	// An idle Pool could take a count that is 65,536 s old for a current one: no harm.
	seconds [16]atomic.Uint64
	mu      sync.Mutex // held by retry, so that two do not take the last one
}

const (
	budgetRetry    = 1 << 28
	budgetRequests = budgetRetry - 1
	budgetRetries  = 1<<20 - 1
)

// request counts one request. now is any clock that does not go back.
func (b *budget) request(now time.Duration) { b.add(second(now), 1) }

// retry reports whether there may be one more retry, and counts it if so.
func (b *budget) retry(now time.Duration) bool {
	if b.ratio < 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var requests, retries uint64
	for s := second(now); ; s-- {
		if w := b.seconds[s%16].Load(); w>>48 == s&0xffff {
			requests += w & budgetRequests
			retries += w >> 28 & budgetRetries
		}
		if s == 0 || second(now)-s == budgetWindow-1 {
			break
		}
	}
	if float64(retries+1) > max(budgetFloor, b.ratio*float64(requests)) {
		return false
	}
	b.add(second(now), budgetRetry)
	return true
}

func (b *budget) add(s, n uint64) {
	word := &b.seconds[s%16]
	for {
		old := word.Load()
		next := old + n
		if old>>48 != s&0xffff {
			next = s&0xffff<<48 + n
		}
		if word.CompareAndSwap(old, next) {
			return
		}
	}
}

func second(now time.Duration) uint64 { return uint64(max(now, 0) / time.Second) }
