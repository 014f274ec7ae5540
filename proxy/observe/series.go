package observe

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// The resolution of native histograms: buckets grow by at most this factor, and are merged
// when there are more of them.
const (
	nativeFactor  = 1.1
	nativeBuckets = 160
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

// routeSeries is the series of one routeKey.
type routeSeries struct {
	requests       [classes]prometheus.Counter
	duration       prometheus.Histogram
	received, sent prometheus.Counter
	aborts         prometheus.Counter
	removed        atomic.Bool // from the registry
	seen           bool        // by the sweep that runs
}

// serviceSeries is the series of one serviceKey.
type serviceSeries struct {
	key       serviceKey
	attempts  [outcomes]prometheus.Counter
	retries   prometheus.Counter
	ejections prometheus.Counter
	removed   atomic.Bool
	seen      bool
}

// seriesVecs makes and removes series.
type seriesVecs struct {
	requests, received, sent, aborts *prometheus.CounterVec
	duration                         *prometheus.HistogramVec
	attempts, retries, ejections     *prometheus.CounterVec
}

func newSeriesVecs() seriesVecs {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return seriesVecs{
		requests: counter("fairlead_requests_total",
			"Requests, by class of the status; 499 of a client that went away is 4xx.",
			"namespace", "ingress", "service", "code"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                           "fairlead_request_duration_seconds",
			Help:                           "Time from the request's head to the end of the response, without WebSocket tunnels.",
			Buckets:                        []float64{.005, .01, .025, .1, .25, 1, 2.5, 10},
			NativeHistogramBucketFactor:    nativeFactor,
			NativeHistogramMaxBucketNumber: nativeBuckets,
			// At most this often are buckets dropped rather than merged.
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"namespace", "ingress", "service"}),
		received: counter("fairlead_request_bytes_total",
			"Bytes of request bodies received.", "namespace", "ingress", "service"),
		sent: counter("fairlead_response_bytes_total",
			"Bytes of response bodies sent.", "namespace", "ingress", "service"),
		aborts: counter("fairlead_client_aborts_total",
			"Requests whose client went away before the response was complete.", "namespace", "ingress", "service"),
		attempts: counter("fairlead_upstream_attempts_total",
			"Tries to have an endpoint answer, by how they ended.", "namespace", "service", "result"),
		retries: counter("fairlead_upstream_retries_total",
			"Tries after the first of a request.", "namespace", "service"),
		ejections: counter("fairlead_endpoint_ejections_total",
			"Times that an endpoint was taken out because it failed.", "namespace", "service"),
	}
}

func (v *seriesVecs) register(r prometheus.Registerer) {
	for _, c := range []prometheus.Collector{
		v.requests, v.duration, v.received, v.sent, v.aborts, v.attempts, v.retries, v.ejections,
	} {
		r.MustRegister(c)
	}
}

func (v *seriesVecs) route(k routeKey) *routeSeries {
	l := []string{k.namespace, k.ingress, k.service}
	s := &routeSeries{
		duration: v.duration.WithLabelValues(l...).(prometheus.Histogram),
		received: v.received.WithLabelValues(l...),
		sent:     v.sent.WithLabelValues(l...),
		aborts:   v.aborts.WithLabelValues(l...),
	}
	for i, label := range classLabels {
		s.requests[i] = v.requests.WithLabelValues(k.namespace, k.ingress, k.service, label)
	}
	return s
}

func (v *seriesVecs) removeRoute(k routeKey) {
	l := []string{k.namespace, k.ingress, k.service}
	v.duration.DeleteLabelValues(l...)
	v.received.DeleteLabelValues(l...)
	v.sent.DeleteLabelValues(l...)
	v.aborts.DeleteLabelValues(l...)
	for _, label := range classLabels {
		v.requests.DeleteLabelValues(k.namespace, k.ingress, k.service, label)
	}
}

func (v *seriesVecs) service(k serviceKey) *serviceSeries {
	s := &serviceSeries{
		key:       k,
		retries:   v.retries.WithLabelValues(k.namespace, k.service),
		ejections: v.ejections.WithLabelValues(k.namespace, k.service),
	}
	for i, label := range outcomeLabels {
		s.attempts[i] = v.attempts.WithLabelValues(k.namespace, k.service, label)
	}
	return s
}

func (v *seriesVecs) removeService(k serviceKey) {
	v.retries.DeleteLabelValues(k.namespace, k.service)
	v.ejections.DeleteLabelValues(k.namespace, k.service)
	for _, label := range outcomeLabels {
		v.attempts.DeleteLabelValues(k.namespace, k.service, label)
	}
}

// Ejected counts an endpoint that was taken out; it fits upstream.Options.OnEject.
func (m *Metrics) Ejected(e *upstream.Endpoint) {
	k := e.Key()
	m.service(serviceKey{k.Namespace, k.Service}).ejections.Inc()
}
