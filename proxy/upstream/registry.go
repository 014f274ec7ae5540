// Package upstream decides where a request goes and takes it there: Pools of Endpoints that
// outlive the tables which lead to them, the choice among them, connections, retries and health.
package upstream

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// Registry has the Pools, one for each Key. All methods may be called by many goroutines.
type Registry struct {
	options Options
	dialer  dialer
	clients http1.ClientSet
	start   time.Time // what clock counts from
	cancel  context.CancelFunc

	mu     sync.Mutex
	pools  map[Key]*Pool
	kept   int // those of pools that are no orphans
	closed bool
}

// NewRegistry returns a Registry without Pools.
func NewRegistry(o Options) *Registry {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	return &Registry{
		options: o,
		dialer: dialer{
			timeout: o.ConnectTimeout,
			guard:   guard{allowLocal: o.AllowLocal, own: o.OwnListeners},
			names:   &names{ctx: ctx, resolver: o.Resolver, timeout: o.ConnectTimeout, now: o.now},
		},
		clients: http1.ClientSet{
			HeadTimeout: o.ResponseHeaderTimeout, ReadTimeout: o.ReadTimeout, IdleTimeout: o.IdleTimeout,
			MaxIdlePerClient: o.MaxIdlePerEndpoint, MaxIdle: o.MaxIdle,
		},
		start:  o.now(),
		cancel: cancel,
		pools:  make(map[Key]*Pool),
	}
}

// Pool returns the Pool of k. It makes one, without endpoints, if there is none; an orphan
// is brought back. After Close it makes an orphan that nothing keeps.
func (r *Registry) Pool(k Key) *Pool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pools[k]
	switch {
	case p == nil && r.closed:
		p = newPool(r, k)
		p.orphan.Store(true)
	case p == nil:
		p = newPool(r, k)
		r.pools[k] = p
		r.kept++
	case !r.closed:
		r.keep(p, true)
	}
	return p
}

// Retain makes orphans of the Pools that are not wanted, and of no others. It makes no Pools.
func (r *Registry) Retain(wanted func(Key) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, p := range r.pools {
		r.keep(p, !r.closed && wanted(k))
	}
}

// Release makes an orphan of the Pool of k, if there is one.
func (r *Registry) Release(k Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pools[k]; p != nil {
		r.keep(p, false)
	}
}

// keep makes p, which is one of r.pools, an orphan or no orphan. The lock is held.
func (r *Registry) keep(p *Pool, wanted bool) {
	if p.orphan.Load() == wanted {
		p.setOrphan(!wanted)
		if wanted {
			r.kept++
		} else {
			r.kept--
		}
	}
	if !wanted {
		r.forgetLocked(p)
	}
}

// Kept is the number of Pools that are no orphans.
func (r *Registry) Kept() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept
}

// Pools returns the Pools by Key, orphans that drain included.
func (r *Registry) Pools() []*Pool {
	r.mu.Lock()
	defer r.mu.Unlock()
	pools := make([]*Pool, 0, len(r.pools))
	for _, p := range r.pools {
		pools = append(pools, p)
	}
	slices.SortFunc(pools, func(a, b *Pool) int {
		return cmp.Or(cmp.Compare(a.key.Namespace, b.key.Namespace), cmp.Compare(a.key.Service, b.key.Service),
			cmp.Compare(a.key.Port, b.key.Port), cmp.Compare(a.key.Target(), b.key.Target()), trueLast(a.key.TargetPort, b.key.TargetPort))
	})
	return pools
}

func trueLast(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Len is the number of Pools, orphans that drain included.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pools)
}

// Close makes orphans of all Pools, those that are made later included, and ends the lookups of
// names. It does not wait for what is in flight: its connections are closed as it ends.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.Retain(func(Key) bool { return false })
	r.cancel()
}

// forget drops p if it is an orphan at rest.
func (r *Registry) forget(p *Pool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetLocked(p)
}

func (r *Registry) forgetLocked(p *Pool) {
	if p.orphan.Load() && p.active.Load() == 0 && r.pools[p.key] == p {
		delete(r.pools, p.key)
	}
}

// clock returns the time since r was made. It does not jump when the machine's time is set.
func (r *Registry) clock() time.Duration { return r.since(r.start) }

func (r *Registry) since(t time.Time) time.Duration { return r.options.since(t) }

func (r *Registry) seed() uint64 { return rand.Uint64() >> 1 }
