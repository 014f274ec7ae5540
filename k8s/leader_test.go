package k8s

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const leasePath = "apis/coordination.k8s.io/v1/namespaces/default/leases/fairlead-leader"

func TestLeaseName(t *testing.T) {
	for _, class := range []string{"", ControllerClass} {
		if got := LeaseName(class); got != "fairlead-leader" {
			t.Errorf("LeaseName(%q) = %q, want fairlead-leader", class, got)
		}
	}
	one, two := LeaseName("example.com/one"), LeaseName("example.com/two")
	if one == two || one == LeaseName("") {
		t.Errorf("classes share the Lease: %q, %q", one, two)
	}
	if again := LeaseName("example.com/one"); again != one {
		t.Errorf("one class has two Leases: %q and %q", one, again)
	}
}

// TestLeaderGivesUpInTime: with a TTL of two or four seconds, of which the lease is a round part, a
// leader tried to renew it nearly until another one could lead.
func TestLeaderGivesUpInTime(t *testing.T) {
	for ttl := 2 * time.Second; ttl <= time.Minute; ttl += time.Second / 2 {
		lease, deadline, retry := (&Leader{TTL: ttl}).times()
		if left := lease - retry - deadline; left < lease/7 {
			t.Errorf("TTL %v: the lease is valid for %v, and given up %v before, want a seventh at least", ttl, lease, left)
		}
		if most := lease + retry*44/10; most > ttl+time.Second/2 {
			t.Errorf("TTL %v: another one may lead after %v only", ttl, most)
		}
	}
}

// candidate is a replica that takes part in an election.
type candidate struct {
	*Leader
	stop context.CancelFunc
	done chan error
	led  atomic.Int32 // how often lead was called
	in   atomic.Int32 // how many calls of lead run
}

// stand starts a candidate. all counts those that lead at this moment, over all candidates.
func stand(t *testing.T, a *apiServer, name string, all *atomic.Int32, lead func(ctx context.Context)) *candidate {
	t.Helper()
	c := &candidate{done: make(chan error, 1)}
	c.Leader = &Leader{Client: a.client(t), Namespace: "default", Name: "fairlead-leader", Identity: name, TTL: 3 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	go func() {
		c.done <- c.Run(ctx, func(ctx context.Context) {
			c.led.Add(1)
			if c.in.Add(1) > 1 {
				t.Error("lead runs twice at once")
			}
			if all != nil && all.Add(1) > 1 {
				t.Error("two replicas lead")
			}
			if lead != nil {
				lead(ctx)
			} else {
				<-ctx.Done()
			}
			if all != nil {
				all.Add(-1)
			}
			c.in.Add(-1)
		})
	}()
	t.Cleanup(func() { c.end(t) })
	return c
}

// end ends a candidate in order.
func (c *candidate) end(t *testing.T) {
	t.Helper()
	c.stop()
	select {
	case err := <-c.done:
		if err != nil {
			t.Error(err)
		}
		c.done <- nil
	case <-time.After(deadline):
		t.Error("Run goes on after its context ended")
	}
}

func TestOneLeads(t *testing.T) {
	a := newAPIServer(t)
	var all atomic.Int32
	one := stand(t, a, "one", &all, nil)
	eventually(t, "one leads", one.Leading)
	two := stand(t, a, "two", &all, nil)
	eventually(t, "two has asked for the Lease some times", func() bool { return a.count("get leases fairlead-leader") >= 10 })
	if two.Leading() {
		t.Error("two leads too")
	}
	one.end(t)
	if one.Leading() {
		t.Error("one leads after its end")
	}
	eventually(t, "two leads", two.Leading)
	if one.led.Load() != 1 || two.led.Load() != 1 {
		t.Errorf("lead was called %d and %d times, want once each", one.led.Load(), two.led.Load())
	}
}

// TestLeaseOutlivesLead: what the leader finishes after being told to stop is done under the Lease.
func TestLeaseOutlivesLead(t *testing.T) {
	a := newAPIServer(t)
	told, finish := make(chan struct{}), make(chan struct{})
	one := stand(t, a, "one", nil, func(ctx context.Context) {
		<-ctx.Done()
		close(told)
		<-finish
	})
	eventually(t, "one leads", one.Leading)
	one.stop()
	<-told
	renewals := a.count("update leases fairlead-leader")
	eventually(t, "the Lease is renewed meanwhile", func() bool { return a.count("update leases fairlead-leader") > renewals+1 })
	if at(a.get(leasePath), "spec", "holderIdentity") == "" {
		t.Error("the Lease was given up before lead returned")
	}
	close(finish)
	one.end(t)
	if holder := at(a.get(leasePath), "spec", "holderIdentity"); holder != "" && holder != nil {
		t.Errorf("the Lease is still held by %v", holder)
	}
}

// TestLeaseIsLost: without the API server nobody leads, and afterwards the same one may again.
func TestLeaseIsLost(t *testing.T) {
	a := newAPIServer(t)
	var all atomic.Int32
	one := stand(t, a, "one", &all, nil)
	eventually(t, "one leads", one.Leading)
	a.set(func() { a.refuse = func(string, string, string) int { return http.StatusServiceUnavailable } })
	eventually(t, "one leads no more", func() bool { return !one.Leading() && one.in.Load() == 0 })
	a.set(func() { a.refuse = nil })
	eventually(t, "one leads again", one.Leading)
	if n := one.led.Load(); n != 2 {
		t.Errorf("lead was called %d times, want 2", n)
	}
}

// TestElectionIsRefused: a right that is missing is said once, and not at every try.
func TestElectionIsRefused(t *testing.T) {
	a := newAPIServer(t)
	a.refuse = forbid("leases")
	core, logs := observer.New(zap.InfoLevel)
	l := &Leader{Client: a.client(t), Namespace: "default", Name: "fairlead-leader", Identity: "one", TTL: 2 * time.Second, Log: zap.New(core)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, func(ctx context.Context) { <-ctx.Done() }) }()
	eventually(t, "several tries", func() bool { return a.count("get leases") >= 4 })
	a.set(func() { a.refuse = nil })
	eventually(t, "it leads", l.Leading)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := logs.FilterLevelExact(zap.WarnLevel).Len(); n != 1 {
		t.Errorf("%d warnings, want one: %v", n, logs.All())
	}
}

// TestElectionEndsWithoutServer: the end does not wait for an API server that does not answer.
func TestElectionEndsWithoutServer(t *testing.T) {
	a := newAPIServer(t)
	a.Close()
	one := stand(t, a, "one", nil, nil)
	one.end(t)
	if one.led.Load() != 0 {
		t.Error("led without an API server")
	}
}
