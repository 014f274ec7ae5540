package k8s

import (
	"context"
	"errors"
	"reflect"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// object is a pointer to an API object.
type object interface {
	comparable
	metav1.Object
	runtime.Object
}

// mirror holds the objects of one kind as client-go's Reflector reports them. A shared
// informer would keep a second copy of each change in a queue and could not keep the pointers
// of objects that a relist finds unchanged.
type mirror[T object] struct {
	cluster  *Cluster
	kind     string
	resource resource
	selector selector
	// strip removes from a new object what nobody reads.
	strip func(T)
	// same reports whether two versions of an object differ in nothing that matters.
	same func(old, now T) bool
	// changed is called with the cluster's lock held; old or now is nil.
	changed func(old, now T)
	// otherwise says what is done when the objects may not be read; empty when nothing is, so
	// that they must be.
	otherwise string
	// see, if set, is called with the lock held for every version of an object, those that
	// are dropped as the same too; gone says that it was deleted.
	see func(obj T, gone bool)

	// first is the last watch that was to begin with a list. The Reflector's goroutine has it.
	first watch.Interface

	// Guarded by the cluster's lock.

	versions  versions
	objects   map[types.NamespacedName]T
	loaded    bool  // objects is what the API server said once
	forbidden bool  // the last list was refused
	err       error // of the last list; nil when it succeeded
	// The last list or watch failed, and that was logged.
	listFailing, watchFailing bool
}

// selector narrows what is read.
type selector struct{ fields, labels string }

// resource is how objects of a kind are listed and watched.
type resource struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func resourceOf[L runtime.Object](list func(context.Context, metav1.ListOptions) (L, error),
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error),
) resource {
	return resource{
		list:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) },
		watch: watch,
	}
}

// retry is short, for a change must not wait half a minute when the API server is back: a few
// small requests in 2 to 3 seconds are what that costs.
var retry = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Steps: 4, Cap: 2 * time.Second, Jitter: 0.5}

// askAgain is how often a refusal is put to the test that there is a way around.
const askAgain = time.Minute

func (m *mirror[T]) run(ctx context.Context) {
	backoff := retry
	var zero T
	r := cache.NewReflectorWithOptions(&cache.ListWatch{
		ListWithContextFunc:  m.list,
		WatchFuncWithContext: m.watch,
	}, reflect.New(reflect.TypeOf(zero).Elem()).Interface(), m, cache.ReflectorOptions{Name: m.kind, Backoff: &backoff})
	r.RunWithContext(ctx)
}

func (m *mirror[T]) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	o.FieldSelector, o.LabelSelector = m.selector.fields, m.selector.labels
	list, err := m.resource.list(ctx, o)
	m.outcome(ctx, &m.listFailing, err)
	return list, err
}

func (m *mirror[T]) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.FieldSelector, o.LabelSelector = m.selector.fields, m.selector.labels
	if o.SendInitialEvents != nil && m.isDoneWithout() {
		sleep(ctx, askAgain)
	}
	w, err := m.resource.watch(ctx, o)
	if err == nil && o.SendInitialEvents != nil {
		m.first = w
	}
	if err == nil || o.SendInitialEvents == nil {
		m.outcome(ctx, &m.watchFailing, err)
		return w, err
	}
	// A watch that should have begun with a list failed. The Reflector lists instead, which
	// is what tells whether objects can be read. When the connection was refused it would
	// first wait without heeding ctx; an error of another kind spares that.
	if net.IsConnectionRefused(err) {
		err = errors.New(err.Error())
	}
	return w, err
}

// outcome notes whether the API server let us read, and logs when that changes. failing is the
// field for the kind of request.
func (m *mirror[T]) outcome(ctx context.Context, failing *bool, err error) {
	if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	m.cluster.locked(func() {
		log := m.cluster.log.With(zap.String("kind", m.kind))
		forbidden := apierrors.IsForbidden(err)
		if (err != nil) != *failing {
			*failing = err != nil
			switch {
			case err == nil:
				log.Info("reading objects again")
			case forbidden && m.otherwise != "":
				log.Info("these objects may not be read: "+m.otherwise, zap.Error(err))
			default:
				log.Warn("objects cannot be read; those read before are kept", zap.Error(err))
			}
		}
		if failing == &m.listFailing {
			m.err = err
		}
		if failing == &m.listFailing && forbidden != m.forbidden {
			m.forbidden = forbidden
			m.cluster.settle()
		}
	})
}

// mayDoWithout reports whether the objects may not be read and what is done otherwise. It is
// called with the lock held.
func (m *mirror[T]) mayDoWithout() bool { return m.forbidden && m.otherwise != "" }

func (m *mirror[T]) isDoneWithout() bool {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	return m.mayDoWithout()
}

func (m *mirror[T]) isLoaded() bool { return m.loaded }

func (m *mirror[T]) lastError() (kind string, err error) { return m.kind, m.err }

// Add implements cache.ReflectorStore.
func (m *mirror[T]) Add(obj any) error { return m.Update(obj) }

// Update implements cache.ReflectorStore.
func (m *mirror[T]) Update(obj any) error {
	now := obj.(T)
	m.strip(now)
	m.cluster.locked(func() {
		if !m.isOld(now) {
			m.put(now)
		}
	})
	return nil
}

// Delete implements cache.ReflectorStore.
func (m *mirror[T]) Delete(obj any) error {
	gone := obj.(T)
	m.cluster.locked(func() {
		if !m.isOld(gone) {
			m.versions.saw(gone.GetResourceVersion())
			m.remove(keyOf(gone), gone)
		}
	})
	return nil
}

// Replace implements cache.ReflectorStore: the result of a list. The Reflector lists again after an
// error.
func (m *mirror[T]) Replace(list []any, version string) (err error) {
	m.cluster.locked(func() {
		if err = m.refuse(version); err != nil {
			return
		}
		m.versions.saw(version)
		if m.objects == nil {
			m.objects = make(map[types.NamespacedName]T, len(list))
		}
		listed := make(map[types.NamespacedName]struct{}, len(list))
		for _, obj := range list {
			now := obj.(T)
			m.strip(now)
			listed[keyOf(now)] = struct{}{}
			m.put(now)
		}
		for k, old := range m.objects {
			if _, ok := listed[k]; !ok {
				m.remove(k, old)
			}
		}
		if !m.loaded {
			m.loaded = true
			m.cluster.events.full = true
			m.cluster.settle()
		}
	})
	if err != nil && m.first != nil {
		m.first.Stop() // the Reflector forgets it
	}
	return err
}

// Resync implements cache.ReflectorStore.
func (m *mirror[T]) Resync() error { return nil }

// Transformer implements cache.TransformingStore: the objects of a list are stripped as they
// come and not when they are all there.
func (m *mirror[T]) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if o, ok := obj.(T); ok {
			m.strip(o)
		}
		return obj, nil
	}
}

// put is called with the lock held.
func (m *mirror[T]) put(now T) {
	k := keyOf(now)
	version := now.GetResourceVersion()
	m.versions.saw(version)
	if m.see != nil {
		m.see(now, false)
	}
	old, known := m.objects[k]
	if known && m.same(old, now) {
		m.versions.drop(k, version)
		return
	}
	delete(m.versions.dropped, k)
	if m.objects == nil {
		m.objects = make(map[types.NamespacedName]T)
	}
	m.objects[k] = now
	m.changed(old, now)
}

// remove is called with the lock held.
func (m *mirror[T]) remove(k types.NamespacedName, obj T) {
	if m.see != nil {
		m.see(obj, true)
	}
	old, known := m.objects[k]
	if !known {
		return
	}
	delete(m.objects, k)
	delete(m.versions.dropped, k)
	var none T
	m.changed(old, none)
}

func keyOf(obj metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
}
