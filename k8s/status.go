package k8s

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"
	netv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
)

const (
	// statusWorkers is how many Ingresses are written at a time.
	statusWorkers = 8
	// statusRound is the least time between two looks at all Ingresses.
	statusRound = 200 * time.Millisecond
	// writesPerMinute bounds the writes to one Ingress.
	writesPerMinute = 5
	// maxYield is the longest wait before writing over what somebody else keeps writing.
	maxYield = 10 * time.Minute
)

// Status publishes addresses in status.loadBalancer of the Ingresses that are ours, with the
// errors of each, and takes them back from those that are no longer ours. It works on changes,
// not on a timer. Set the fields, then call Run while leading.
type Status struct {
	Client  kubernetes.Interface
	Cluster *Cluster
	// Addresses is what to publish.
	Addresses Addresses
	// FieldManager is the name we write by; it must be that of the Cluster's options, and
	// another one for each class of controllers.
	FieldManager string
	// Log is nil for none.
	Log *zap.Logger

	mu   sync.Mutex
	last *Update       // nil before the first table
	wake chan struct{} // nil while Run does not run
}

// Update tells of the state that is to be published. It does not block.
func (s *Status) Update(u Update) {
	if u.Endpoints || u.Err != nil {
		return // nothing new
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = &u
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run writes status until ctx ends.
func (s *Status) Run(ctx context.Context) {
	if s.Log == nil {
		s.Log = zap.NewNop()
	}
	w := &statusWriter{
		Status: s, records: make(map[types.NamespacedName]*writeRecord),
		queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[types.NamespacedName]{}),
	}
	w.delayed = workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[types.NamespacedName]{Queue: w.queue})
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	s.mu.Lock()
	s.wake = wake
	s.mu.Unlock()
	s.Cluster.statuses.setListener(w.seen)

	var wg sync.WaitGroup
	for range statusWorkers {
		wg.Go(func() { w.work(ctx) })
	}
	defer func() {
		s.Cluster.statuses.setListener(nil)
		s.mu.Lock()
		s.wake = nil
		s.mu.Unlock()
		w.delayed.ShutDown()
		wg.Wait()
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		}
		w.look()
		sleep(ctx, statusRound)
	}
}

// Clear removes our addresses from all Ingresses that have them: for the end of the last
// replica. It does nothing while the published Service has ready endpoints other than one,
// or when that cannot be known.
func (s *Status) Clear(ctx context.Context) error {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last == nil || !s.Addresses.lastReplica(last.Snapshot) {
		return nil
	}
	w := &statusWriter{Status: s, records: make(map[types.NamespacedName]*writeRecord)}
	ours := make(map[types.NamespacedName]liveStatus)
	s.Cluster.statuses.each(func(name types.NamespacedName, live liveStatus) {
		if live.ours && len(live.addresses) > 0 {
			ours[name] = live
		}
	})
	for name, live := range ours {
		if err := w.write(ctx, name, live, nil); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}

// statusWriter is what one run of Status knows.
type statusWriter struct {
	*Status
	queue   workqueue.TypedInterface[types.NamespacedName]
	delayed workqueue.TypedDelayingInterface[types.NamespacedName]

	mu      sync.Mutex
	wanted  *wantedStatuses // nil before the first look
	records map[types.NamespacedName]*writeRecord
}

// writeRecord is what was written to one Ingress.
type writeRecord struct {
	times     []time.Time // of the last writes, at most writesPerMinute of them
	wrote     bool        // the last write went through
	contests  int         // how often somebody wrote over it, without an hour of peace between
	contested time.Time   // the last time
	until     time.Time   // when to write over theirs
	warned    bool
	refused   bool // the last write was, and that was logged
}

// seen is told of every version of an Ingress.
func (w *statusWriter) seen(name types.NamespacedName, live liveStatus) {
	w.mu.Lock()
	wanted := w.wanted
	w.mu.Unlock()
	if wanted != nil && wanted.differs(name, live) {
		w.delayed.Add(name)
	}
}

// look finds the Ingresses to write after an Update.
func (w *statusWriter) look() {
	w.Status.mu.Lock()
	last := w.last
	w.Status.mu.Unlock()
	if last == nil {
		return
	}
	wanted := want(w.Addresses, last)
	if wanted == nil {
		return
	}
	w.mu.Lock()
	w.wanted = wanted
	maps.DeleteFunc(w.records, func(name types.NamespacedName, _ *writeRecord) bool {
		_, exists := w.Cluster.statuses.get(name)
		return !exists
	})
	w.mu.Unlock()
	w.Cluster.statuses.each(func(name types.NamespacedName, live liveStatus) {
		if wanted.differs(name, live) {
			w.delayed.Add(name)
		}
	})
}

func (w *statusWriter) work(ctx context.Context) {
	for {
		name, shutdown := w.delayed.Get()
		if shutdown {
			return
		}
		if ctx.Err() == nil {
			w.reconcile(ctx, name)
		}
		w.delayed.Done(name)
	}
}

// reconcile writes the status of one Ingress if it has to be written and may be now.
func (w *statusWriter) reconcile(ctx context.Context, name types.NamespacedName) {
	w.mu.Lock()
	wanted, now := w.wanted, time.Now()
	live, exists := w.Cluster.statuses.get(name)
	if !exists {
		delete(w.records, name)
	}
	addresses, differs := wanted.of(name, live)
	if !exists || !differs {
		w.mu.Unlock()
		return
	}
	r := w.records[name]
	if r == nil {
		r = &writeRecord{}
		w.records[name] = r
	}
	wait := r.mayWrite(now, live)
	if r.contests == 3 && !r.warned {
		r.warned = true
		w.Log.Warn("somebody else keeps writing the addresses of an Ingress; writing them less and less often",
			zap.String("ingress", name.String()), zap.Any("theirs", live.addresses))
	}
	w.mu.Unlock()
	if wait > 0 {
		w.delayed.AddAfter(name, wait)
		return
	}

	err := w.write(ctx, name, live, addresses)
	w.mu.Lock()
	r.wrote = err == nil
	known := r.refused
	r.refused = isRefusal(err)
	w.mu.Unlock()
	switch {
	case err == nil, apierrors.IsNotFound(err), ctx.Err() != nil:
	case apierrors.IsConflict(err):
		w.delayed.AddAfter(name, time.Second) // a newer version is on its way to us
	case isRefusal(err):
		if !known {
			w.Log.Warn("status of an Ingress is refused, will try again", zap.String("ingress", name.String()), zap.Error(err))
		}
		w.delayed.AddAfter(name, time.Minute)
	default:
		w.Log.Debug("status of an Ingress cannot be written, will try again", zap.String("ingress", name.String()), zap.Error(err))
		w.delayed.AddAfter(name, 15*time.Second)
	}
}

// isRefusal reports whether the API server has said no to a request, and will again, rather
// than being away or busy.
func isRefusal(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

// mayWrite returns how long to wait before the next write; when it is zero the write is
// counted. It is called with the lock held.
func (r *writeRecord) mayWrite(now time.Time, live liveStatus) time.Duration {
	if r.wrote && !live.ours {
		// What was written was written over: give way for longer each time.
		if now.Sub(r.contested) > time.Hour {
			r.contests, r.warned = 0, false
		}
		r.wrote, r.contested = false, now
		r.contests++
		r.until = now.Add(min(time.Second<<min(r.contests, 20), maxYield))
	}
	if wait := r.until.Sub(now); wait > 0 {
		return wait
	}
	if len(r.times) == writesPerMinute {
		if wait := r.times[0].Add(time.Minute).Sub(now); wait > 0 {
			return wait
		}
		r.times = r.times[1:]
	}
	r.times = append(r.times, now)
	return 0
}

// write patches the status of the version of the Ingress that live was read from, none other.
func (w *statusWriter) write(ctx context.Context, name types.NamespacedName, live liveStatus, addresses []netv1.IngressLoadBalancerIngress) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": live.version, "uid": live.uid},
		"status":   map[string]any{"loadBalancer": map[string]any{"ingress": addresses}},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	_, err = w.Client.NetworkingV1().Ingresses(name.Namespace).
		Patch(ctx, name.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: w.FieldManager}, "status")
	return err
}
