package main

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// result makes a row in which each subject used so much CPU in its rounds.
func result(name string, subjects map[string][]float64) RowResult {
	r := RowResult{Row: Row{Name: name}}
	for _, subject := range sortedKeys(subjects) {
		s := SubjectResult{Name: subject}
		for _, cpu := range subjects[subject] {
			s.Samples = append(s.Samples, sample{User: cpu / 4, System: cpu * 3 / 4})
		}
		s.finish()
		r.Subjects = append(r.Subjects, s)
	}
	return r
}

func TestVerdicts(t *testing.T) {
	steady := []float64{10, 10, 10.5, 10, 9.8}
	for _, c := range []struct {
		name             string
		fairlead, nginx  []float64
		outcome, control string
		ratio            float64
	}{
		{"met", []float64{9, 9, 9, 9, 9}, steady, "met", "nginx", 0.9},
		{"just met", []float64{10, 10, 10.5, 10, 9.8}, steady, "met", "nginx", 1},
		{"missed", []float64{30, 30, 30, 30, 30}, steady, "missed", "nginx", 3},
		{"few rounds", []float64{9, 9, 9, 9}, steady[:4], "refused: 4 rounds, 5 at least", "nginx", 0.9},
		{"control restless", []float64{9, 9, 9, 9, 9}, []float64{10, 10, 10, 10, 11.2}, "refused: nginx spread by 12 %, 10 % at most", "nginx", 0.9},
		// Both were disturbed alike in round 2: round by round nothing happened.
		{"paired", []float64{9, 9.6, 9, 9, 9}, []float64{10, 10.7, 10, 10, 10}, "met", "nginx", 0.9},
	} {
		rows := []RowResult{result("1k-64", map[string][]float64{"fairlead": c.fairlead, "nginx": c.nginx})}
		all := verdicts(rows)
		if len(all) != 1 {
			t.Errorf("%s: want one verdict, got %+v", c.name, all)
			continue
		}
		if v := all[0]; v.Outcome != c.outcome || v.Control != c.control || math.Abs(v.Ratio-c.ratio) > 0.005 {
			t.Errorf("%s: want %s %.2f, got %+v", c.name, c.outcome, c.ratio, v)
		}
	}
}

func TestVerdictsNeedFigures(t *testing.T) {
	rows := []RowResult{
		result("1k-64", map[string][]float64{"fairlead": {1, 1, 1, 1, 1}, "nginx": nil}),
		result("64-64", map[string][]float64{"fairlead": {1, 1, 1, 1, 1}, "nginx": {1, 1, 1, 1, 1}}),
	}
	if got := verdicts(rows); len(got) != 0 {
		t.Errorf("want no verdict without a control or a goal, got %+v", got)
	}
}

// TestRatioOfFailed compares a subject that failed in round 3: the first two are pairs.
func TestRatioOfFailed(t *testing.T) {
	r := result("1k-64", map[string][]float64{"fairlead": {20, 40}, "nginx": {10, 20, 20, 20, 20}})
	got := r.subject("fairlead").ratio(r.subject("nginx"))
	if !slices.Equal(got.Rounds, []float64{2, 2}) || got.Refused == "" || got.String() != "2.00?" {
		t.Errorf("want 2 twice and no verdict, got %+v %s", got, got)
	}
}

func TestMedianAndSpread(t *testing.T) {
	for _, c := range []struct {
		values         []float64
		median, spread float64
	}{
		{nil, 0, 0},
		{[]float64{3}, 3, 0},
		{[]float64{4, 1, 2}, 2, 1.5},
		{[]float64{4, 1, 2, 3}, 2.5, 1.2},
	} {
		before := slices.Clone(c.values)
		if m, s := median(c.values), spread(c.values); m != c.median || math.Abs(s-c.spread) > 1e-9 {
			t.Errorf("%v: want %v and %v, got %v and %v", c.values, c.median, c.spread, m, s)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("want the samples in their order, got %v", c.values)
		}
	}
}

func TestOrder(t *testing.T) {
	for round, want := range [][]int{{0, 1, 2}, {2, 1, 0}, {0, 1, 2}} {
		if got := order(3, round); !slices.Equal(got, want) {
			t.Errorf("round %d: want %v, got %v", round, want, got)
		}
	}
}

func TestWriteRow(t *testing.T) {
	r := result("1k-64-log", map[string][]float64{"fairlead": {9, 9, 9, 9, 9}, "nginx": {10, 10, 10, 10, 13}})
	r.Row.Log = true
	r.Subjects[0].Counts.Syscalls = map[string]float64{"read": 2, "write": 2.5, "mmap": 0.001}
	r.Faults = []string{"haproxy: it ended"}
	var b strings.Builder
	r.write(&b, []string{"nginx", "haproxy"})
	for _, want := range []string{
		"0.90?", "calls: write 2.50, read 2.00\n", "no verdict against nginx: it spread by 30 %",
		"fairlead left out lines", "haproxy: it ended",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("want %q in\n%s", want, &b)
		}
	}
}
