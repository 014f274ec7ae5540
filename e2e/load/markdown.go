package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// What stands between these lines of a page is written here.
const (
	pageBegin = "<!-- written by go run ./load -md -->\n"
	pageEnd   = "<!-- end of what is written -->\n"
)

// readReport reads what writeJSON wrote.
func readReport(file string) (*Report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// writePage puts the report into a page, in place of the one that is there.
func (r *Report) writePage(file string) error {
	before, after, err := splitPage(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(before+pageBegin+"\n"+r.markdown()+"\n"+pageEnd+after), 0o644)
}

// splitPage returns what stands before and behind the report in a page.
func splitPage(file string) (before, after string, err error) {
	page, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	before, rest, begun := strings.Cut(string(page), pageBegin)
	_, after, ended := strings.Cut(rest, pageEnd)
	if !begun || !ended {
		return "", "", fmt.Errorf("%s: want a line %q and later a line %q", file, strings.TrimSpace(pageBegin), strings.TrimSpace(pageEnd))
	}
	return before, after, nil
}

// markdown is the report as tables. A figure without a verdict has a "?", one that is missing is a
// dash, as in the report for a screen.
func (r *Report) markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s, %d cores, Linux %s, mitigations: %s. %s of %d s; %s.\n", m.CPU, m.Cores, m.Kernel,
		cmp.Or(strings.Join(m.Mitigations, " "), "none"), plural(r.Rounds, "round"), r.Seconds, r.Pinning)
	for _, name := range sortedKeys(m.Programs) {
		version, _, _ := strings.Cut(m.Programs[name], " (/") // where the binary lay is of no interest later
		fmt.Fprintf(&b, "%s: %s.\n", name, version)
	}
	r.writeCPU(&b)
	r.writeLatency(&b)
	r.writeGoals(&b)
	return b.String()
}

func (r *Report) writeCPU(b *strings.Builder) {
	if len(r.Rows) == 0 {
		return
	}
	b.WriteString("\n| row | subject | CPU µs a request | user | system | spread | fairlead is | system calls | allocations | switches |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		ours := row.subject(fairleadName)
		for j := range row.Subjects {
			s := &row.Subjects[j]
			if len(s.Samples) == 0 {
				continue
			}
			ratio, calls, allocations := "", "-", "-"
			if ours != nil && s.Name != fairleadName {
				ratio = ours.ratio(s).String()
			}
			if len(s.Counts.Syscalls) > 0 {
				calls = fmt.Sprintf("%.2f", s.Counts.total())
			}
			if s.Counts.Allocations != nil {
				allocations = fmt.Sprintf("%.2f", *s.Counts.Allocations)
			}
			fmt.Fprintf(b, "| %s | %s | %.2f | %.2f | %.2f | %.0f %% | %s | %s | %s | %.2f |\n", row.Row.Name, s.Name, s.Median,
				s.of(func(x sample) float64 { return x.User }), s.of(func(x sample) float64 { return x.System }), s.Spread*100,
				ratio, calls, allocations, s.of(func(x sample) float64 { return x.Voluntary + x.Involuntary }))
		}
		for _, f := range row.Faults {
			fmt.Fprintf(b, "| %s | %s | | | | | | | | |\n", row.Row.Name, cell(f))
		}
	}
}

func (r *Report) writeLatency(b *strings.Builder) {
	if len(r.Open) == 0 {
		return
	}
	b.WriteString("\n| open loop | subject | requests a second | of its saturation | p50 µs | p99 | p99.9 | direct p50 | p99 | p99.9 |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	figures := []func(Attack) float64{
		func(a Attack) float64 { return a.P50 }, func(a Attack) float64 { return a.P99 }, func(a Attack) float64 { return a.P999 },
	}
	for _, row := range r.Open {
		for _, s := range row.Subjects {
			for _, at := range s.Rates {
				if len(at.Attacks) == 0 {
					continue
				}
				doubt := ""
				if at.doubt() != "" {
					doubt = "?"
				}
				fmt.Fprintf(b, "| %s | %s | %d%s | %.0f %% |", row.Row.Name, s.Name, at.Rate, doubt, float64(at.Rate)/s.Saturation*100)
				for _, attacks := range [][]Attack{at.Attacks, at.Direct} {
					for _, f := range figures {
						fmt.Fprintf(b, " %.0f |", at.of(attacks, f))
					}
				}
				b.WriteString("\n")
			}
		}
		for _, f := range row.Faults {
			fmt.Fprintf(b, "| %s | %s | | | | | | | | |\n", row.Row.Name, cell(f))
		}
	}
}

func (r *Report) writeGoals(b *strings.Builder) {
	if len(r.Verdicts) == 0 {
		return
	}
	b.WriteString("\n| goal: CPU a request | at most | is | |\n|---|--:|--:|---|\n")
	for _, v := range r.Verdicts {
		fmt.Fprintf(b, "| %s, of %s | %.2f | %.2f | %s |\n", v.Row, v.Control, v.Limit, v.Ratio, cell(v.Outcome))
	}
}

// cell is text for one cell of a table.
func cell(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return strings.ReplaceAll(text, "|", "\\|")
}
