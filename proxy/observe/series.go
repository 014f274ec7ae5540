package observe

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// minSweep is the least number of series sets that calls for a sweep between scrapes.
const minSweep = 256

// routeKey is the labels of a route's series; the zero key is those of what no rule matches.
type routeKey struct{ namespace, ingress, service string }

// serviceKey is the labels of the series of a backend.
type serviceKey struct{ namespace, service string }

func keyOf(rule *proxy.Rule) routeKey {
	return routeKey{rule.Origin.Namespace, rule.Origin.Name, rule.Backend.Service}
}

// class is the index of a class of statuses.
type class uint8

const classes = 5

var classLabels = [classes]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// classOf counts a response that is none (status 0) and one outside of HTTP's classes as 5xx.
func classOf(status int) class {
	if status < 100 || status >= 600 {
		return classes - 1
	}
	return class(status/100 - 1)
}

// outcome is the index of how an attempt ended.
type outcome uint8

const (
	answered outcome = iota
	notConnected
	reset
	timedOut
	canceled
	failedOther
	outcomes
)

var outcomeLabels = [outcomes]string{"answered", "connect-failed", "reset", "timeout", "canceled", "other"}

// routeSeries is the series of one routeKey. The counters are plain words: those of the client
// library keep their labels with each, which takes three times the memory of a whole route. What
// each request changes comes first.
type routeSeries struct {
	removed        atomic.Bool // from Metrics.routes
	seen           bool        // by the sweep that runs
	requests       [classes]atomic.Uint64
	received, sent atomic.Uint64
	durations      durations
	aborts         atomic.Uint64
	created        time.Time
}

// serviceSeries is the series of one serviceKey.
type serviceSeries struct {
	key       serviceKey
	created   time.Time
	attempts  [outcomes]atomic.Uint64
	retries   atomic.Uint64
	ejections atomic.Uint64
	removed   atomic.Bool // from Metrics.services
	seen      bool
}

// seriesCollector shows the counters of a Metrics.
type seriesCollector struct {
	m *Metrics

	requests, received, sent, aborts *prometheus.Desc
	durations                        *prometheus.Desc
	attempts, retries, ejections     *prometheus.Desc
}

func newSeriesCollector(m *Metrics) *seriesCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &seriesCollector{
		m: m,
		requests: desc("fairlead_requests_total",
			"Requests, by class of the status; 499 of a client that went away is 4xx.",
			"namespace", "ingress", "service", "code"),
		received: desc("fairlead_request_bytes_total",
			"Bytes of request bodies received.", "namespace", "ingress", "service"),
		sent: desc("fairlead_response_bytes_total",
			"Bytes of response bodies sent.", "namespace", "ingress", "service"),
		aborts: desc("fairlead_client_aborts_total",
			"Requests whose client went away before the response was complete.", "namespace", "ingress", "service"),
		durations: desc("fairlead_request_duration_seconds",
			"Time from the request's head to the end of the response, without WebSocket tunnels.",
			"namespace", "ingress", "service"),
		attempts: desc("fairlead_upstream_attempts_total",
			"Tries to have an endpoint answer, by how they ended.", "namespace", "service", "result"),
		retries: desc("fairlead_upstream_retries_total",
			"Tries after the first of a request.", "namespace", "service"),
		ejections: desc("fairlead_endpoint_ejections_total",
			"Times that an endpoint was taken out because it failed.", "namespace", "service"),
	}
}

// Describe implements prometheus.Collector.
func (c *seriesCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.requests, c.received, c.sent, c.aborts, c.durations, c.attempts, c.retries, c.ejections,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *seriesCollector) Collect(ch chan<- prometheus.Metric) {
	// Copies: what receives from ch may be slow, and requests wait for the lock.
	c.m.mu.Lock()
	routes, services := maps.Clone(c.m.routes), maps.Clone(c.m.services)
	c.m.mu.Unlock()
	for k, s := range routes {
		emit := func(d *prometheus.Desc, v *atomic.Uint64, labels ...string) {
			ch <- counter(d, v, s.created, labels...)
		}
		for i, label := range classLabels {
			emit(c.requests, &s.requests[i], k.namespace, k.ingress, k.service, label)
		}
		emit(c.received, &s.received, k.namespace, k.ingress, k.service)
		emit(c.sent, &s.sent, k.namespace, k.ingress, k.service)
		emit(c.aborts, &s.aborts, k.namespace, k.ingress, k.service)
		labels := prometheus.MakeLabelPairs(c.durations, []string{k.namespace, k.ingress, k.service})
		ch <- histogram{&s.durations, c.durations, s.created, labels}
	}
	for k, s := range services {
		emit := func(d *prometheus.Desc, v *atomic.Uint64, labels ...string) {
			ch <- counter(d, v, s.created, labels...)
		}
		for i, label := range outcomeLabels {
			emit(c.attempts, &s.attempts[i], k.namespace, k.service, label)
		}
		emit(c.retries, &s.retries, k.namespace, k.service)
		emit(c.ejections, &s.ejections, k.namespace, k.service)
	}
}

func counter(d *prometheus.Desc, v *atomic.Uint64, created time.Time, labels ...string) prometheus.Metric {
	m, err := prometheus.NewConstMetricWithCreatedTimestamp(d, prometheus.CounterValue, float64(v.Load()), created, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}

// Ejected counts an endpoint that was taken out; it fits upstream.Options.OnEject.
func (m *Metrics) Ejected(e *upstream.Endpoint) {
	k := e.Key()
	m.service(serviceKey{k.Namespace, k.Service}).ejections.Add(1)
}
