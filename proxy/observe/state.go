package observe

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxCertificates bounds the series of certificates; those that end first are shown.
const maxCertificates = 1000

// registerState registers what is read from elsewhere at each scrape.
func registerState(r prometheus.Registerer, o Options) {
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	if o.Table != nil {
		gauge("fairlead_table_generation", "Number of the live routing table, counted from 1; 0 before the first.",
			func() float64 { return float64(o.Table().Generation()) })
		gauge("fairlead_table_routes", "Routes of the live table.",
			func() float64 { return float64(o.Table().Len()) })
	}
	if o.InFlight != nil {
		gauge("fairlead_requests_in_flight", "Requests that are being served, WebSocket tunnels included.",
			func() float64 { return float64(o.InFlight()) })
	}
	if o.Tunnels != nil {
		gauge("fairlead_tunnels_open", "Open WebSocket connections, and TLS connections that are passed on.",
			func() float64 { return float64(o.Tunnels()) })
	}
	if o.MaxConnections > 0 {
		gauge("fairlead_connections_limit", "Connections that clients may have, on all data ports together, tunnels included.",
			func() float64 { return float64(o.MaxConnections) })
	}
	if o.Replicas != nil {
		gauge("fairlead_limit_replicas", "Replicas that limits of all together are divided by.",
			func() float64 { return float64(o.Replicas()) })
	}
	if o.Mirrored != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_mirrored_requests_total",
				"Copies of requests for mirror-target, by what became of them.", []string{"result"}, nil),
			kind: prometheus.CounterValue,
			each: func(emit func(float64, ...string)) {
				c := o.Mirrored()
				emit(float64(c.Sent), "sent")
				emit(float64(c.Failed), "failed")
				emit(float64(c.Dropped), "dropped")
			},
		})
	}
	if o.Bodies != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_request_bodies_buffered_total",
				"Bodies of requests that were to be read before a backend gets them, by where they were kept.", []string{"result"}, nil),
			kind: prometheus.CounterValue,
			each: func(emit func(float64, ...string)) {
				c := o.Bodies()
				emit(float64(c.Memory), "memory")
				emit(float64(c.File), "file")
				emit(float64(c.Streamed), "streamed")
				emit(float64(c.Failed), "failed")
			},
		}, collected{
			desc: prometheus.NewDesc("fairlead_request_body_buffer_bytes",
				"Bytes of such bodies that are held now.", []string{"in"}, nil),
			each: func(emit func(float64, ...string)) {
				c := o.Bodies()
				emit(float64(c.MemoryBytes), "memory")
				emit(float64(c.FileBytes), "file")
			},
		})
	}
	if o.Leader != nil {
		gauge("fairlead_leader", "1 when this replica writes Events and status.",
			func() float64 {
				if o.Leader() {
					return 1
				}
				return 0
			})
	}
	if o.TicketKeys != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_session_ticket_key_timestamp_seconds",
				"When the key that seals TLS session tickets began to.", nil, nil),
			each: func(emit func(float64, ...string)) {
				if t := o.TicketKeys(); !t.IsZero() {
					emit(float64(t.Unix()))
				}
			},
		})
	}
	if o.Synced != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_config_age_seconds",
				"Time since the configuration was last known to be that of its source.", nil, nil),
			each: func(emit func(float64, ...string)) {
				if t := o.Synced(); !t.IsZero() {
					emit(max(0, time.Since(t).Seconds()))
				}
			},
		})
	}
	if o.Problems != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_problems",
				"Mistakes in the configuration, by what is wrong.", []string{"reason", "severity"}, nil),
			each: func(emit func(float64, ...string)) { countProblems(o.Problems, emit) },
		})
	}
	if o.Certificates != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_certificate_expiry_timestamp_seconds",
				"When the certificate of a host ends; of 1,000 hosts at most, those that end first.", []string{"host"}, nil),
			each: func(emit func(float64, ...string)) { firstToExpire(o.Certificates, emit) },
		})
	}
	if o.QuirkRequests != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_quirk_requests_total",
				"Requests that would have been answered otherwise without a quirk of their profile.", []string{"quirk"}, nil),
			kind: prometheus.CounterValue,
			each: func(emit func(float64, ...string)) {
				for name, n := range o.QuirkRequests {
					emit(float64(n), name)
				}
			},
		})
	}
	if o.Orders != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_acme_orders_total",
				"Tries of this replica to get a certificate by ACME, by how they ended.", []string{"outcome"}, nil),
			kind: prometheus.CounterValue,
			each: func(emit func(float64, ...string)) {
				for outcome, n := range o.Orders {
					emit(float64(n), outcome)
				}
			},
		})
	}
	if o.Issued != nil {
		r.MustRegister(collected{
			desc: prometheus.NewDesc("fairlead_acme_hosts",
				"Hosts whose certificates are ordered by ACME, by whether one is served.", []string{"state"}, nil),
			each: func(emit func(float64, ...string)) {
				served, waiting := o.Issued()
				emit(float64(served), "served")
				emit(float64(waiting), "waiting")
			},
		})
	}
	counter := func(name, help string, value func() uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value()) }))
	}
	if o.Read != nil {
		counter("fairlead_config_ingresses_read_total", "Ingresses that were read for changes of the configuration.", o.Read)
	}
	if o.Compiled != nil {
		counter("fairlead_config_hosts_compiled_total", "Hosts that were compiled for changes of the configuration.", o.Compiled)
	}
	if l := o.AccessLog; l != nil {
		counter("fairlead_access_log_lines_total", "Lines of the access log that were written.", l.Written)
		counter("fairlead_access_log_dropped_total",
			"Lines of the access log that were lost, because its writer did not keep up or failed.", l.Dropped)
	}
}

// countProblems emits how many there are of each reason and severity.
func countProblems(problems iter.Seq2[string, string], emit func(float64, ...string)) {
	counts := make(map[[2]string]int)
	for reason, severity := range problems {
		counts[[2]string{reason, severity}]++
	}
	for labels, n := range counts {
		emit(float64(n), labels[:]...)
	}
}

// firstToExpire emits the time of every host's certificate: of several, the one that ends first.
func firstToExpire(certificates iter.Seq2[string, time.Time], emit func(float64, ...string)) {
	type certificate struct {
		host string
		end  time.Time
	}
	var all []certificate
	for host, end := range certificates {
		all = append(all, certificate{host, end})
	}
	slices.SortFunc(all, func(a, b certificate) int {
		return cmp.Or(a.end.Compare(b.end), cmp.Compare(a.host, b.host))
	})
	shown := make(map[string]struct{})
	for _, c := range all {
		if _, ok := shown[c.host]; ok {
			continue
		}
		if len(shown) == maxCertificates {
			return
		}
		shown[c.host] = struct{}{}
		emit(float64(c.end.Unix()), c.host)
	}
}

// collected is metrics whose labels and values are found anew at each scrape.
type collected struct {
	desc *prometheus.Desc
	kind prometheus.ValueType // zero: gauges
	each func(emit func(value float64, labels ...string))
}

func (c collected) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c collected) Collect(ch chan<- prometheus.Metric) {
	c.each(func(value float64, labels ...string) {
		kind := c.kind
		if kind == 0 {
			kind = prometheus.GaugeValue
		}
		m, err := prometheus.NewConstMetric(c.desc, kind, value, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(c.desc, err)
		}
		ch <- m
	})
}
