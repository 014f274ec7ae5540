package policy

import (
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limit bounds what one client address may ask of an Ingress. All rules of the Ingress share the
// budget.
type Limit struct {
	// Divided says that the limits are those of all live replicas together, of which each allows
	// its part. Otherwise each replica allows all, as ingress-nginx does.
	Divided     bool
	Connections int // concurrent requests; 0: not limited
	PerSecond   int // 0: not limited
	PerMinute   int // 0: not limited
	Burst       int // factor of both rates
	Allow       []netip.Prefix
	// The statuses of refusals, and whether they are so because nobody asked for others.
	RateStatus, ConnectionStatus       int
	RateByDefault, ConnectionByDefault bool
}

var (
	limitConnections = Key{Name: "limit-connections", Value: "number, 0 for no limit", Default: "0", Doc: "concurrent requests of a client address; in each replica, or of all live replicas together in the spec profile: docs/limits.md has the bounds"}
	limitRPS         = Key{Name: "limit-rps", Value: "number, 0 for no limit", Default: "0", Doc: "requests per second of a client address, in each replica; beyond the burst they are refused with 503. In the spec profile of all live replicas together, and 429: docs/limits.md has the bounds"}
	limitRPM         = Key{Name: "limit-rpm", Value: "number, 0 for no limit", Default: "0", Doc: "requests per minute, as limit-rps"}
	limitBurst       = Key{Name: "limit-burst-multiplier", Value: "1 to 1000", Default: "5", Doc: "burst of a rate, as a multiple of it"}
	limitAllow       = Key{Name: "limit-allowlist", Aliases: []string{"limit-whitelist"}, Value: "addresses and CIDRs, separated by commas", Doc: "client addresses that are not limited"}
	limitReqStatus   = Key{Name: "limit-req-status-code", GlobalOnly: true, Value: "400 to 599", Default: "503", SpecDefault: "429", Doc: "status of what a rate refuses"}
	limitConnStatus  = Key{Name: "limit-conn-status-code", GlobalOnly: true, Value: "400 to 599", Default: "503", SpecDefault: "429", Doc: "status of what limit-connections refuses"}
)

var limiting = feature{
	name: "limits",
	keys: []Key{limitConnections, limitRPS, limitRPM, limitBurst, limitAllow, limitReqStatus, limitConnStatus},
	read: func(r *reader, s *Set) {
		l := Limit{
			Divided:     !r.quirks.Has(QuirkLimitsPerReplica),
			Connections: max(r.integer(limitConnections, -1<<31, 1<<20, 0), 0),
			PerSecond:   max(r.integer(limitRPS, -1<<31, 1<<20, 0), 0),
			PerMinute:   max(r.integer(limitRPM, -1<<31, 1<<20, 0), 0),
			Burst:       r.integer(limitBurst, 1, 1000, 5),
		}
		l.Allow, _ = r.prefixes(limitAllow)
		rate, _ := r.number(limitReqStatus, 400, 599)
		connection, _ := r.number(limitConnStatus, 400, 599)
		if l.Connections+l.PerSecond+l.PerMinute == 0 {
			return
		}
		l.RateStatus, l.ConnectionStatus = r.limitStatus(rate), r.limitStatus(connection)
		l.RateByDefault, l.ConnectionByDefault = rate == 0, connection == 0
		s.Limit = &l
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Limit == nil {
			return next
		}
		return &limiter{l, l.Limit, l.rule.Namespace + "/" + l.rule.Ingress, next}
	},
}

// limitStatus is said, or the default if that is 0.
func (r *reader) limitStatus(said int) int {
	switch {
	case said != 0:
		return said
	case r.byQuirk(QuirkLimitStatus):
		return http.StatusServiceUnavailable
	}
	return http.StatusTooManyRequests
}

type limiter struct {
	link
	*Limit
	ingress string
	next    http.Handler
}

// refuse ends a request with a status that nobody may have asked for.
func (h *limiter) refuse(w http.ResponseWriter, r *http.Request, status int, byDefault bool, reason string) {
	if byDefault && h.Quirks.Has(QuirkLimitStatus) {
		h.depends(QuirkLimitStatus, w, r)
	}
	answer(w, r, status, reason)
}

func (h *limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := exchangeOf(w).Client()
	if exchangeOf(w).Rehearsal() || !client.IsValid() || slices.ContainsFunc(h.Limit.Allow, func(p netip.Prefix) bool { return p.Contains(client) }) {
		h.next.ServeHTTP(w, r)
		return
	}
	share, limits := 1, &h.env.limits
	if h.Divided {
		share = h.env.Replicas()
	}
	if h.Connections > 0 {
		k := limitKey{h.ingress, 'c', client}
		if !limits.enter(k, max(h.Connections/share, 1)) {
			h.refuse(w, r, h.ConnectionStatus, h.ConnectionByDefault, "connection-limit")
			return
		}
		defer limits.leave(k)
	}
	now := time.Now()
	if !limits.take(limitKey{h.ingress, 's', client}, share, h.PerSecond, time.Second, h.Burst, now) ||
		!limits.take(limitKey{h.ingress, 'm', client}, share, h.PerMinute, time.Minute, h.Burst, now) {
		h.refuse(w, r, h.RateStatus, h.RateByDefault, "rate-limit")
		return
	}
	h.next.ServeHTTP(w, r)
}

// limits are the budgets of all Ingresses and clients. The zero value is ready for use.
type limits struct {
	mu      sync.Mutex
	buckets map[limitKey]bucket
	inUse   map[limitKey]int
	sweep   time.Time // when idle buckets are looked for next
}

// limitKey is a budget: of an Ingress, for one kind of limit, of one client.
type limitKey struct {
	ingress string
	kind    byte
	client  netip.Addr
}

// bucket is a leaky bucket: excess requests run out at the rate. A request that finds more than
// the burst in it is refused and adds nothing; nothing is ever delayed.
type bucket struct {
	excess float64
	last   time.Time
	empty  time.Time // when it has run out
}

// maxBuckets bounds the memory: 200,000 clients take some 30 MB. Beyond it the fullest stay
// longest, as idle ones are forgotten first and new ones are not limited.
const maxBuckets = 200_000

// take reports whether a request fits. A rate of 0 is none. The request counts as cost many: where
// cost replicas share the rate each takes the others to have had as many requests as itself, so
// what is in a bucket stays right when there are more of them, or fewer.
func (l *limits) take(k limitKey, cost, rate int, per time.Duration, burst int, now time.Time) bool {
	if rate == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		l.buckets = make(map[limitKey]bucket)
	}
	if now.After(l.sweep) {
		l.sweep = now.Add(10 * time.Second)
		for k, b := range l.buckets {
			if now.After(b.empty) {
				delete(l.buckets, k)
			}
		}
	}
	speed := float64(rate) / per.Seconds()
	b, known := l.buckets[k]
	excess := 0.0
	if known {
		excess = max(b.excess-speed*now.Sub(b.last).Seconds()+float64(cost), 0)
		if excess > float64(rate*burst) {
			return false
		}
	} else if len(l.buckets) >= maxBuckets {
		return true
	}
	l.buckets[k] = bucket{excess, now, now.Add(time.Duration((excess + float64(cost)) / speed * float64(time.Second)))}
	return true
}

// enter reports whether one more request of the client may run, until leave.
func (l *limits) enter(k limitKey, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inUse[k] >= most {
		return false
	}
	if l.inUse == nil {
		l.inUse = make(map[limitKey]int)
	}
	l.inUse[k]++
	return true
}

func (l *limits) leave(k limitKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inUse[k]--; l.inUse[k] <= 0 {
		delete(l.inUse, k)
	}
}
