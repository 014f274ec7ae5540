package observe

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// maxReasons bounds the values of the label reason, which come from a closed set in the code.
const maxReasons = 64

// failures counts requests that failed by their reason code.
type failures struct {
	vec *prometheus.CounterVec

	mu       sync.RWMutex // of its own: a storm of failures must not wait for a sweep
	byReason map[string]prometheus.Counter
}

func newFailures() *failures {
	return &failures{
		vec: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_request_failures_total",
			Help: "Requests that the proxy answered itself, or whose response broke off, by reason code.",
		}, []string{"reason"}),
		byReason: make(map[string]prometheus.Counter),
	}
}

func (f *failures) count(reason string) {
	f.mu.RLock()
	c := f.byReason[reason]
	f.mu.RUnlock()
	if c == nil {
		c = f.add(reason)
	}
	c.Inc()
}

func (f *failures) add(reason string) prometheus.Counter {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.byReason) >= maxReasons && f.byReason[reason] == nil {
		return f.vec.WithLabelValues("other")
	}
	c := f.vec.WithLabelValues(reason)
	f.byReason[reason] = c
	return c
}
