package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestScale serves many Ingresses and changes them. With FAIRLEAD_E2E_SCALE=full there are up to
// 10,000, and docs/scale.md is written; otherwise 100 and 1,000. What is asserted is how much was
// done, not how long it took. With FAIRLEAD_E2E_PROFILE set to a folder it leaves profiles there.
func TestScale(t *testing.T) {
	full := os.Getenv("FAIRLEAD_E2E_SCALE") == "full"
	sizes, changes, storm := []int{100, 1000}, 30, 3*time.Second
	if full {
		sizes, changes, storm = []int{100, 1000, 10_000}, 200, 15*time.Second
	}
	c := Start(t, Options{})
	c.Apply(t, ourClass)
	fleet := &Fleet{Client: c.Client(t)}
	for i, name := range []string{"one", "two"} {
		fleet.Backends[i] = c.Backend(t, name)
	}
	var columns []scaleColumn
	for i, size := range sizes {
		if i > 0 {
			for j := range fleet.size { // as they were
				if err := fleet.reset(t.Context(), j); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !t.Run(strconv.Itoa(size), func(t *testing.T) { columns = append(columns, measure(t, c, fleet, size, changes, storm)) }) {
			return
		}
	}
	page := scalePage(columns)
	t.Log("\n" + page)
	if full {
		if err := os.WriteFile(filepath.Join(moduleDir(), "..", "..", "docs", "scale.md"), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// scaleColumn is what was measured at one size.
type scaleColumn struct {
	size              int
	ready             time.Duration
	residentReady     int // MiB
	ingress, endpoint percentiles
	ingressStorm      stormResult
	endpointStorm     stormResult
	residentEnd       int // MiB
}

type percentiles struct{ p50, p99, longest time.Duration }

// stormResult is a rate of changes and the share of one core that it cost.
type stormResult struct{ perSecond, share float64 }

func measure(t *testing.T, c *Cluster, fleet *Fleet, size, changes int, storm time.Duration) scaleColumn {
	s := scaleColumn{size: size}
	begin := time.Now()
	fleet.Grow(t, size)
	t.Logf("%d Ingresses with Services and EndpointSlices after %v", size, time.Since(begin).Round(time.Millisecond))

	begin = time.Now()
	f := c.Serve(t, InstanceOptions{Args: []string{"--publish-status-address", "192.0.2.10", "--profiling"}})
	defer func() {
		_ = f.Terminate(t, 30*time.Second)
	}()
	Eventually(t, time.Minute, "ready", f.Ready)
	s.ready = time.Since(begin)
	if a := f.Get(fleet.Host(size - 1)); a.Backend != "one" {
		t.Fatalf("the last host: %+v, want 200 from one", a)
	}
	// Statuses are written now, each of which comes back as a change that is none.
	Eventually(t, 5*time.Minute, "every status is written", func() bool { return statusesWritten(t, fleet) })
	settle(t, f)
	s.residentReady = resident(t, f)
	profile(t, f, fmt.Sprintf("%d-ready", size))

	before := counts(t, f)
	// Ingresses lead to a Service of the other half and back, by turns, which has the second backend.
	place := func(i int) int { return i / 2 * fleetNamespaces % (size / 2) }
	for i := range changes {
		if err := fleet.Move(t.Context(), place(i)+size/2, 1); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, f)
	s.ingress = propagation(t, changes, func(i int) (change func(context.Context) error, served func() bool) {
		at, to, want := place(i), place(i)+size/2, "two"
		if i%2 == 1 {
			to, want = at, "one"
		}
		return func(ctx context.Context) error { return fleet.Lead(ctx, at, to) }, func() bool { return answers(t, f, fleet.Host(at), want) }
	})
	after := counts(t, f)
	// An Ingress that changed is read, and its host is compiled, once; fewer times where two changes
	// came to one table.
	if read, compiled := after.read-before.read, after.compiled-before.compiled; read > float64(changes) || compiled > float64(changes) || read == 0 || compiled == 0 {
		t.Errorf("%d changes of an Ingress: %v Ingresses read, %v hosts compiled, want at most one each", changes, read, compiled)
	}

	before = after
	s.endpoint = propagation(t, changes, func(i int) (change func(context.Context) error, served func() bool) {
		at, backend := (i/2)%(size/2), (i+1)%2
		return func(ctx context.Context) error { return fleet.Move(ctx, at, backend) }, func() bool { return answers(t, f, fleet.Host(at), []string{"one", "two"}[backend]) }
	})
	if after = counts(t, f); after != before {
		t.Errorf("%d changes of endpoints: %+v, before %+v: they must not concern the table", changes, after, before)
	}

	s.ingressStorm = stormOf(t, f, storm, 10, func(ctx context.Context, i int) error {
		at, round := i*fleetNamespaces%(size/2), i*fleetNamespaces/(size/2)
		return fleet.Lead(ctx, at, at+(round+1)%2*size/2)
	})
	before = counts(t, f)
	s.endpointStorm = stormOf(t, f, storm, 500, func(ctx context.Context, i int) error { return fleet.Move(ctx, i%size, (i/size+1)%2) })
	if after = counts(t, f); after != before {
		t.Errorf("a storm of endpoints: %+v, before %+v: it must not concern the table", after, before)
	}
	settle(t, f)
	s.residentEnd = resident(t, f)
	profile(t, f, fmt.Sprintf("%d-end", size))
	return s
}

// answers reports whether host is answered by the backend want. Nothing but a backend may answer.
func answers(t *testing.T, f *Instance, host, want string) bool {
	a := f.Get(host)
	if a.Status != http.StatusOK {
		t.Errorf("%s: %+v", host, a)
	}
	return a.Backend == want
}

// propagation makes changes one by one, each alone, and measures how long after the API server's acceptance they
// are served.
func propagation(t *testing.T, changes int, next func(i int) (change func(context.Context) error, served func() bool)) percentiles {
	t.Helper()
	var took []time.Duration
	alone := time.NewTicker(60 * time.Millisecond) // a change that follows another at once waits for the hold-off
	defer alone.Stop()
	for i := range changes {
		<-alone.C
		change, served := next(i)
		if err := change(t.Context()); err != nil {
			t.Fatal(err)
		}
		accepted := time.Now()
		for !served() {
			if time.Since(accepted) > time.Minute {
				t.Fatalf("change %d is not served", i)
			}
		}
		took = append(took, time.Since(accepted))
	}
	slices.Sort(took)
	return percentiles{took[len(took)/2], took[len(took)*99/100], took[len(took)-1]}
}

// stormOf makes changes at a rate, if the API server takes them, and measures what they cost f.
func stormOf(t *testing.T, f *Instance, long time.Duration, perSecond int, change func(ctx context.Context, i int) error) stormResult {
	t.Helper()
	var done, failed atomic.Int64
	begin, cpu := time.Now(), processorTime(t, f)
	next := make(chan int)
	ended := make(chan struct{})
	const workers = 16
	for range workers {
		go func() {
			for i := range next {
				if err := change(t.Context(), i); err != nil {
					failed.Add(1)
				}
				done.Add(1)
			}
			ended <- struct{}{}
		}()
	}
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for i := 0; time.Since(begin) < long; i++ {
		<-tick.C
		next <- i
	}
	close(next)
	for range workers {
		<-ended
	}
	took := time.Since(begin)
	if failed.Load() > 0 {
		t.Errorf("%d of %d changes failed", failed.Load(), done.Load())
	}
	return stormResult{float64(done.Load()) / took.Seconds(), (processorTime(t, f) - cpu).Seconds() / took.Seconds()}
}

// tableCounts are how much was done for changes of the table.
type tableCounts struct{ generation, read, compiled float64 }

func counts(t *testing.T, f *Instance) tableCounts {
	t.Helper()
	settle(t, f)
	return tableCounts{
		metric(t, f, "fairlead_table_generation"), metric(t, f, "fairlead_config_ingresses_read_total"), metric(t, f, "fairlead_config_hosts_compiled_total"),
	}
}

// settle waits until no table was made for a while.
func settle(t *testing.T, f *Instance) {
	t.Helper()
	last, since := metric(t, f, "fairlead_table_generation"), time.Now()
	Eventually(t, time.Minute, "no more tables are made", func() bool {
		if now := metric(t, f, "fairlead_table_generation"); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	})
}

// metric returns the value of a metric without labels.
func metric(t *testing.T, f *Instance, name string) float64 {
	t.Helper()
	for line := range strings.Lines(f.Admin("/metrics").Body) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// profile leaves a heap profile in the folder FAIRLEAD_E2E_PROFILE, if there is one.
func profile(t *testing.T, f *Instance, name string) {
	t.Helper()
	dir := os.Getenv("FAIRLEAD_E2E_PROFILE")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".heap"), []byte(f.Admin("/debug/pprof/heap").Body), 0o644); err != nil {
		t.Error(err)
	}
}
