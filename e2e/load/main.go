// Load measures what a proxied request costs: fairlead beside nginx and HAProxy, or two
// fairleads beside each other. README.md says how and what the figures mean.
//
//	go run ./load                                          everything, half an hour
//	go run ./load -rows 1k-64 -rounds 3 -seconds 2         one row, quickly
//	go run ./load -rows '1k-64*' -binary NEW -against OLD  two binaries
//	go run ./load -list                                    the rows
//	go run ./load idle -n 10000                            memory of idle connections
//	go run ./load handshakes                               TLS handshakes in a second of CPU, in full and resumed
//	go run ./load bulk -size 10g                           memory while long bodies go through
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	args, name := os.Args[1:], ""
	if len(args) > 0 {
		name = args[0]
	}
	var err error
	if command, ok := commands[name]; ok {
		err = command(ctx, args[1:], os.Stdout, os.Stderr)
	} else if name == "attack" {
		err = attackCommand(args[1:], os.Stdout)
	} else {
		err = run(ctx, args, os.Stdout, os.Stderr)
	}
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "load: %v\n", err)
		os.Exit(1)
	}
}

// run makes the benchmark that args ask for. Figures go to out, what is going on to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	s, err := parseSettings(args, progress)
	if err != nil {
		return err
	}
	if s.list {
		for _, name := range standardRows {
			r, err := ParseRow(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%-18s %s\n", name, r)
		}
		return nil
	}
	if s.from != "" {
		report, err := readReport(s.from)
		if err != nil {
			return err
		}
		return report.writePage(s.page)
	}
	dir, err := os.MkdirTemp("", "fairlead-load-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	subjects, err := s.subjects(ctx, dir, progress)
	if err != nil {
		return err
	}
	programs := s.programs(subjects)
	if err := install(ctx, progress, programs...); err != nil {
		return err
	}
	b, err := s.bench(dir, progress)
	if err != nil {
		return err
	}
	defer b.backend.stop()

	tools := func(p string) bool { return p == "strace" || p == "taskset" }
	report := &Report{
		Machine: thisMachine(ctx, slices.DeleteFunc(programs, tools), subjects),
		Rounds:  s.rounds, Seconds: s.seconds,
		Pinning: fmt.Sprintf("proxy on CPU %s, generator and backend on CPU %s", s.proxyCPUs, s.loadCPUs),
	}
	report.writeHead(out)
	err = b.all(ctx, s.rows, subjects, report, out)
	report.Verdicts = verdicts(report.Rows)
	report.writeVerdicts(out)
	if s.output != "" {
		err = errors.Join(err, report.writeJSON(s.output))
	}
	if s.page != "" {
		err = errors.Join(err, report.writePage(s.page))
	}
	return err
}

// all measures the rows and prints each when it is done.
func (b *bench) all(ctx context.Context, rows []Row, subjects []subject, report *Report, out io.Writer) error {
	controls := controls(subjects)
	for _, r := range rows {
		fmt.Fprintf(b.progress, "%s\n", r.Name)
		if r.Open {
			result, err := b.open(ctx, r, subjects)
			report.Open = append(report.Open, result)
			result.write(out)
			if err != nil {
				return err
			}
			continue
		}
		measured, known := subjects, controls
		if r.many() && subjects[0].name == fairleadName {
			one := withOneRoute(subjects[0])
			measured, known = append([]subject{one}, subjects...), append(slices.Clone(controls), one.name)
		}
		result, err := b.closed(ctx, r, measured)
		report.Rows = append(report.Rows, result)
		result.write(out, known)
		if err != nil {
			return err
		}
		if b.profile != "" {
			if err := b.profiles(ctx, r, subjects, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// profiles takes a CPU profile of every fairlead.
func (b *bench) profiles(ctx context.Context, r Row, subjects []subject, out io.Writer) error {
	for _, s := range subjects {
		if s.program != "" {
			continue
		}
		file, err := b.takeProfile(ctx, s, r)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  profile of %s: %s\n", s.name, file)
	}
	return nil
}

// controls are the names of the subjects that others are compared to: all but fairlead. A
// fairlead alone has nothing to be compared to.
func controls(subjects []subject) []string {
	var names []string
	for _, s := range subjects {
		if s.name != fairleadName {
			names = append(names, s.name)
		}
	}
	return names
}

// bench starts the backend.
func (s *settings) bench(dir string, progress io.Writer) (*bench, error) {
	ca, err := site.NewAuthority()
	if err != nil {
		return nil, err
	}
	cert, key, err := ca.Issue(site.Request{Names: []string{"localhost", "*.localhost"}})
	if err != nil {
		return nil, err
	}
	backendDir := filepath.Join(dir, "backend")
	if err := os.Mkdir(backendDir, 0o755); err != nil {
		return nil, err
	}
	back, err := startBackend(backendDir, s.loadCPUs)
	if err != nil {
		return nil, err
	}
	return &bench{
		place:     place{dir: dir, cpus: s.proxyCPUs, threads: s.threads, cert: cert, key: key},
		backend:   back,
		generator: generator{dir: dir, cpus: s.loadCPUs},
		rounds:    s.rounds, seconds: s.seconds, warmup: s.warmup, counting: s.counting,
		profile: s.profile, progress: progress,
	}, nil
}

// programs are those that have to be there.
func (s *settings) programs(subjects []subject) []string {
	all := []string{"taskset", "nginx", "wrk"}
	if s.counting > 0 {
		all = append(all, "strace")
	}
	for _, x := range subjects {
		if x.program != "" && !slices.Contains(all, x.program) {
			all = append(all, x.program)
		}
	}
	return all
}

// subjects are what the flags ask for. A fairlead that no flag names is built.
func (s *settings) subjects(ctx context.Context, dir string, progress io.Writer) ([]subject, error) {
	var all []subject
	for _, name := range s.proxies {
		switch name {
		case fairleadName:
			if s.binary == "" {
				fmt.Fprintf(progress, "building fairlead of %s\n", s.root)
				var err error
				if s.binary, err = build(ctx, s.root, dir); err != nil {
					return nil, err
				}
			}
			all = append(all, fairleadSubject(name, s.binary, s.flags(s.args)))
		case againstName:
			if s.against == "" {
				s.against = s.binary
			}
			all = append(all, fairleadSubject(name, s.against, s.flags(s.againstArgs)))
		case "nginx":
			all = append(all, nginxSubject())
		case "haproxy":
			all = append(all, haproxySubject())
		}
	}
	return all, nil
}

// flags are those of a fairlead: of the user, and what the benchmark needs.
func (s *settings) flags(users string) []string {
	words := strings.Fields(users)
	if s.profile != "" {
		words = append(words, "--profiling")
	}
	return words
}
