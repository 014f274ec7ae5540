package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The names of the fairleads: the one that is measured, and another to compare it to.
const (
	fairleadName = "fairlead"
	againstName  = "against"
)

// settings are the command line.
type settings struct {
	rows    []Row
	proxies []string
	list    bool

	rounds, seconds, warmup, counting int

	root, binary, against string // paths; empty binary: built from root
	args, againstArgs     string // flags for them
	profile, output, page string // files to write; empty: none
	from                  string // a report to read in place of a run; empty: none

	proxyCPUs, loadCPUs string
	threads             int // the number of proxyCPUs
}

// parseSettings reads the command line. It says what is wrong with it, all at once.
func parseSettings(args []string, usage io.Writer) (*settings, error) {
	var s settings
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(usage)
	rows := f.String("rows", "*", "`rows` to measure: names or patterns, with commas between them")
	proxies := f.String("proxies", "", "`subjects`, with commas between them: fairlead, nginx, haproxy, against (default: the first three; with -against or -against-args: fairlead,against)")
	f.BoolVar(&s.list, "list", false, "print the standard rows")
	f.IntVar(&s.rounds, "rounds", 5, "how often each subject is run; a verdict takes 5")
	f.IntVar(&s.seconds, "seconds", 3, "how long a run takes")
	f.IntVar(&s.warmup, "warmup", 1, "`seconds` of load before it; 0 is none")
	f.IntVar(&s.counting, "count", 2, "`seconds` of the runs that count system calls and allocations; 0 makes none")
	f.StringVar(&s.root, "root", "..", "`directory` of the module that fairlead is built from")
	f.StringVar(&s.binary, "binary", "", "fairlead `binary` to measure (default: built)")
	f.StringVar(&s.against, "against", "", "another fairlead `binary` to compare it to")
	f.StringVar(&s.args, "args", "", "`flags` for fairlead serve, with blanks between them")
	f.StringVar(&s.againstArgs, "against-args", "", "`flags` for the other; without -against it is the same binary")
	f.StringVar(&s.profile, "cpuprofile", "", "take a CPU profile of each fairlead and write it to `PREFIX`-SUBJECT-ROW.pprof")
	f.StringVar(&s.output, "o", "", "`file` for the report, as JSON")
	f.StringVar(&s.page, "md", "", "Markdown `file` to put the report's tables into, between the lines that say so")
	f.StringVar(&s.from, "from", "", "JSON `file` of an earlier report, for -md: nothing is measured")
	f.StringVar(&s.proxyCPUs, "proxy-cpus", "1", "`CPUs` of the proxies, as taskset takes them; they have as many threads")
	f.StringVar(&s.loadCPUs, "load-cpus", "0", "`CPUs` of the generator and the backend")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if f.NArg() > 0 {
		wrong("want flags only, got %q", f.Arg(0))
	}
	var err error
	if s.rows, err = SelectRows(*rows); err != nil {
		errs = append(errs, err)
	}
	if *proxies == "" {
		*proxies = "fairlead,nginx,haproxy"
		if s.against != "" || s.againstArgs != "" {
			*proxies = "fairlead,against"
		}
	}
	s.proxies = strings.Split(*proxies, ",")
	for i, p := range s.proxies {
		if !slices.Contains([]string{fairleadName, againstName, "nginx", "haproxy"}, p) {
			wrong("-proxies: want some of fairlead, nginx, haproxy, against, got %q", p)
		} else if slices.Contains(s.proxies[:i], p) {
			wrong("-proxies: %s is there twice", p)
		}
	}
	if slices.Contains(s.proxies, againstName) {
		if s.against == "" && s.againstArgs == "" {
			wrong("-proxies: against needs -against or -against-args")
		}
		if !slices.Contains(s.proxies, fairleadName) {
			wrong("-proxies: against needs fairlead beside it")
		}
	}
	// fairlead is first: what it is built for, others may take.
	slices.SortStableFunc(s.proxies, func(a, b string) int { return rank(a) - rank(b) })
	for _, n := range []struct {
		flag       string
		value, min int
	}{{"rounds", s.rounds, 1}, {"seconds", s.seconds, 1}, {"warmup", s.warmup, 0}, {"count", s.counting, 0}} {
		if n.value < n.min || n.value > 3600 {
			wrong("-%s: want %d to 3600, got %d", n.flag, n.min, n.value)
		}
	}
	for _, binary := range []string{s.binary, s.against} {
		if binary != "" {
			if _, err := os.Stat(binary); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if s.threads, err = countCPUs(s.proxyCPUs); err != nil {
		wrong("-proxy-cpus: %w", err)
	}
	if _, err := countCPUs(s.loadCPUs); err != nil {
		wrong("-load-cpus: %w", err)
	}
	if s.page != "" { // half an hour later would be too late
		if _, _, err := splitPage(s.page); err != nil {
			wrong("-md: %w", err)
		}
	}
	if s.from != "" && s.page == "" {
		wrong("-from: want -md with it")
	}
	return &s, errors.Join(errs...)
}

func rank(name string) int {
	if name == fairleadName {
		return 0
	}
	return 1
}

// countCPUs counts those of a list such as 1,4-7.
func countCPUs(list string) (int, error) {
	n := 0
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || b < a {
			return 0, fmt.Errorf("want a list of CPUs such as 0 or 1,4-7, got %q", list)
		}
		n += int(b-a) + 1
	}
	return n, nil
}
