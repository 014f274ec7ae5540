package observe

import (
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
)

// Route returns the recorder of a rule; nil stands for what no rule matches, whose labels are
// empty. The series of a route begin with its first request: most routes of a large cluster
// are idle. They end when the live table has no rule with these labels.
func (m *Metrics) Route(rule *proxy.Rule) proxy.Recorder {
	r := &recorder{m: m}
	if rule != nil {
		r.routeKey = keyOf(rule)
	}
	return r.record
}

// recorder holds the series of its rule, so that recording looks nothing up.
type recorder struct {
	route    atomic.Pointer[routeSeries]
	service  atomic.Pointer[serviceSeries]
	m        *Metrics
	routeKey routeKey
}

func (r *recorder) record(x *proxy.Exchange) {
	s := r.route.Load()
	if s == nil || s.removed.Load() {
		// Removed: an earlier table's request ends only now, or the rule lost against
		// another for a while. Series of a rule that is gone are swept again.
		s = r.m.route(r.routeKey)
		r.route.Store(s)
	}
	s.requests[classOf(x.Status)].Add(1)
	if !x.Upgraded {
		s.durations.observe(x.Duration)
	}
	if x.BytesIn > 0 {
		s.received.Add(uint64(x.BytesIn))
	}
	if x.BytesOut > 0 {
		s.sent.Add(uint64(x.BytesOut))
	}
	if x.ClientAborted {
		s.aborts.Add(1)
	}
	if x.Reason != "" {
		r.m.failures.count(x.Reason)
	}
	r.recordAttempts(x)
}

// seriesOf returns the series of the backend that the request went to. It is the same for
// every request of a rule; what no rule matches may go to another default backend one day.
func (r *recorder) seriesOf(k serviceKey) *serviceSeries {
	s := r.service.Load()
	if s == nil || s.key != k || s.removed.Load() {
		s = r.m.service(k)
		r.service.Store(s)
	}
	return s
}

func (m *Metrics) route(k routeKey) *routeSeries {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.routes[k]
	if s == nil {
		m.makeRoom()
		s = &routeSeries{created: time.Now()}
		m.routes[k] = s
	}
	return s
}

func (m *Metrics) service(k serviceKey) *serviceSeries {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.services[k]
	if s == nil {
		m.makeRoom()
		s = &serviceSeries{key: k, created: time.Now()}
		m.services[k] = s
	}
	return s
}

// makeRoom sweeps when the series have doubled since the last sweep: without it nothing
// would be removed while nobody scrapes. The caller holds m.mu.
func (m *Metrics) makeRoom() {
	if len(m.routes)+len(m.services) >= m.sweepAt {
		m.sweep()
		m.sweepAt = max(minSweep, 2*(len(m.routes)+len(m.services)))
	}
}

// sweep removes the series that no rule of the live table has. The caller holds m.mu: a
// series is made under the same lock by a request of a table that was live before, so the
// table loaded here is never older than one that a series was made for.
func (m *Metrics) sweep() {
	if m.table == nil {
		return
	}
	t := m.table()
	for _, rule := range t.Rules() {
		if s := m.routes[keyOf(rule)]; s != nil {
			s.seen = true
		}
	}
	for k := range t.Keys().All() {
		if s := m.services[serviceKey{k.Namespace, k.Service}]; s != nil {
			s.seen = true
		}
	}
	for k, s := range m.routes {
		if !s.seen && k != (routeKey{}) {
			s.removed.Store(true)
			delete(m.routes, k)
		}
		s.seen = false
	}
	for k, s := range m.services {
		if !s.seen {
			s.removed.Store(true)
			delete(m.services, k)
		}
		s.seen = false
	}
}
