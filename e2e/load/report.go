package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is a run of the benchmark.
type Report struct {
	Machine  Machine      `json:"machine"`
	Rounds   int          `json:"rounds"`
	Seconds  int          `json:"seconds"`
	Pinning  string       `json:"pinning"`
	Rows     []RowResult  `json:"rows"`
	Open     []OpenResult `json:"open"`
	Verdicts []Verdict    `json:"verdicts"`
}

// writeJSON writes the report to a file.
func (r *Report) writeJSON(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// writeHead says what is measured on what.
func (r *Report) writeHead(w io.Writer) {
	m := r.Machine
	fmt.Fprintf(w, "%s, %d cores, Linux %s; mitigations: %s\n", m.CPU, m.Cores, m.Kernel, cmp.Or(strings.Join(m.Mitigations, " "), "none"))
	for _, name := range sortedKeys(m.Programs) {
		fmt.Fprintf(w, "%s: %s\n", name, m.Programs[name])
	}
	fmt.Fprintf(w, "%s, %d s each; %s\n", plural(r.Rounds, "round"), r.Seconds, r.Pinning)
}

// write prints the row. The ratio to each control is the median of the rounds' ratios; "?"
// marks one that is no verdict.
func (r *RowResult) write(w io.Writer, controls []string) {
	fmt.Fprintf(w, "\n%s: %s\n", r.Row.Name, r.Row)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "CPU us/request\tuser\tsystem\tspread\t")
	for _, c := range controls {
		fmt.Fprintf(t, "/%s\t", c)
	}
	fmt.Fprint(t, "syscalls\tallocs\tswitches\trequests/s\tproxy\tbackend\twrk\tothers\tsteal\t")
	if r.Row.Log {
		fmt.Fprint(t, "logged\t")
	}
	fmt.Fprintln(t, " subject")
	for i := range r.Subjects {
		if s := &r.Subjects[i]; len(s.Samples) > 0 {
			r.writeSubject(t, s, controls)
		}
	}
	_ = t.Flush() // w is the user's screen, or takes everything
	for i := range r.Subjects {
		s := &r.Subjects[i]
		if len(s.Counts.Syscalls) > 0 {
			fmt.Fprintf(w, "  %s calls: %s\n", s.Name, s.Counts.calls())
		}
	}
	r.writeCautions(w, controls)
}

func (r *RowResult) writeSubject(t io.Writer, s *SubjectResult, controls []string) {
	fmt.Fprintf(t, "%.2f\t%.2f\t%.2f\t%.0f %%\t", s.Median,
		s.of(func(x sample) float64 { return x.User }), s.of(func(x sample) float64 { return x.System }), s.Spread*100)
	for _, name := range controls {
		switch c := r.subject(name); {
		case c == nil:
			fmt.Fprint(t, "-\t")
		case c == s:
			fmt.Fprint(t, "1\t")
		default:
			fmt.Fprintf(t, "%s\t", s.ratio(c))
		}
	}
	if len(s.Counts.Syscalls) > 0 {
		fmt.Fprintf(t, "%.2f\t", s.Counts.total())
	} else {
		fmt.Fprint(t, "-\t")
	}
	if s.Counts.Allocations != nil {
		fmt.Fprintf(t, "%.2f\t", *s.Counts.Allocations)
	} else {
		fmt.Fprint(t, "-\t")
	}
	fmt.Fprintf(t, "%.2f\t%.0f\t", s.of(func(x sample) float64 { return x.Voluntary + x.Involuntary }), s.of(func(x sample) float64 { return x.PerSecond }))
	for _, share := range []func(sample) float64{
		func(x sample) float64 { return x.Proxy },
		func(x sample) float64 { return x.Backend },
		func(x sample) float64 { return x.Generator },
		func(x sample) float64 { return x.Others },
		func(x sample) float64 { return x.Steal },
	} {
		fmt.Fprintf(t, "%.0f %%\t", s.of(share)*100)
	}
	if r.Row.Log {
		fmt.Fprintf(t, "%.0f %%\t", s.of(func(x sample) float64 { return x.Logged })*100)
	}
	fmt.Fprintf(t, " %s\n", s.Name)
}

// writeCautions says what speaks against the figures.
func (r *RowResult) writeCautions(w io.Writer, controls []string) {
	for _, name := range controls {
		if c := r.subject(name); c != nil && len(c.Samples) > 1 && c.Spread > maxSpread {
			fmt.Fprintf(w, "  no verdict against %s: it spread by %.0f %%, %.0f %% at most\n", name, c.Spread*100, maxSpread*100)
		}
	}
	var steal, others float64
	for i := range r.Subjects {
		steal = max(steal, r.Subjects[i].of(func(x sample) float64 { return x.Steal }))
		others = max(others, r.Subjects[i].of(func(x sample) float64 { return x.Others }))
		if s := &r.Subjects[i]; len(s.Samples) > 0 && r.Row.Log && s.of(func(x sample) float64 { return x.Logged }) < 0.999 {
			fmt.Fprintf(w, "  %s left out lines of its access log: its work is less\n", s.Name)
		}
	}
	if steal >= 0.01 {
		fmt.Fprintf(w, "  the hypervisor took %.1f %% of a CPU: want less than 1 %%\n", steal*100)
	}
	if others >= 0.10 {
		fmt.Fprintf(w, "  others used %.0f %% of a CPU: the machine is not quiet\n", others*100)
	}
	for _, f := range r.Faults {
		fmt.Fprintf(w, "  %s\n", f)
	}
}

// calls are the system calls of a request that matter, the most frequent first.
func (c counts) calls() string {
	names := sortedKeys(c.Syscalls)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(c.Syscalls[b], c.Syscalls[a]) })
	var words []string
	for _, name := range names {
		if n := c.Syscalls[name]; n >= 0.01 {
			words = append(words, fmt.Sprintf("%s %.2f", name, n))
		}
	}
	return strings.Join(words, ", ")
}

// write prints the row: latencies in microseconds, medians over the rounds, and what the
// proxy adds to the backend's own.
func (r *OpenResult) write(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s; latency in us, and without a proxy\n", r.Row.Name, r.Row)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "saturation\trate\tof it\tp50\tp99\tp99.9\tdirect p50\tp99\tp99.9\tadded p50\tp99\tp99.9\t subject")
	var notes []string
	for _, s := range r.Subjects {
		for _, at := range s.Rates {
			if len(at.Attacks) == 0 {
				continue
			}
			fmt.Fprintf(t, "%.0f\t%d\t%.0f %%\t", s.Saturation, at.Rate, float64(at.Rate)/s.Saturation*100)
			figures := []func(Attack) float64{
				func(a Attack) float64 { return a.P50 }, func(a Attack) float64 { return a.P99 }, func(a Attack) float64 { return a.P999 },
			}
			for _, f := range figures {
				fmt.Fprintf(t, "%.0f\t", at.of(at.Attacks, f))
			}
			for _, f := range figures {
				fmt.Fprintf(t, "%.0f\t", at.of(at.Direct, f))
			}
			for _, f := range figures {
				fmt.Fprintf(t, "%.0f\t", at.of(at.Attacks, f)-at.of(at.Direct, f))
			}
			fmt.Fprintf(t, " %s\n", s.Name)
			if at.Capped {
				notes = append(notes, fmt.Sprintf("%s at %.0f %%: the generator can send %d a second and stay honest; that is %.0f %%", s.Name, at.Share*100, at.Rate, float64(at.Rate)/s.Saturation*100))
			}
			if doubt := at.doubt(); doubt != "" {
				notes = append(notes, fmt.Sprintf("%s at %d a second: %s", s.Name, at.Rate, doubt))
			}
		}
	}
	_ = t.Flush() // as in RowResult
	for _, n := range append(notes, r.Faults...) {
		fmt.Fprintf(w, "  %s\n", n)
	}
}

// writeVerdicts prints what became of the goals.
func (r *Report) writeVerdicts(w io.Writer) {
	if len(r.Verdicts) == 0 {
		return
	}
	fmt.Fprintln(w, "\ngoals: CPU per request, at most")
	for _, v := range r.Verdicts {
		fmt.Fprintf(w, "  %-16s %.2f of %-20s %.2f  %s\n", v.Row, v.Limit, v.Control+":", v.Ratio, v.Outcome)
	}
}
