// Package k8s connects the data plane to where its objects come from.
//
// A Source has the objects: Cluster reads them from the API server, package manifest from a
// directory. The Controller turns each Snapshot of them into a live table. What goes back to
// the API server is written by the elected replica alone: Events for Problems, and the
// addresses in the Ingresses' status.
package k8s

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// Source is where the objects come from.
type Source interface {
	// Run keeps the objects up to date until ctx ends. It calls notify after each change
	// that Snapshot shows: with the name of a Service when nothing changed but its
	// EndpointSlices and how it selects them (its ports, its type), which has no influence
	// on the table; else, or when in doubt, with the zero value. notify does not block.
	Run(ctx context.Context, notify func(service types.NamespacedName)) error
	// Snapshot is the present state; nil until everything was loaded once.
	Snapshot() *ingress.Snapshot
}

// serviceSource is a Source that can read one Service without making a whole Snapshot, which
// is what the frequent changes of endpoints need.
type serviceSource interface {
	// Service is a Snapshot of the Service and its EndpointSlices alone, which is all that
	// Translator.Resolve reads; nil until everything was loaded once.
	Service(name types.NamespacedName) *ingress.Snapshot
}

// Controller makes what a Source has live. One goroutine, that of Run, does all the work.
//
// A change of the endpoints of a Service, or of how it finds them, goes straight to the pools. Any other change makes a
// new table: at once if the last one is older than HoldOff, else when it is. So a change that
// comes alone takes no time, and a storm costs at most half of a core.
type Controller struct {
	Source     Source
	Translator *ingress.Translator
	Proxy      *proxy.Proxy
	Pools      *upstream.Registry
	Certs      *certs.Store
	// HoldOff is the least time between the end of one table's making and the start of the
	// next: 15 ms if zero. It grows to the time that making a table takes.
	HoldOff time.Duration
	// ExtraProblems are mistakes that translation does not see, such as files that cannot
	// be read; nil for none. It is called from several goroutines.
	ExtraProblems func() []ingress.Problem
	// Own says whether an endpoint's address is a listener of this process, which the data plane
	// refuses to connect to; nil for never. It is another on each replica, so it
	// changes nothing but Problems.
	Own func(upstream.Address) bool
	// Replicas says how the live replicas of this controller are found, for the limits that they
	// share; the zero value does not know.
	Replicas Replicas
	// OnUpdate is told of every update, on the Controller's goroutine: it must be quick.
	OnUpdate func(Update)
	// Log is nil for none.
	Log *zap.Logger

	changes  changes
	ready    atomic.Bool
	problems atomic.Pointer[[]ingress.Problem]

	// What follows belongs to Run's goroutine.

	plan        plan // what is live
	config      bool // plan is set
	filled      filled
	quarantined map[*netv1.Ingress]struct{}
	panics      map[string]struct{} // those that were logged
	holdUntil   time.Time
	translate   func(*ingress.Snapshot) *ingress.Result // Translator.Translate, but for tests
	now         func() time.Time                        // time.Now, but for tests
}

// Update is one completed change. All but Since, Took, Swapped, Endpoints and Err describe the
// state, changed or not. Nothing in it may be modified.
type Update struct {
	Generation uint64    // of the live table
	Since      time.Time // the oldest notification that it answers
	Took       time.Duration
	Swapped    bool // a new table is live
	Endpoints  bool // only the endpoints of Services were looked at
	Table      *proxy.Table
	Snapshot   *ingress.Snapshot // the last whole one
	Problems   []ingress.Problem // sorted, without duplicates
	Owned      []*netv1.Ingress  // the Ingresses of this controller's classes
	// Certificates are the bindings of the certificates served.
	Certificates []certs.Binding
	// Issues are the hosts that are to have certificates by ACME.
	Issues []ingress.Issue
	// Err is a panic that kept the update from being made: the former state is served.
	Err error
}

// Ready reports whether everything was loaded and the first table is live. Once true it stays
// true, whatever becomes of the Source.
func (c *Controller) Ready() bool { return c.ready.Load() }

// Problems are all the mistakes known now, sorted and without duplicates.
func (c *Controller) Problems() []ingress.Problem {
	var known []ingress.Problem
	if p := c.problems.Load(); p != nil {
		known = *p
	}
	return c.withExtra(known)
}

func (c *Controller) withExtra(known []ingress.Problem) []ingress.Problem {
	if c.ExtraProblems == nil {
		return known
	}
	return mergeProblems(known, c.ExtraProblems())
}

// Run serves what the Source has until ctx ends, or until the Source fails for good.
func (c *Controller) Run(ctx context.Context) error {
	c.begin()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Source.Run(ctx, c.changes.notify) }()
	c.changes.notify(types.NamespacedName{}) // a Source that is loaded already has nothing to tell

	hold := time.NewTimer(0)
	defer hold.Stop()
	for {
		select {
		case <-ctx.Done():
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("source of objects: %w", err)
			}
			return nil
		case err := <-ended:
			if ctx.Err() != nil {
				ended <- err
				continue
			}
			if err == nil {
				err = errors.New("ended by itself")
			}
			return fmt.Errorf("source of objects: %w", err)
		case <-c.changes.wake:
		case <-hold.C:
		}
		if wait := c.step(); wait > 0 {
			hold.Reset(wait)
		}
	}
}

// begin sets what Run needs.
func (c *Controller) begin() {
	c.changes.wake = make(chan struct{}, 1)
	c.quarantined = make(map[*netv1.Ingress]struct{})
	c.panics = make(map[string]struct{})
	if c.HoldOff == 0 {
		c.HoldOff = 15 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.translate == nil {
		c.translate = c.Translator.Translate
	}
	if c.now == nil {
		c.now = time.Now
	}
}

// step does what can be done now. It returns the time after which it must be called again
// though nothing is notified; zero for never.
func (c *Controller) step() time.Duration {
	if c.config && c.plan.outdated(c.now()) {
		c.changes.notify(types.NamespacedName{})
	}
	hold := time.Until(c.holdUntil)
	pending := c.changes.take(hold <= 0)
	if !pending.full.IsZero() {
		s := c.Source.Snapshot()
		if s == nil {
			c.changes.restore(pending)
			return 0 // the Source notifies when it is loaded
		}
		start := time.Now()
		if !c.full(s, pending.full) && c.config {
			c.endpoints(pending.services) // which the table that was not made would have had
		}
		end := time.Now()
		hold = max(c.HoldOff, end.Sub(start))
		c.holdUntil = end.Add(hold)
	} else if len(pending.services) > 0 && c.config {
		c.endpoints(pending.services)
	}
	switch {
	case c.changes.wantsFull():
		return max(hold, time.Microsecond)
	case c.config && !c.plan.result.Until.IsZero():
		return min(max(c.plan.result.Until.Sub(c.now()), time.Second), clockCheck)
	case c.config:
		return clockCheck
	}
	return 0
}

// clockCheck is how often the clock is looked at: a timer does not notice that it was set. A certificate
// that has expired by a clock that went ahead is one to serve when that is put right.
const clockCheck = 10 * time.Minute

// full makes a table of s, and reports whether that went well.
func (c *Controller) full(s *ingress.Snapshot, since time.Time) bool {
	start := time.Now()
	first := !c.config
	c.countReplicas(s)
	var swapped bool
	err := guard(func() {
		p, err := c.prepare(s)
		if err != nil {
			panic(err)
		}
		swapped = first || p.table != c.plan.table
		c.install(p, swapped)
	})
	took := time.Since(start)
	if err != nil {
		c.panicked(err)
		c.update(Update{Since: since, Took: took, Err: err})
		return false
	}
	level := zap.DebugLevel
	if first {
		level = zap.InfoLevel
	}
	if e := c.Log.Check(level, "table made"); e != nil {
		e.Write(zap.Bool("swapped", swapped), zap.Uint64("generation", c.plan.table.Generation()), zap.Int("ingresses", len(c.plan.result.Owned)),
			zap.Int("routes", c.plan.table.Len()), zap.Int("problems", len(*c.problems.Load())), zap.Duration("took", took))
	}
	c.ready.Store(true)
	c.update(Update{Since: since, Took: took, Swapped: swapped})
	return true
}

// install makes p live. Make before break: the pools are filled and the certificates stored
// before the table that needs them is live; what it no longer needs goes last.
func (c *Controller) install(p plan, swap bool) {
	c.fill(p.table.Keys(), p.result.Resolutions)
	if c.config && equalCertificates(c.plan.result, p.result) {
		p.result.Certificates = c.plan.result.Certificates
	} else {
		c.Certs.Swap(certs.NewSet(p.result.Certificates, p.result.DefaultCertificate))
	}
	if swap {
		c.Proxy.Swap(p.table)
	}
	c.release(p.table.Keys())
	c.plan, c.config, c.filled.sound = p, true, true
	problems := mergeProblems(p.result.Problems, ingress.ConflictProblems(p.conflicts), c.quarantineProblems(), c.ownProblems())
	c.problems.Store(&problems)
}

// update completes u with the live state and hands it on.
func (c *Controller) update(u Update) {
	if c.OnUpdate == nil {
		return
	}
	if c.config {
		u.Generation, u.Table, u.Snapshot = c.plan.table.Generation(), c.plan.table, c.plan.snapshot
		u.Owned, u.Certificates, u.Issues = c.plan.result.Owned, c.plan.result.Certificates, c.plan.result.Issues
	}
	u.Problems = c.Problems()
	c.OnUpdate(u)
}

// changes is what was notified and not yet dealt with. Its methods may be called from any
// goroutine.
type changes struct {
	wake chan struct{} // holds one token while there may be something to do

	mu sync.Mutex
	pendingChanges
}

type pendingChanges struct {
	full     time.Time // of the oldest change that needs a new table; zero for none
	services map[types.NamespacedName]time.Time
}

func (c *changes) notify(service types.NamespacedName) { c.notifyAt(service, time.Now()) }

func (c *changes) notifyAt(service types.NamespacedName, at time.Time) {
	c.mu.Lock()
	if service == (types.NamespacedName{}) {
		if c.full.IsZero() {
			c.full = at
		}
	} else if _, ok := c.services[service]; !ok {
		if c.services == nil {
			c.services = make(map[types.NamespacedName]time.Time)
		}
		c.services[service] = at
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take removes and returns what is to be done: everything, for a new table covers endpoints
// too; or without full only the endpoints.
func (c *changes) take(full bool) pendingChanges {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := pendingChanges{services: c.services}
	c.services = nil
	if full {
		taken.full = c.full
		c.full = time.Time{}
	}
	return taken
}

// restore puts back what could not be done.
func (c *changes) restore(p pendingChanges) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = p.full
}

func (c *changes) wantsFull() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.full.IsZero()
}
