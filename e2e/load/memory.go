package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// commands are what is measured beside the cost of requests, by name.
var commands = map[string]func(ctx context.Context, args []string, out, progress io.Writer) error{
	"idle":       idleCommand,
	"bulk":       bulkCommand,
	"handshakes": handshakesCommand,
}

// memoryFlags are those of every command that measures memory.
type memoryFlags struct {
	*flag.FlagSet
	binary, root string
}

func newMemoryFlags(name string, usage io.Writer) *memoryFlags {
	f := &memoryFlags{FlagSet: flag.NewFlagSet("load "+name, flag.ContinueOnError)}
	f.SetOutput(usage)
	f.StringVar(&f.binary, "binary", "", "fairlead `binary` to measure (default: built)")
	f.StringVar(&f.root, "root", "..", "`directory` of the module that fairlead is built from")
	return f
}

// bearer is a fairlead in front of a backend of this program, which costs it no process.
type bearer struct {
	*proxy
	stopAll []func()
}

func (b *bearer) stop() {
	for i := len(b.stopAll) - 1; i >= 0; i-- {
		b.stopAll[i]()
	}
}

// startBearer starts a fairlead, on all CPUs, that leads localhost to handler.
func (f *memoryFlags) startBearer(ctx context.Context, r Row, handler http.Handler, progress io.Writer) (_ *bearer, err error) {
	b := &bearer{}
	defer func() {
		if err != nil {
			b.stop()
		}
	}()
	dir, err := os.MkdirTemp("", "fairlead-load-*")
	if err != nil {
		return nil, err
	}
	b.stopAll = append(b.stopAll, func() { _ = os.RemoveAll(dir) })
	if f.binary == "" {
		fmt.Fprintf(progress, "building fairlead of %s\n", f.root)
		if f.binary, err = build(ctx, f.root, dir); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	backend := &http.Server{Handler: handler}
	go func() { _ = backend.Serve(l) }() // until it is closed
	b.stopAll = append(b.stopAll, func() { _ = backend.Close() })
	at := place{dir: dir, cpus: "0-" + strconv.Itoa(runtime.NumCPU()-1), threads: runtime.NumCPU(), backendPort: l.Addr().(*net.TCPAddr).Port}
	ca, err := site.NewAuthority()
	if err != nil {
		return nil, err
	}
	if at.cert, at.key, err = ca.Issue(site.Request{Names: []string{"localhost", "*.localhost"}}); err != nil {
		return nil, err
	}
	// Else it would give up the connections that the open files have no room for beside as many to backends.
	flags := []string{"--profiling", "--max-connections", strconv.Itoa(r.Connections + 100)}
	if b.proxy, err = fairleadSubject(fairleadName, f.binary, flags).start(at, r); err != nil {
		return nil, err
	}
	b.stopAll = append(b.stopAll, b.proxy.stop)
	return b, nil
}

// memory is what a process uses, in bytes.
type memory struct {
	resident int64 // that is in RAM
	peak     int64 // the most of it since resetPeak
	live     int64 // of it, heap that is used and stacks, after a collection; 0 when nobody has asked
}

func (p *proxy) memory() (memory, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid()) + "/status")
	if err != nil {
		return memory{}, err
	}
	m := memory{resident: statusField(text, "VmRSS") << 10, peak: statusField(text, "VmHWM") << 10}
	if m.resident == 0 || m.peak == 0 {
		return memory{}, errors.New("/proc/PID/status: want VmRSS and VmHWM, got none")
	}
	return m, nil
}

// collected is memory after a collection of garbage.
func (p *proxy) collected(ctx context.Context) (memory, error) {
	if _, err := p.get(ctx, "/debug/pprof/heap?gc=1", 30*time.Second); err != nil {
		return memory{}, err
	}
	text, err := p.get(ctx, "/metrics", 10*time.Second)
	if err != nil {
		return memory{}, err
	}
	m, err := p.memory()
	for _, name := range []string{"go_memstats_heap_alloc_bytes", "go_memstats_stack_inuse_bytes"} {
		n, missing := metric(text, name)
		m.live += int64(n)
		err = errors.Join(err, missing)
	}
	return m, err
}

// resetPeak makes the peak what is resident now.
func (p *proxy) resetPeak() error {
	return os.WriteFile("/proc/"+strconv.Itoa(p.pid())+"/clear_refs", []byte("5"), 0)
}

// parseSize reads a number of bytes with k, m or g behind it, or nothing.
func parseSize(s string) (int64, error) {
	digits, unit := s, int64(1)
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k':
			digits, unit = s[:n-1], 1<<10
		case 'm':
			digits, unit = s[:n-1], 1<<20
		case 'g':
			digits, unit = s[:n-1], 1<<30
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 1 || n > 1<<50/unit {
		return 0, fmt.Errorf("want a size such as 64k, 256m or 10g, got %q", s)
	}
	return n * unit, nil
}
