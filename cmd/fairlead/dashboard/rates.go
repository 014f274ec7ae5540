package dashboard

import (
	"context"
	"sync"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/observe"
)

// The times of Rates: how often the counters are read, and the age at which a reading is no
// longer what rates are made from. Rates are over one to two windows.
const (
	every  = 5 * time.Second
	window = 15 * time.Second
)

// points is how many readings the course of the last ten minutes is made of.
const points = 120

// Rates makes rates of counters. Make it with NewRates. All methods may be called by many
// goroutines.
type Rates struct {
	counts func() []observe.Count
	now    func() time.Time

	mu      sync.Mutex
	old     reading // what rates are made from
	middle  reading // takes the place of old
	last    reading
	courses []course // oldest first, at most points
}

// reading is the counters at one moment.
type reading struct {
	at     time.Time
	counts map[label]observe.Count
}

// label is what is counted together.
type label struct{ namespace, ingress, service string }

// course is what happened between two readings, all together, per second.
type course struct{ requests, errors float64 }

// Rate is what happens per second.
type Rate struct {
	Requests, ClientErrors, ServerErrors float64
}

// NewRates returns Rates of counts, with one reading. now is time.Now if nil.
func NewRates(counts func() []observe.Count, now func() time.Time) *Rates {
	if now == nil {
		now = time.Now
	}
	r := &Rates{counts: counts, now: now}
	r.last = r.read()
	r.old, r.middle = r.last, r.last
	return r
}

// Run reads the counters until ctx ends.
func (r *Rates) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.take()
		case <-ctx.Done():
			return
		}
	}
}

func (r *Rates) read() reading {
	list := r.counts()
	now := reading{r.now(), make(map[label]observe.Count, len(list))}
	for _, c := range list {
		now.counts[label{c.Namespace, c.Ingress, c.Service}] = c
	}
	return now
}

// take adds a reading.
func (r *Rates) take() {
	now := r.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	var c course
	for k := range now.counts {
		rate := between(&r.last, &now, k)
		c.requests += rate.Requests
		c.errors += rate.ServerErrors
	}
	r.courses = append(r.courses, c)
	r.courses = r.courses[max(0, len(r.courses)-points):]
	r.last = now
	if now.at.Sub(r.middle.at) >= window {
		r.old, r.middle = r.middle, now
	}
}

// between is the rate of k from one reading to another.
func between(from, to *reading, k label) Rate {
	seconds := to.at.Sub(from.at).Seconds()
	if seconds <= 0 {
		return Rate{}
	}
	a, b := from.counts[k], to.counts[k]
	per := func(before, now uint64) float64 {
		if now < before {
			before = 0 // it was counted from the beginning
		}
		return float64(now-before) / seconds
	}
	return Rate{per(a.Requests, b.Requests), per(a.ClientErrors, b.ClientErrors), per(a.ServerErrors, b.ServerErrors)}
}

// current is the rates up to now, the sum of all, and the course of the last minutes.
func (r *Rates) current() (rates map[label]Rate, sum Rate, courses []course) {
	now := r.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	rates = make(map[label]Rate, len(now.counts))
	for k := range now.counts {
		rate := between(&r.old, &now, k)
		rates[k] = rate
		sum.Requests += rate.Requests
		sum.ClientErrors += rate.ClientErrors
		sum.ServerErrors += rate.ServerErrors
	}
	return rates, sum, append(courses, r.courses...)
}
