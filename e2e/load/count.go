package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// counts are what a request costs in numbers that do not depend on the machine's mood.
type counts struct {
	// Syscalls by name, for each request. Under strace everything but the proxy's calls is
	// slower, so a proxy that batches finds less to batch.
	Syscalls map[string]float64 `json:"syscalls,omitempty"`
	// Allocations for each request, and garbage collections for each thousand. Nil for
	// what has no metrics of its own.
	Allocations *float64 `json:"allocations,omitempty"`
	Collections *float64 `json:"collectionsPerThousand,omitempty"`
}

// total is the number of system calls of a request.
func (c counts) total() float64 {
	var sum float64
	for _, n := range c.Syscalls {
		sum += n
	}
	return sum
}

// runtimeCounters are the fields of /metrics that are read.
type runtimeCounters struct{ mallocs, collections float64 }

func (p *proxy) counters(ctx context.Context) (runtimeCounters, error) {
	text, err := p.get(ctx, "/metrics", 10*time.Second)
	if err != nil {
		return runtimeCounters{}, err
	}
	return parseCounters(text)
}

func parseCounters(text []byte) (runtimeCounters, error) {
	mallocs, err1 := metric(text, "go_memstats_mallocs_total")
	collections, err2 := metric(text, "go_gc_duration_seconds_count")
	return runtimeCounters{mallocs, collections}, errors.Join(err1, err2)
}

// metric reads the value of a metric; name has its labels, if it has any.
func metric(text []byte, name string) (float64, error) {
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if key != name {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("/metrics: %s: %w", name, err)
		}
		return n, nil
	}
	return 0, fmt.Errorf("/metrics: want %s, got none", name)
}

// countRuntime measures allocations. What reading the metrics allocates is taken off.
func countRuntime(ctx context.Context, p *proxy, run func() (load, error), c *counts) error {
	var at [3]runtimeCounters
	var l load
	for i := range at {
		var err error
		if i == 2 {
			if l, err = run(); err != nil {
				return err
			}
		}
		if at[i], err = p.counters(ctx); err != nil {
			return err
		}
	}
	n := float64(l.requests)
	allocations := max(0, (at[2].mallocs-at[1].mallocs-(at[1].mallocs-at[0].mallocs))/n)
	collections := (at[2].collections - at[1].collections) / n * 1000
	c.Allocations, c.Collections = &allocations, &collections
	return nil
}

// countSyscalls measures system calls: strace attaches to all threads of the processes while
// run loads the proxy.
func countSyscalls(ctx context.Context, dir string, pids []int, run func() (load, error), c *counts) error {
	table := filepath.Join(dir, "strace.txt")
	args := []string{"-c", "-f", "-q", "-o", table}
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	// Interrupted by hand below: strace then lets go of the processes.
	cmd := exec.CommandContext(ctx, "strace", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("strace: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err := awaitTraced(ended, pids)
	var l load
	if err == nil {
		l, err = run()
	}
	_ = cmd.Process.Signal(os.Interrupt) // an error says that it has ended
	if status := <-ended; status != nil && !interrupted(status) {
		err = errors.Join(err, status)
	}
	if err != nil {
		return fmt.Errorf("strace: %w\n%s", err, said.Bytes())
	}
	text, err := os.ReadFile(table)
	if err != nil {
		return err
	}
	calls, err := parseStrace(string(text))
	if err != nil {
		return err
	}
	c.Syscalls = map[string]float64{}
	for name, n := range calls {
		c.Syscalls[name] = float64(n) / float64(l.requests)
	}
	return nil
}

// interrupted says whether a program ended because of the interrupt that it was sent.
func interrupted(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && (status.Signaled() && status.Signal() == syscall.SIGINT || status.ExitStatus() == 128+int(syscall.SIGINT))
}

// awaitTraced waits until every thread of the processes is traced.
func awaitTraced(ended chan error, pids []int) error {
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		if traced(pids) {
			return nil
		}
		select {
		case err := <-ended:
			ended <- nil // for the caller
			return fmt.Errorf("want it to trace, it ended: %w", err)
		case <-deadline.C:
			return fmt.Errorf("want processes %v to be traced within 15s", pids)
		case <-poll.C:
		}
	}
}

func traced(pids []int) bool {
	for _, pid := range pids {
		threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/status")
		if err != nil || len(threads) == 0 {
			return false
		}
		for _, file := range threads {
			if text, err := os.ReadFile(file); err == nil && statusField(text, "TracerPid") == 0 {
				return false
			}
		}
	}
	return true
}

// parseStrace reads the table of strace -c: calls by name.
func parseStrace(text string) (map[string]int64, error) {
	calls := map[string]int64{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		// % time, seconds, usecs/call, calls, errors or nothing, syscall
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		n, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			continue // the head, a rule
		}
		calls[f[len(f)-1]] += n
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("strace: want a table of calls, got %q", text)
	}
	return calls, nil
}
