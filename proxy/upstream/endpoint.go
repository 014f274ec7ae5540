package upstream

import (
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Endpoint is one address of a Pool, with its connections, what is in flight to it, and its
// health. It lives as long as Resolutions name its Address and Protocol, and then until what
// is in flight has ended.
type Endpoint struct {
	pool      *Pool
	address   Address
	authority string     // the address as in a URL
	ip        netip.Addr // invalid when the address is a name
	protocol  Protocol
	hash      uint64 // of authority, the same in every process

	inFlight atomic.Int64
	conns    atomic.Int64 // those that an http1.Client in clear does not count
	attempts atomic.Uint64
	failures atomic.Uint64

	inARow       atomic.Int64 // failures since the latest response; an ejection does not reset it
	ejectedUntil atomic.Int64 // a time as of Registry.clock; 0: it is not ejected. Written under pool.mu
	// retired says that the endpoint, or its Pool, is no longer wanted: a connection is closed
	// as soon as it has no request.
	retired atomic.Bool

	mu     sync.Mutex // guards the making of engine, and changes of retired
	engine atomic.Pointer[engine]
}

func newEndpoint(p *Pool, a Address, protocol Protocol) *Endpoint {
	e := &Endpoint{pool: p, address: a, authority: a.String(), protocol: protocol}
	e.hash = HashOf(e.authority)
	e.ip, _ = netip.ParseAddr(a.Host) // else it is a name
	return e
}

// Key returns the key of the Pool that e belongs to.
func (e *Endpoint) Key() Key { return e.pool.key }

// Address returns where e listens.
func (e *Endpoint) Address() Address { return e.address }

// Protocol returns what e speaks.
func (e *Endpoint) Protocol() Protocol { return e.protocol }

// InFlight returns how many attempts have not ended.
func (e *Endpoint) InFlight() int64 { return e.inFlight.Load() }

// Connections returns how many connections are open, in use or idle.
func (e *Endpoint) Connections() int64 {
	n := e.conns.Load()
	if g := e.engine.Load(); g != nil && e.protocol == HTTP {
		n += g.http1.Connections()
	}
	return n
}

// Attempts returns how many attempts were ever made, and how many of them e is to blame for
// that they brought no response.
func (e *Endpoint) Attempts() (all, failed uint64) { return e.attempts.Load(), e.failures.Load() }

// Ejected reports whether e is left out because it failed.
func (e *Endpoint) Ejected() bool {
	until := e.ejectedUntil.Load()
	return until != 0 && e.pool.registry.clock() < time.Duration(until)
}

// suspect reports whether the next failure ejects e. It is so as well after an ejection, until
// there is a response, and if too many others are ejected.
func (e *Endpoint) suspect() bool {
	limit := e.pool.registry.options.EjectAfter
	return limit > 0 && e.inARow.Load() >= int64(limit)
}

// load is what a picker compares. A suspect is given one request at a time, if there is a choice.
func (e *Endpoint) load() int64 {
	n := e.inFlight.Load()
	if n > 0 && e.suspect() {
		return math.MaxInt64
	}
	return n
}

// wire returns e's engine.
func (e *Endpoint) wire() *engine {
	if g := e.engine.Load(); g != nil {
		return g
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.engine.Load()
	if g == nil {
		g = newEngine(e)
		g.keepIdle(!e.retired.Load())
		e.engine.Store(g)
	}
	return g
}

func (e *Endpoint) begin() {
	e.attempts.Add(1)
	e.inFlight.Add(1)
}

func (e *Endpoint) end() {
	if e.inFlight.Add(-1) == 0 && e.retired.Load() {
		e.sweep(0)
	}
}

// setRetired changes whether e is retired. What is idle over HTTP/2 is not closed yet.
func (e *Endpoint) setRetired(retired bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.retired.Store(retired)
	if g := e.engine.Load(); g != nil {
		g.keepIdle(!retired)
	}
}

// retire makes e close its connections as they become idle.
func (e *Endpoint) retire() {
	e.setRetired(true)
	e.sweep(0)
}

// sweep closes the idle connections of a retired endpoint. A dial that nobody waits for any more,
// and an HTTP/2 stream whose body was just closed, end a little later than the attempt. So
// if nothing is in flight but a connection is open, it comes back, a few times; what is left
// then has Options.IdleTimeout.
func (e *Endpoint) sweep(round int) {
	g := e.engine.Load()
	if g == nil || !e.retired.Load() {
		return
	}
	g.closeIdle()
	if round < 8 && e.inFlight.Load() == 0 && e.Connections() > 0 {
		time.AfterFunc(10*time.Millisecond<<round, func() { e.sweep(round + 1) })
	}
}
