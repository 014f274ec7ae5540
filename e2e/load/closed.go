package main

import (
	"context"
	"fmt"
	"slices"
)

// closed measures a row in a closed loop. Every round runs all subjects, in an order that is
// reversed from one round to the next, so that a machine that slowly gets faster or slower
// favours none. A subject that fails is left out of the rest of the row.
func (b *bench) closed(ctx context.Context, r Row, subjects []subject) (RowResult, error) {
	result := RowResult{Row: r}
	err := b.measureAll(ctx, r, subjects, &result)
	for i := range result.Subjects {
		result.Subjects[i].finish()
	}
	return result, err
}

func (b *bench) measureAll(ctx context.Context, r Row, subjects []subject, result *RowResult) error {
	for _, s := range subjects {
		result.Subjects = append(result.Subjects, SubjectResult{Name: s.name})
	}
	failed := map[int]bool{}
	fail := func(i int, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed[i] = true
		result.Faults = append(result.Faults, fmt.Sprintf("%s: %v", subjects[i].name, err))
		fmt.Fprintf(b.progress, "  %s: %v\n", subjects[i].name, err)
		return nil
	}
	for round := range b.rounds {
		for _, i := range order(len(subjects), round) {
			if failed[i] {
				continue
			}
			taken, err := b.measure(ctx, subjects[i], r)
			if err != nil {
				if err := fail(i, err); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(b.progress, "  round %d  %-18s %7.2f us  %8.0f/s\n", round+1, subjects[i].name, taken.cpu(), taken.PerSecond)
			result.Subjects[i].Samples = append(result.Subjects[i].Samples, taken)
		}
	}
	for i := range subjects {
		s := &result.Subjects[i]
		if failed[i] || b.counting == 0 {
			continue
		}
		var err error
		if s.Counts, err = b.count(ctx, subjects[i], r); err != nil {
			if err := fail(i, fmt.Errorf("counting: %w", err)); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// order is that of n subjects in a round.
func order(n, round int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(all)
	}
	return all
}
