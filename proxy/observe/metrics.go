package observe

import (
	"iter"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// Options names the build and gives access to what other packages know. The functions are
// called at every scrape, from any goroutine; one that is nil leaves its metrics out.
type Options struct {
	Version, Revision string // of fairlead_build_info

	// Table is the live table. When it is nil, series are kept for ever.
	Table func() *proxy.Table
	// Read and Compiled count the Ingresses and the hosts that changes were made of.
	Read, Compiled func() uint64
	// InFlight is the number of requests that are being served, Tunnels that of the open
	// WebSocket connections.
	InFlight func() int
	Tunnels  func() int
	// MaxConnections is how many connections clients may have; 0 leaves its metrics out.
	MaxConnections int
	// Replicas is what limits of all replicas together are divided by.
	Replicas func() int
	// Mirrored is what became of copies of requests.
	Mirrored func() policy.MirrorCounts
	// Bodies is what became of the bodies of requests that were to be read whole.
	Bodies func() proxy.BodyCounts
	// TicketKeys is when the key that seals session tickets began to; zero while replicas share
	// none.
	TicketKeys func() time.Time
	// Synced is when the configuration was last known to be that of its source; the zero
	// time before it ever was.
	Synced func() time.Time
	// Leader says whether this replica writes Events and status.
	Leader func() bool
	// Problems yields the reason and the severity of every Problem.
	Problems iter.Seq2[string, string]
	// Certificates yields every host that has a certificate with the time when that ends.
	Certificates iter.Seq2[string, time.Time]
	// QuirkRequests yields each quirk by name with the number of requests that depended on it.
	QuirkRequests iter.Seq2[string, uint64]
	// Orders yields how often tries to get a certificate by ACME have ended in each way.
	Orders iter.Seq2[string, uint64]
	// Issued says of how many hosts certificates by ACME are served, and how many wait for one.
	Issued func() (served, waiting int)
	// AccessLog is the log whose lines are counted.
	AccessLog *AccessLog
}

// Metrics are the metrics of one process, in a registry of their own. It is a
// prometheus.Gatherer. Make it with NewMetrics.
type Metrics struct {
	registry       *prometheus.Registry
	table          func() *proxy.Table
	accepted       *prometheus.CounterVec // by listener
	open           *prometheus.GaugeVec   // by listener
	refused        *prometheus.CounterVec // by listener and reason
	paused         *prometheus.CounterVec // by listener
	propagation    prometheus.Histogram
	updateFailures prometheus.Counter
	failures       *failures

	mu       sync.Mutex
	routes   map[routeKey]*routeSeries
	services map[serviceKey]*serviceSeries
	sweepAt  int // size of routes and services together that calls for a sweep
}

// NewMetrics returns Metrics that nothing is counted in yet.
func NewMetrics(o Options) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		table:    o.Table,
		routes:   make(map[routeKey]*routeSeries),
		services: make(map[serviceKey]*serviceSeries),
		failures: newFailures(),
		sweepAt:  minSweep,
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_connections_accepted_total",
			Help: "Client connections, by data port.",
		}, []string{"listener"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "fairlead_connections_open",
			Help: "Open client connections, by data port, without WebSocket tunnels.",
		}, []string{"listener"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_connections_refused_total",
			Help: "Client connections that were closed before they were served, by data port and reason.",
		}, []string{"listener", "reason"}),
		paused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairlead_accept_paused_seconds_total",
			Help: "Time in which no connection was accepted as clients had as many as they may have, by data port.",
		}, []string{"listener"}),
		propagation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                           "fairlead_config_propagation_seconds",
			Help:                           "Time from the first notification of a change to the table that has it being live.",
			Buckets:                        []float64{.005, .01, .025, .05, .1, .25, 1, 5},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 160,
		}),
		updateFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fairlead_config_update_failures_total",
			Help: "Changes that could not be made live: the former table is served.",
		}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "fairlead_build_info",
			Help: "Always 1; the labels say what runs.",
			ConstLabels: prometheus.Labels{
				"version": o.Version, "revision": o.Revision, "go_version": runtime.Version(),
			},
		}, func() float64 { return 1 }),
		m.accepted, m.open, m.refused, m.paused, m.propagation, m.updateFailures, m.failures.vec,
		newSeriesCollector(m),
	)
	if o.MaxConnections > 0 {
		m.Waited("http", 0)
		m.Waited("https", 0)
	}
	registerState(m.registry, o)
	return m
}

// Handler serves the metrics to Prometheus, in the format that it asks for; native histograms
// need the protobuf one.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 4,
	})
}

// Gather removes the series of routes that are gone and collects the rest.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) {
	m.mu.Lock()
	m.sweep()
	m.mu.Unlock()
	return m.registry.Gather()
}

// ConnState counts connections; it fits Server.ConnState.
func (m *Metrics) ConnState(listener string, _ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		m.accepted.WithLabelValues(listener).Inc()
		m.open.WithLabelValues(listener).Inc()
	case http.StateClosed, http.StateHijacked:
		// A connection that was taken over is one of fairlead_tunnels.
		m.open.WithLabelValues(listener).Dec()
	}
}

// Refused counts a connection that was not served; it fits Server.Refused.
func (m *Metrics) Refused(listener, reason string) {
	m.refused.WithLabelValues(listener, reason).Inc()
}

// Waited counts how long a data port has accepted no connection as there were enough; it fits
// Server.Waited.
func (m *Metrics) Waited(listener string, d time.Duration) {
	m.paused.WithLabelValues(listener).Add(d.Seconds())
}

// Propagated records how long a change took to become live.
func (m *Metrics) Propagated(took time.Duration) { m.propagation.Observe(took.Seconds()) }

// UpdateFailed counts a change that could not be made live.
func (m *Metrics) UpdateFailed() { m.updateFailures.Inc() }
