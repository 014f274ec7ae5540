package k8s

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// maxNamed bounds the Secrets that are read one by one: each takes a watch. Those above it
// count as not found.
const maxNamed = 5000

// namedSecrets reads single Secrets by their names: those that Ingresses mention and that the
// watch on Secrets of type kubernetes.io/tls does not have, because they are of another type,
// are not there, or because that watch is not allowed. It needs no right to list Secrets. All
// is guarded by the cluster's lock.
type namedSecrets struct {
	cluster  *Cluster
	ctx      context.Context // of Cluster.Run
	mentions map[types.NamespacedName]int
	// passwords counts the Ingresses that want more of a Secret than a key pair.
	passwords map[types.NamespacedName]int
	readers   map[types.NamespacedName]*secretReader
	started   bool // the watch on TLS Secrets was answered, so that what it lacks is known
	full      bool // maxNamed was reached and logged
}

// secretReader follows one Secret.
type secretReader struct {
	stop     context.CancelFunc
	secret   *corev1.Secret // nil while it does not exist or may not be read
	answered bool           // secret is what the API server said once at least
}

func (n *namedSecrets) init(c *Cluster) {
	n.cluster = c
	n.mentions = make(map[types.NamespacedName]int)
	n.passwords = make(map[types.NamespacedName]int)
	n.readers = make(map[types.NamespacedName]*secretReader)
}

// mention notes that an Ingress names other Secrets than before.
func (n *namedSecrets) mention(before, now []types.NamespacedName) {
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

// mentionPasswords notes that an Ingress has its passwords in other Secrets than before. It
// comes before mention.
func (n *namedSecrets) mentionPasswords(before, now []types.NamespacedName) {
	for _, name := range now {
		if n.passwords[name]++; n.passwords[name] > 1 {
			continue
		}
		if r := n.readers[name]; r != nil {
			// It was read without them; mention begins anew.
			r.stop()
			delete(n.readers, name)
		}
	}
	for _, name := range before {
		if n.passwords[name]--; n.passwords[name] == 0 {
			delete(n.passwords, name)
		}
	}
}

// settle starts or ends the reader of one Secret, as needed.
func (n *namedSecrets) settle(name types.NamespacedName) {
	if !n.started {
		return
	}
	_, watched := n.cluster.tls.objects[name]
	wanted := n.mentions[name] > 0 && !watched && mayExist(name)
	r := n.readers[name]
	switch {
	case wanted && r == nil:
		if len(n.readers) >= maxNamed {
			if !n.full {
				n.cluster.log.Warn("too many Secrets to read one by one, further ones count as not found", zap.Int("limit", maxNamed))
			}
			n.full = true
			return
		}
		ctx, stop := context.WithCancel(n.ctx)
		r = &secretReader{stop: stop}
		n.readers[name] = r
		n.cluster.wg.Go(func() { n.follow(ctx, name, r) })
	case !wanted && r != nil:
		r.stop()
		delete(n.readers, name)
		n.cluster.stale.secrets = true
	}
}

// mayExist reports whether the API allows an object of that name. What an Ingress names may be
// any text, and one that makes no request would never be answered.
func mayExist(name types.NamespacedName) bool {
	return len(validation.IsDNS1123Subdomain(name.Name)) == 0 && len(validation.IsDNS1123Label(name.Namespace)) == 0
}

// start begins to read what the watch on TLS Secrets does not have, now that this is known.
func (n *namedSecrets) start() {
	n.started = true
	for name := range n.mentions {
		n.settle(name)
	}
}

// answered reports whether all that is mentioned was looked for.
func (n *namedSecrets) answered() bool {
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

func (n *namedSecrets) copyTo(secrets map[types.NamespacedName]*corev1.Secret) {
	for name, r := range n.readers {
		if r.secret != nil {
			secrets[name] = r.secret
		}
	}
}

// follow keeps r up to date until ctx ends.
func (n *namedSecrets) follow(ctx context.Context, name types.NamespacedName, r *secretReader) {
	secrets := n.cluster.o.Client.CoreV1().Secrets(name.Namespace)
	keepReading(ctx, func() error {
		err := readSecret(ctx, secrets, name.Name, func(s *corev1.Secret) { n.set(r, s) })
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
func (n *namedSecrets) spread() time.Duration {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	return time.Duration(1+len(n.readers)) * 10 * time.Millisecond
}

// readSecret gets a Secret and then watches it until the watch ends. set is given each version;
// nil when there is none.
func readSecret(ctx context.Context, secrets typedcorev1.SecretInterface, name string, set func(*corev1.Secret)) error {
	found, err := secrets.Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		set(found)
	case apierrors.IsNotFound(err):
		set(nil)
	default:
		return err
	}
	// Without a resource version the watch begins with the present state, so nothing is
	// lost between the two requests.
	w, err := secrets.Watch(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()})
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		switch s, _ := e.Object.(*corev1.Secret); {
		case e.Type == watch.Error:
			return apierrors.FromObject(e.Object)
		case s == nil || s.Name != name:
		case e.Type == watch.Added || e.Type == watch.Modified:
			set(s)
		case e.Type == watch.Deleted:
			set(nil)
		}
	}
	return nil
}

func (n *namedSecrets) set(r *secretReader, s *corev1.Secret) {
	n.cluster.locked(func() {
		if s != nil && n.passwords[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}] == 0 {
			stripSecret(s)
		}
		r.answered = true
		if s == nil && r.secret == nil || s != nil && r.secret != nil && sameSecret(r.secret, s) {
			return
		}
		r.secret = s
		n.cluster.stale.secrets, n.cluster.events.full = true, true
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
