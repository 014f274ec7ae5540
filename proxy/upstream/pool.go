package upstream

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Pool is the live endpoints of one Backend. All methods may be called by many goroutines.
//
// Its life: Registry.Pool makes it, and Registry.Retain orphans it once no table leads to
// it. An orphan still serves the requests of older tables, with the endpoints that it has,
// but closes each connection when it has no request. When nothing is in flight the
// Registry forgets it. Until then Registry.Pool brings it back; after that, whoever still has it
// can use it all the same: it only keeps no idle connections, and nothing but its user keeps it.
type Pool struct {
	key       Key
	registry  *Registry
	secured   *secured                    // of key; may be nil
	endpoints atomic.Pointer[endpointSet] // never nil
	picker    picker
	budget    budget
	active    atomic.Int64 // calls of Do whose response's body is not closed
	orphan    atomic.Bool  // written under registry.mu and mu

	mu sync.Mutex // held by those who store endpoints, or change orphan or an ejection
}

// endpointSet is the endpoints of a Pool at one moment. It does not change.
type endpointSet struct {
	all    []*Endpoint // by address
	live   []*Endpoint // those to pick from: all that are not ejected; or simply all
	until  int64       // when the first ejection ends, as of Registry.clock; 0: none does
	reason string      // why all is empty
}

func newPool(r *Registry, k Key) *Pool {
	p := &Pool{key: k, registry: r, secured: newSecured(k.TLS)}
	p.picker.balance = r.options.Balance
	p.picker.turn.Store(r.seed())
	p.budget.ratio = r.options.RetryBudget
	p.endpoints.Store(&endpointSet{reason: NoReadyEndpoints})
	return p
}

// Key returns the Backend that p is the Pool of.
func (p *Pool) Key() Key { return p.key }

// Endpoints returns the endpoints of the latest Set, by address. The slice must not be changed.
func (p *Pool) Endpoints() []*Endpoint { return p.endpoints.Load().all }

// Set makes r what p leads to. An endpoint that was there before, with the same Address
// and Protocol, stays as it is. One that is no longer there drains: it is not picked again, what
// is in flight to it ends in its own time, and its connections are closed as they become idle.
func (p *Pool) Set(r Resolution) {
	p.mu.Lock()
	old := p.endpoints.Load()
	kept := make(map[Address]*Endpoint, len(old.all))
	for _, e := range old.all {
		if e.protocol == r.Protocol {
			kept[e.address] = e
		}
	}
	all := make([]*Endpoint, 0, len(r.Addresses))
	seen := make(map[Address]struct{}, len(r.Addresses))
	for _, a := range r.Addresses {
		if _, twice := seen[a]; twice {
			continue
		}
		seen[a] = struct{}{}
		e := kept[a]
		if e == nil {
			e = newEndpoint(p, a, r.Protocol)
			e.retired.Store(p.orphan.Load())
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Endpoint) int {
		return cmp.Or(cmp.Compare(a.address.Host, b.address.Host), cmp.Compare(a.address.Port, b.address.Port))
	})
	p.endpoints.Store(p.arrange(all, cmp.Or(r.Reason, NoReadyEndpoints)))
	p.mu.Unlock()

	for _, e := range old.all {
		if _, stays := seen[e.address]; !stays || e.protocol != r.Protocol {
			e.retire()
		}
	}
}

// current returns the endpoints, after ending the ejections whose time has come.
func (p *Pool) current(now time.Duration) *endpointSet {
	s := p.endpoints.Load()
	if s.until == 0 || int64(now) < s.until {
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s = p.endpoints.Load()
	if s.until == 0 || int64(now) < s.until {
		return s // another request was faster
	}
	for _, e := range s.all {
		if until := e.ejectedUntil.Load(); until != 0 && until <= int64(now) {
			e.ejectedUntil.Store(0)
		}
	}
	s = p.arrange(s.all, s.reason)
	p.endpoints.Store(s)
	return s
}

// arrange returns the set of all, in which those that are ejected are not live. If they are more
// than may be ejected, as after endpoints were removed, all are live. p.mu is held.
func (p *Pool) arrange(all []*Endpoint, reason string) *endpointSet {
	s := &endpointSet{all: all, live: all, reason: reason}
	var live []*Endpoint
	for _, e := range all {
		until := e.ejectedUntil.Load()
		if until == 0 {
			live = append(live, e)
		} else if s.until == 0 || until < s.until {
			s.until = until
		}
	}
	if len(live) > 0 && len(all)-len(live) <= p.maxEjected(len(all)) {
		s.live = live
	}
	return s
}

func (p *Pool) maxEjected(of int) int { return int(p.registry.options.MaxEjected * float64(of)) }

// failed counts a failure of e, and ejects e after Options.EjectAfter of them in a row.
func (p *Pool) failed(e *Endpoint) {
	e.failures.Add(1)
	e.inARow.Add(1)
	if e.suspect() && p.eject(e) && p.registry.options.OnEject != nil {
		p.registry.options.OnEject(e)
	}
}

// eject leaves e out for a time, and reports false if it did not: it is ejected already, too
// many are, or e is not of p any more.
func (p *Pool) eject(e *Endpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.endpoints.Load()
	out := 1
	for _, other := range s.all {
		if other.ejectedUntil.Load() != 0 {
			out++
		}
	}
	if e.ejectedUntil.Load() != 0 || out > p.maxEjected(len(s.all)) || !slices.Contains(s.all, e) {
		return false
	}
	e.ejectedUntil.Store(int64(p.registry.clock() + p.registry.options.EjectFor))
	p.endpoints.Store(p.arrange(s.all, s.reason))
	return true
}

// answered counts a response of e, whatever its status.
func (p *Pool) answered(e *Endpoint) {
	if e.inARow.Load() != 0 {
		e.inARow.Store(0)
	}
}

// setOrphan changes whether p is an orphan. The registry's mu is held.
func (p *Pool) setOrphan(orphan bool) {
	p.mu.Lock()
	p.orphan.Store(orphan)
	all := p.endpoints.Load().all
	for _, e := range all {
		e.setRetired(orphan)
	}
	p.mu.Unlock()
	if orphan {
		for _, e := range all {
			e.sweep(0)
		}
	}
}

// end is called when a request of p has ended.
func (p *Pool) end() {
	if p.active.Add(-1) == 0 && p.orphan.Load() {
		p.registry.forget(p)
	}
}
