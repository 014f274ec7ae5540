package k8s

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/watch"
)

// maxNamed bounds the objects of a kind that are read one by one: each takes a watch.
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
	// most takes the place of maxNamed in tests; zero does not.
	most int

	ctx      context.Context // of Cluster.Run
	mentions map[types.NamespacedName]int
	readers  map[types.NamespacedName]*namedReader[T]
	started  bool // it is known what mirrors lack
	// unread are those that are wanted and not read, as more than maxNamed are. They count as not
	// found. Which they are is a matter of what is wanted alone: see share.
	unread map[types.NamespacedName]struct{}
	full   bool // that there are such is logged
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
	n.settle(now...)
	n.settle(before...)
}

// forget ends the reader of an object, so that the next mention begins anew.
func (n *named[T]) forget(name types.NamespacedName) {
	if r := n.readers[name]; r != nil {
		r.stop()
		delete(n.readers, name)
	}
}

// wants reports whether an object is to be read here.
func (n *named[T]) wants(name types.NamespacedName) bool {
	return n.mentions[name] > 0 && !n.mirrored(name) && mayExist(name)
}

// settle starts or ends the readers of some objects, as needed.
func (n *named[T]) settle(names ...types.NamespacedName) {
	if !n.started {
		return
	}
	due := false // what is wanted has changed, and not all of it can be read
	for _, name := range names {
		_, unread := n.unread[name]
		wanted, read := n.wants(name), n.readers[name] != nil
		switch {
		case wanted && !read && !unread && len(n.unread) == 0 && len(n.readers) < cmp.Or(n.most, maxNamed):
			n.read(name)
		case wanted && !read && !unread:
			if n.unread == nil {
				n.unread = make(map[types.NamespacedName]struct{})
			}
			n.unread[name] = struct{}{}
			due = true
		case !wanted && read:
			n.forget(name)
			n.changed()
			due = due || len(n.unread) > 0
		case !wanted && unread:
			delete(n.unread, name)
			due = true
		}
	}
	if due {
		n.share()
	}
}

// read starts the reader of an object.
func (n *named[T]) read(name types.NamespacedName) {
	ctx, stop := context.WithCancel(n.ctx)
	r := &namedReader[T]{stop: stop}
	n.readers[name] = r
	n.cluster.wg.Go(func() { n.follow(ctx, name, r) })
}

// share decides which of too many objects are read: namespaces have the same number of them at
// most, and of one with more it is the first by name. So who names thousands takes nothing from others,
// and all replicas read the same ones.
func (n *named[T]) share() {
	wanted := make(map[string][]types.NamespacedName) // by namespace
	total, longest := 0, ""
	for name := range n.mentions {
		if n.wants(name) {
			wanted[name.Namespace] = append(wanted[name.Namespace], name)
			total++
		}
	}
	namespaces := slices.SortedFunc(maps.Keys(wanted), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(wanted[a]), len(wanted[b])), cmp.Compare(a, b))
	})
	room := cmp.Or(n.most, maxNamed)
	clear(n.unread)
	for i, namespace := range namespaces { // from the one that wants the fewest
		names := wanted[namespace]
		slices.SortFunc(names, func(a, b types.NamespacedName) int { return cmp.Compare(a.Name, b.Name) })
		granted := min(len(names), room/(len(namespaces)-i))
		room -= granted
		for _, name := range names[granted:] {
			n.unread[name] = struct{}{}
			if n.readers[name] != nil {
				n.forget(name)
				n.changed()
			}
		}
		for _, name := range names[:granted] {
			if n.readers[name] == nil {
				n.read(name)
			}
		}
		longest = namespace
	}
	if now := len(n.unread) > 0; now != n.full {
		n.full = now
		if now {
			n.cluster.log.Warn("too many objects to read one by one: those above the limit count as not found, of the namespaces that name the most",
				zap.String("kind", n.kind), zap.Int("limit", cmp.Or(n.most, maxNamed)), zap.Int("named", total), zap.String("namespace", longest))
		}
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
	n.settle(slices.Collect(maps.Keys(n.mentions))...)
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

// readNamed follows an object by a watch until that ends. set is given each version; nil when there is
// none. Without the right to watch it gets the object once.
func readNamed[T object](ctx context.Context, client namedClient[T], name string, set func(T)) error {
	var none T
	// Without a resource version a watch begins with the present state, if there is one. That there
	// is none has to be asked for, and not before: what is deleted between an answer and the
	// beginning of a watch would be taken to be there for as long as that lasts.
	w, watchErr := client.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if watchErr == nil {
		defer w.Stop()
	}
	found, err := client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		set(none)
	case err != nil:
		return err
	case watchErr != nil:
		set(found)
	}
	if watchErr != nil {
		return watchErr
	}
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
