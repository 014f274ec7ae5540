package main

import (
	"fmt"
	"slices"
)

// maxSpread is how much the samples of a control may differ: beyond it the machine was too
// busy with other things, and no verdict is given.
const maxSpread = 0.10

// RowResult is a row that was measured in a closed loop.
type RowResult struct {
	Row      Row             `json:"row"`
	Subjects []SubjectResult `json:"subjects"`
	// Faults are why figures are missing.
	Faults []string `json:"faults,omitempty"`
}

// SubjectResult is what one subject did in a row: a sample for each round.
type SubjectResult struct {
	Name    string   `json:"name"`
	Samples []sample `json:"samples"`
	Counts  counts   `json:"counts"`
	// Of the subject's CPU per request, in microseconds.
	Median float64 `json:"median"`
	Spread float64 `json:"spread"` // (largest - smallest) / median
}

// subject returns the result of that name; nil when it was not measured.
func (r *RowResult) subject(name string) *SubjectResult {
	for i := range r.Subjects {
		if s := &r.Subjects[i]; s.Name == name && len(s.Samples) > 0 {
			return s
		}
	}
	return nil
}

// finish computes the figures of all samples.
func (s *SubjectResult) finish() {
	cpu := s.each(sample.cpu)
	s.Median, s.Spread = median(cpu), spread(cpu)
}

func (s *SubjectResult) each(figure func(sample) float64) []float64 {
	all := make([]float64, len(s.Samples))
	for i, x := range s.Samples {
		all[i] = figure(x)
	}
	return all
}

func (s *SubjectResult) of(figure func(sample) float64) float64 { return median(s.each(figure)) }

// Ratio compares the CPU per request of two subjects round by round: what disturbed a round
// disturbed both.
type Ratio struct {
	Median float64
	Rounds []float64
	// Refused says why it is no verdict; empty when it is one.
	Refused string
}

// ratio compares s to a control. Rounds that only one of them has do not count.
func (s *SubjectResult) ratio(control *SubjectResult) Ratio {
	var r Ratio
	for i := range min(len(s.Samples), len(control.Samples)) {
		if c := control.Samples[i].cpu(); c > 0 {
			r.Rounds = append(r.Rounds, s.Samples[i].cpu()/c)
		}
	}
	r.Median = median(r.Rounds)
	switch {
	case len(r.Rounds) < minRounds:
		r.Refused = fmt.Sprintf("%s, %d at least", plural(len(r.Rounds), "round"), minRounds)
	case control.Spread > maxSpread:
		r.Refused = fmt.Sprintf("%s spread by %.0f %%, %.0f %% at most", control.Name, control.Spread*100, maxSpread*100)
	}
	return r
}

// minRounds is how many rounds a verdict takes.
const minRounds = 5

func (r Ratio) String() string {
	if len(r.Rounds) == 0 {
		return "-"
	}
	text := fmt.Sprintf("%.2f", r.Median)
	if r.Refused != "" {
		text += "?"
	}
	return text
}

// goal is what fairlead is to reach: at most this much of the CPU per request of another.
type goal struct {
	row, subject, control string
	limit                 float64
}

// goals are the project's.
var goals = []goal{
	{"1k-64", fairleadName, "nginx", 1.00},
	{"1k-64", fairleadName, "haproxy", 0.98},
	{"1k-64-tls", fairleadName, "nginx", 1.10},
	{"1m-64", fairleadName, "nginx", 1.05},
	{"1k-64-routes10k", fairleadName, fairleadName + ", 1 route", 1.02},
}

// Verdict is a goal with what came of it.
type Verdict struct {
	Row     string  `json:"row"`
	Subject string  `json:"subject"`
	Control string  `json:"control"`
	Limit   float64 `json:"limit"`
	Ratio   float64 `json:"ratio"`
	Outcome string  `json:"outcome"` // met, missed, or refused and why
}

// verdicts judges the goals whose rows were measured.
func verdicts(rows []RowResult) []Verdict {
	var all []Verdict
	for _, g := range goals {
		i := slices.IndexFunc(rows, func(r RowResult) bool { return r.Row.Name == g.row })
		if i < 0 {
			continue
		}
		s, control := rows[i].subject(g.subject), rows[i].subject(g.control)
		if s == nil || control == nil {
			continue
		}
		r := s.ratio(control)
		v := Verdict{Row: g.row, Subject: g.subject, Control: g.control, Limit: g.limit, Ratio: r.Median, Outcome: "met"}
		switch {
		case r.Refused != "":
			v.Outcome = "refused: " + r.Refused
		case r.Median > g.limit:
			v.Outcome = "missed"
		}
		all = append(all, v)
	}
	return all
}

// median is that of the values; 0 when there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// spread is how far the values are apart, as a part of their median; 0 when it has no
// meaning.
func spread(values []float64) float64 {
	m := median(values)
	if m == 0 {
		return 0
	}
	return (slices.Max(values) - slices.Min(values)) / m
}
