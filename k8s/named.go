package k8s

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/watch"
)

// maxNamed bounds the objects of a kind that are read one by one: each takes a watch. Those above it
// count as not found.
const maxNamed = 5000

// named reads single objects of one kind by their names: those that Ingresses mention and that no
// mirror has. It needs no right to list them. All is guarded by the cluster's lock.
type named[T object] struct {
	cluster *Cluster
	kind    string // in the plural
	client  func(namespace string) namedClient[T]
	// mirrored reports whether a mirror has the object.
	mirrored func(types.NamespacedName) bool
	// strip removes from a new object what nobody reads.
	strip func(T)
	// same reports whether two versions of an object differ in nothing that matters.
	same func(old, now T) bool
	// changed is called when what copyTo copies is another.
	changed func()

	ctx      context.Context // of Cluster.Run
	mentions map[types.NamespacedName]int
	readers  map[types.NamespacedName]*namedReader[T]
	started  bool // it is known what mirrors lack
	full     bool // maxNamed was reached and logged
}

// namedClient is how objects of a namespace are read.
type namedClient[T object] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

// namedReader follows one object.
type namedReader[T object] struct {
	stop     context.CancelFunc
	object   T    // nil while it does not exist or may not be read
	answered bool // object is what the API server said once at least
}

// mention notes that an Ingress names other objects than before.
func (n *named[T]) mention(before, now []types.NamespacedName) {
	if n.mentions == nil {
		n.mentions, n.readers = make(map[types.NamespacedName]int), make(map[types.NamespacedName]*namedReader[T])
	}
	for _, name := range now {
		n.mentions[name]++
	}
	for _, name := range before {
		if n.mentions[name]--; n.mentions[name] == 0 {
			delete(n.mentions, name)
		}
	}
	for _, name := range now {
		n.settle(name)
	}
	for _, name := range before {
		n.settle(name)
	}
}

// forget ends the reader of an object, so that the next mention begins anew.
func (n *named[T]) forget(name types.NamespacedName) {
	if r := n.readers[name]; r != nil {
		r.stop()
		delete(n.readers, name)
	}
}

// settle starts or ends the reader of one object, as needed.
func (n *named[T]) settle(name types.NamespacedName) {
	if !n.started {
		return
	}
	wanted := n.mentions[name] > 0 && !n.mirrored(name) && mayExist(name)
	r := n.readers[name]
	switch {
	case wanted && r == nil:
		if len(n.readers) >= maxNamed {
			if !n.full {
				n.cluster.log.Warn("too many objects to read one by one, further ones count as not found", zap.String("kind", n.kind), zap.Int("limit", maxNamed))
			}
			n.full = true
			return
		}
		ctx, stop := context.WithCancel(n.ctx)
		r = &namedReader[T]{stop: stop}
		n.readers[name] = r
		n.cluster.wg.Go(func() { n.follow(ctx, name, r) })
	case !wanted && r != nil:
		n.forget(name)
		n.changed()
	}
}

// mayExist reports whether the API allows an object of that name. What an Ingress names may be
// any text, and one that makes no request would never be answered.
func mayExist(name types.NamespacedName) bool {
	return len(validation.IsDNS1123Subdomain(name.Name)) == 0 && len(validation.IsDNS1123Label(name.Namespace)) == 0
}

// start begins to read what mirrors do not have, now that this is known.
func (n *named[T]) start() {
	n.started = true
	for name := range n.mentions {
		n.settle(name)
	}
}

// answered reports whether all that is mentioned was looked for.
func (n *named[T]) answered() bool {
	if !n.started {
		return false
	}
	for _, r := range n.readers {
		if !r.answered {
			return false
		}
	}
	return true
}

func (n *named[T]) copyTo(objects map[types.NamespacedName]T) {
	var none T
	for name, r := range n.readers {
		if r.object != none {
			objects[name] = r.object
		}
	}
}

// follow keeps r up to date until ctx ends.
func (n *named[T]) follow(ctx context.Context, name types.NamespacedName, r *namedReader[T]) {
	client := n.client(name.Namespace)
	keepReading(ctx, func() error {
		err := readNamed(ctx, client, name.Name, func(o T) { n.set(r, o) })
		if apierrors.IsForbidden(err) {
			// As with all other objects, what was read before is kept.
			n.cluster.locked(func() { r.answered = true })
		}
		return err
	}, n.spread)
}

// keepReading calls read again whenever it returns, until ctx ends. What is not allowed is tried
// again every half minute. spread is the time over which readers that end together begin again.
func keepReading(ctx context.Context, read func() error, spread func() time.Duration) {
	const poll, slowest = 30 * time.Second, 5 * time.Second
	wait := time.Duration(0)
	for ctx.Err() == nil {
		err := read()
		switch {
		case err == nil:
			// The watch ended, as each does after a while. All end together when the API
			// server does.
			wait = 0
			sleep(ctx, 500*time.Millisecond+rand.N(spread()))
			continue
		case apierrors.IsForbidden(err):
			wait = poll
		default:
			wait = min(max(2*wait, 500*time.Millisecond), slowest)
		}
		sleep(ctx, wait/2+rand.N(wait))
	}
}

// spread is the time over which readers that end together begin again: 100 a second.
func (n *named[T]) spread() time.Duration {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	return time.Duration(1+len(n.readers)) * 10 * time.Millisecond
}

// readNamed gets an object and then watches it until the watch ends. set is given each version; nil
// when there is none.
func readNamed[T object](ctx context.Context, client namedClient[T], name string, set func(T)) error {
	var none T
	found, err := client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		set(found)
	case apierrors.IsNotFound(err):
		set(none)
	default:
		return err
	}
	// Without a resource version the watch begins with the present state, so nothing is
	// lost between the two requests.
	w, err := client.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		switch o, ok := e.Object.(T); {
		case e.Type == watch.Error:
			return apierrors.FromObject(e.Object)
		case !ok || o == none || o.GetName() != name:
		case e.Type == watch.Added || e.Type == watch.Modified:
			set(o)
		case e.Type == watch.Deleted:
			set(none)
		}
	}
	return nil
}

func (n *named[T]) set(r *namedReader[T], o T) {
	var none T
	n.cluster.locked(func() {
		if o != none {
			n.strip(o)
		}
		r.answered = true
		if o == none && r.object == none || o != none && r.object != none && n.same(r.object, o) {
			return
		}
		r.object = o
		n.changed()
		n.cluster.events.full = true
	})
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
