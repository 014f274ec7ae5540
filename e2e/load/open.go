package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// shares are the rates of an open loop, as parts of what the subject can do.
var shares = []float64{0.5, 0.8}

// keepsUp is the part of the asked rate that the generator has to send, lest it measure
// itself.
const keepsUp = 0.98

// OpenResult is a row that was measured in an open loop.
type OpenResult struct {
	Row Row `json:"row"`
	// Ceiling is the rate that the generator takes the backend to, with nothing between them.
	Ceiling  float64       `json:"ceiling"`
	Subjects []OpenSubject `json:"subjects"`
	Faults   []string      `json:"faults,omitempty"`
}

// OpenSubject is what one subject did.
type OpenSubject struct {
	Name       string      `json:"name"`
	Saturation float64     `json:"saturation"` // requests each second, in a closed loop
	Rates      []*OpenRate `json:"rates"`
}

// OpenRate is one rate: an attack on the subject and one on the backend for each round.
type OpenRate struct {
	Share   float64  `json:"share"`  // of the saturation, as wanted
	Rate    int      `json:"rate"`   // requests each second
	Capped  bool     `json:"capped"` // the generator cannot send the share that was wanted
	Attacks []Attack `json:"attacks"`
	Direct  []Attack `json:"direct"`
}

// open measures the latency of a row. As in closed, the order is reversed every round.
func (b *bench) open(ctx context.Context, r Row, subjects []subject) (OpenResult, error) {
	result := OpenResult{Row: r}
	direct := asker{net.JoinHostPort("127.0.0.1", strconv.Itoa(b.backend.ports[r.Size])), "http"}
	ceiling, err := b.generator.runAttack(ctx, direct, 0, b.seconds, r.Connections)
	if err != nil {
		return result, err
	}
	result.Ceiling = ceiling.Sent
	for _, s := range subjects {
		result.Subjects = append(result.Subjects, OpenSubject{Name: s.name})
	}
	failed := map[int]bool{}
	for round := range b.rounds {
		for _, i := range order(len(subjects), round) {
			if failed[i] {
				continue
			}
			err := b.attackOnce(ctx, subjects[i], r, direct, result.Ceiling, &result.Subjects[i])
			if ctx.Err() != nil {
				return result, ctx.Err()
			}
			if err != nil {
				failed[i] = true
				result.Faults = append(result.Faults, fmt.Sprintf("%s: %v", subjects[i].name, err))
			}
		}
	}
	return result, nil
}

// attackOnce makes one round of a subject. The first finds out how much it can do and so the
// rates, which stay.
func (b *bench) attackOnce(ctx context.Context, s subject, r Row, direct asker, ceiling float64, result *OpenSubject) error {
	p, err := b.prepare(ctx, s, r)
	if err != nil {
		return err
	}
	defer p.stop()
	if result.Rates == nil {
		l, err := b.generator.run(ctx, p.address(r), r, b.seconds)
		if err != nil {
			return p.explain(err)
		}
		result.Saturation = l.perSecond()
		result.Rates = openRates(result.Saturation, ceiling)
	}
	for _, at := range result.Rates {
		through, err := b.generator.runAttack(ctx, asker{p.address(r), r.scheme()}, at.Rate, b.seconds, r.Connections)
		if err != nil {
			return p.explain(err)
		}
		beside, err := b.generator.runAttack(ctx, direct, at.Rate, b.seconds, r.Connections)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.progress, "  %-18s %6d/s  p50 %6.0f  p99 %6.0f  p99.9 %6.0f us  (direct %.0f, %.0f, %.0f)\n",
			s.name, at.Rate, through.P50, through.P99, through.P999, beside.P50, beside.P99, beside.P999)
		at.Attacks, at.Direct = append(at.Attacks, through), append(at.Direct, beside)
		if through.Failed > 0 {
			return errors.New(plural(at.Rate, "request") + " each second: want no failure, got " + through.Error)
		}
	}
	return nil
}

// openRates returns the shares of the saturation, and 60 % of the generator's ceiling in
// place of those above: beyond it the generator's own queue is what is measured. No rate is
// there twice.
func openRates(saturation, ceiling float64) []*OpenRate {
	limit := 0.6 * ceiling
	var all []*OpenRate
	for _, share := range shares {
		r := &OpenRate{Share: share, Rate: max(1, int(share*saturation))}
		if float64(r.Rate) > limit {
			r.Rate, r.Capped = max(1, int(limit)), true
		}
		if n := len(all); n > 0 && all[n-1].Rate == r.Rate {
			continue
		}
		all = append(all, r)
	}
	return all
}

// doubt says why the latencies are not those of the subject at that rate; empty when they are.
func (r *OpenRate) doubt() string {
	sent := func(a Attack) float64 { return a.Sent }
	switch least := keepsUp * float64(r.Rate); {
	case r.of(r.Direct, sent) < least:
		return "the generator did not keep up without a proxy: the latencies are its own"
	case r.of(r.Attacks, sent) < least:
		return "requests could not be sent at that rate: it is more than this proxy or the generator beside it takes"
	}
	return ""
}

// of is the median of a figure over the rounds.
func (*OpenRate) of(attacks []Attack, figure func(Attack) float64) float64 {
	all := make([]float64, len(attacks))
	for i, a := range attacks {
		all[i] = figure(a)
	}
	return median(all)
}
