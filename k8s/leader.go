package k8s

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// ControllerClass is the spec.controller of the IngressClasses that are ours by default.
const ControllerClass = "fairlead.dev/ingress-controller"

// LeaseName is the default name of the Lease of the replicas that serve controllerClass.
// Controllers of different classes never share one.
func LeaseName(controllerClass string) string {
	if controllerClass == "" || controllerClass == ControllerClass {
		return "fairlead-leader"
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(controllerClass))
	return fmt.Sprintf("fairlead-leader-%08x", h.Sum32())
}

// Leader elects the one replica that writes to the API server, by a Lease. Nothing that serves
// requests depends on it.
type Leader struct {
	Client    kubernetes.Interface
	Namespace string // of the Lease: the Pod's
	Name      string // of the Lease
	// Identity is a name for this replica; a random suffix makes it unique.
	Identity string
	// TTL is how long after the death of the leader another replica leads at the latest:
	// 15 s if zero. A leader that ends in order is replaced at once.
	TTL time.Duration
	// Does says for the log what the leader does: it writes Events and status if empty.
	Does string
	// Log is nil for none.
	Log *zap.Logger

	leading atomic.Bool
}

// Leading reports whether this replica is the leader.
func (l *Leader) Leading() bool { return l.leading.Load() }

func (l *Leader) does() string {
	return cmp.Or(l.Does, "writes Events and status")
}

// Run takes part in the election until ctx ends. It calls lead, in another goroutine, each time
// this replica becomes the leader, with a context that ends when it no longer is. The Lease is
// given up only after lead has returned.
func (l *Leader) Run(ctx context.Context, lead func(ctx context.Context)) error {
	log := l.Log
	if log == nil {
		log = zap.NewNop()
	}
	lock := &loggedLock{LeaseLock: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: l.Namespace, Name: l.Name},
		Client:     l.Client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: l.Identity + "_" + string(uuid.NewUUID())},
	}, log: log, does: l.does()}

	// The elector lives until lead has returned, which is longer than ctx.
	elect, stop := context.WithCancel(withLogger(context.WithoutCancel(ctx), log))
	defer stop()
	var running sync.Mutex // held while lead runs
	defer context.AfterFunc(ctx, func() {
		running.Lock()
		defer running.Unlock()
		stop()
	})()

	started := func(held context.Context) {
		running.Lock()
		defer running.Unlock()
		if ctx.Err() != nil || held.Err() != nil {
			return
		}
		held, cancel := context.WithCancel(held)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		log.Info("leading: this replica "+l.does(), zap.String("lease", l.Namespace+"/"+l.Name))
		l.leading.Store(true)
		defer l.leading.Store(false)
		lead(held)
		<-held.Done()
	}

	lease, deadline, retry := l.times()
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   lease,
		RenewDeadline:   deadline,
		RetryPeriod:     retry,
		ReleaseOnCancel: true,
		Name:            l.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: started,
			OnStoppedLeading: func() {},
			OnNewLeader: func(identity string) {
				if identity != lock.Identity() {
					log.Info("another replica leads", zap.String("leader", identity))
				}
			},
		},
	})
	if err != nil {
		return fmt.Errorf("election by lease %s/%s: %w", l.Namespace, l.Name, err)
	}
	for elect.Err() == nil {
		elector.Run(elect)
	}
	running.Lock() // lead has returned
	defer running.Unlock()
	return nil
}

// times are how long the Lease is valid, how long a leader tries to renew it, and how often.
//
// Another replica waits out the lease from when it last saw it renewed. It looks every 1 to 2.2
// retry periods, so in the worst case it takes over lease + 2 x 2.2 x retry after the last
// renewal: 0.6 + 4.4/12 = 0.97 of the TTL, give or take half a second. A leader begins to renew at
// most a retry period after it did last, and gives up a deadline later: a sixth of the lease is
// left, at least, to end what it does before another one leads.
func (l *Leader) times() (lease, deadline, retry time.Duration) {
	ttl := max(cmp.Or(l.TTL, 15*time.Second), 2*time.Second)
	lease = (ttl * 6 / 10).Round(time.Second) // a Lease counts whole seconds
	return lease, lease * 2 / 3, ttl / 12
}

// loggedLock logs when the Lease begins and ceases to be out of reach, which the elector does
// at every try.
type loggedLock struct {
	*resourcelock.LeaseLock
	log  *zap.Logger
	does string

	mu      sync.Mutex
	failing bool
}

// Get implements resourcelock.Interface.
func (l *loggedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.LeaseLock.Get(ctx)
	if !apierrors.IsNotFound(err) {
		l.outcome(ctx, err)
	}
	return record, raw, err
}

// Create implements resourcelock.Interface.
func (l *loggedLock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.LeaseLock.Create(ctx, record)
	if !apierrors.IsAlreadyExists(err) {
		l.outcome(ctx, err)
	}
	return err
}

// Update implements resourcelock.Interface.
func (l *loggedLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := l.LeaseLock.Update(ctx, record)
	if !apierrors.IsConflict(err) {
		l.outcome(ctx, err)
	}
	return err
}

func (l *loggedLock) outcome(ctx context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case ctx.Err() != nil || (err != nil) == l.failing:
		return
	case err != nil:
		l.log.Warn("no election of the replica that "+l.does+", so there may be none", zap.String("lease", l.Describe()), zap.Error(err))
	default:
		l.log.Info("the election of a leader goes on", zap.String("lease", l.Describe()))
	}
	l.failing = err != nil
}
