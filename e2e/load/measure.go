package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// sample is one run of a subject. Times are in microseconds for each request, shares are of
// one CPU.
type sample struct {
	Requests    int64   `json:"requests"`
	PerSecond   float64 `json:"perSecond"`
	User        float64 `json:"user"`
	System      float64 `json:"system"`
	Voluntary   float64 `json:"voluntarySwitches"` // context switches for each request
	Involuntary float64 `json:"involuntarySwitches"`
	Proxy       float64 `json:"proxyShare"`
	Backend     float64 `json:"backendShare"`
	Generator   float64 `json:"generatorShare"`
	Others      float64 `json:"othersShare"` // what is no part of the benchmark, the kernel's own work included
	Steal       float64 `json:"stealShare"`  // what the hypervisor took
	// Logged is how many lines of access log there are for each request, where it is on.
	Logged float64 `json:"logged,omitempty"`
}

// cpu is the primary figure.
func (s sample) cpu() float64 { return s.User + s.System }

// bench is what all rows share.
type bench struct {
	place     place
	backend   *backend
	generator generator
	rounds    int
	seconds   int // of a run
	warmup    int // before it
	counting  int // seconds of a run that counts; 0 counts nothing
	profile   string
	progress  io.Writer
}

// at is the place for a row.
func (b *bench) at(r Row) place {
	at := b.place
	at.backendPort = b.backend.ports[r.Size]
	return at
}

// prepare starts the subject for a row, checks its work and warms it up.
func (b *bench) prepare(ctx context.Context, s subject, r Row) (*proxy, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := s.start(b.at(r), r)
	if err != nil {
		return nil, err
	}
	if err = checkWork(ctx, p, r, s.everything); err == nil && b.warmup > 0 {
		var l load
		l, err = b.generator.run(ctx, p.address(r), r, b.warmup)
		p.asked = l.requests
	}
	if err != nil {
		p.stop()
		return nil, errors.Join(err, ctx.Err())
	}
	return p, nil
}

// measure makes one run. The proxy is started for it and stopped after it: a process that was
// unlucky with its memory is one sample, not a whole series.
func (b *bench) measure(ctx context.Context, s subject, r Row) (sample, error) {
	p, err := b.prepare(ctx, s, r)
	if err != nil {
		return sample{}, err
	}
	defer p.stop()
	before, err := b.observe(p)
	if err != nil {
		return sample{}, err
	}
	l, err := b.generator.run(ctx, p.address(r), r, b.seconds)
	if err != nil {
		return sample{}, p.explain(err)
	}
	after, err := b.observe(p)
	if err != nil {
		return sample{}, p.explain(err)
	}
	taken, err := newSample(before, after, l)
	if err != nil {
		return sample{}, p.explain(err)
	}
	if r.Log {
		p.stop() // so that all lines are there
		lines, err := countLines(p.access)
		if err != nil {
			return sample{}, err
		}
		taken.Logged = float64(lines) / float64(p.asked+l.requests)
	}
	return taken, nil
}

// observation is what everybody has used at one time.
type observation struct {
	at                    time.Time
	proxy, backend, bench usage
	machine               cpuTime
}

func (b *bench) observe(p *proxy) (observation, error) {
	var o observation
	var errs [4]error
	o.at = time.Now()
	o.proxy, errs[0] = used(p.pid())
	o.backend, errs[1] = used(b.backend.pid())
	o.bench, errs[2] = usedAlone(os.Getpid())
	o.machine, errs[3] = machineTime()
	return o, errors.Join(errs[:]...)
}

func newSample(before, after observation, l load) (sample, error) {
	n, elapsed := float64(l.requests), after.at.Sub(before.at)
	perRequest := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / n }
	share := func(d time.Duration) float64 { return float64(d) / float64(elapsed) }
	proxy, backend := after.proxy.since(before.proxy), after.backend.since(before.backend)
	if proxy.processes != 0 || backend.processes != 0 {
		return sample{}, fmt.Errorf("want the same processes before and after, got %+d of the proxy and %+d of the backend", proxy.processes, backend.processes)
	}
	if proxy.cpu() <= 0 {
		return sample{}, fmt.Errorf("want CPU time of the proxy, got none for %.0f requests: run longer", n)
	}
	machine := after.machine.since(before.machine)
	others := machine.busy - proxy.cpu() - backend.cpu() - after.bench.since(before.bench).cpu() - l.cpu
	return sample{
		Requests: l.requests, PerSecond: l.perSecond(),
		User: perRequest(proxy.user), System: perRequest(proxy.system),
		Voluntary: float64(proxy.voluntary) / n, Involuntary: float64(proxy.involuntary) / n,
		Proxy: share(proxy.cpu()), Backend: share(backend.cpu()), Generator: share(l.cpu),
		Others: share(max(0, others)), Steal: share(machine.steal),
	}, nil
}

// count makes a run that counts what a request costs. What cannot be counted here is said in
// the error; the counts have the rest.
func (b *bench) count(ctx context.Context, s subject, r Row) (counts, error) {
	var c counts
	p, err := b.prepare(ctx, s, r)
	if err != nil {
		return c, err
	}
	defer p.stop()
	run := func() (load, error) { return b.generator.run(ctx, p.address(r), r, b.counting) }
	if p.admin != "" {
		err = countRuntime(ctx, p, run, &c)
	}
	pids, treeErr := tree(p.pid())
	if err = errors.Join(err, treeErr); err != nil {
		return c, err
	}
	return c, countSyscalls(ctx, b.place.dir, pids, run, &c)
}

// takeProfile loads a fairlead and writes the CPU profile of it. It returns the file.
func (b *bench) takeProfile(ctx context.Context, s subject, r Row) (file string, err error) {
	p, err := b.prepare(ctx, s, r)
	if err != nil {
		return "", err
	}
	defer p.stop()
	loaded := make(chan error, 1)
	go func() {
		// A little longer than the profile, which must not see an idle proxy.
		_, err := b.generator.run(ctx, p.address(r), r, b.seconds+1)
		loaded <- err
	}()
	profile, err := p.get(ctx, "/debug/pprof/profile?seconds="+strconv.Itoa(b.seconds), time.Duration(b.seconds+15)*time.Second)
	if err = errors.Join(err, <-loaded); err != nil {
		return "", err
	}
	file = b.profile + "-" + strings.ReplaceAll(s.name, ", ", "-") + "-" + r.Name + ".pprof"
	return file, os.WriteFile(file, profile, 0o644)
}

// countLines counts the lines of a file.
func countLines(file string) (int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var lines int64
	buffer := make([]byte, 1<<20)
	for {
		n, err := f.Read(buffer)
		lines += int64(bytes.Count(buffer[:n], []byte("\n")))
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
