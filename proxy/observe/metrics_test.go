package observe

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// newProxy returns a proxy that m watches.
func newProxy(t testing.TB, o Options) (*proxy.Proxy, *Metrics) {
	t.Helper()
	var p *proxy.Proxy
	o.Table = func() *proxy.Table { return p.Table() }
	m := NewMetrics(o)
	pools := upstream.NewRegistry(upstream.Options{AllowLocal: true, OnEject: m.Ejected})
	t.Cleanup(pools.Close)
	p = proxy.New(pools)
	p.Observer = Observer{Metrics: m, Log: o.AccessLog}
	return p, m
}

func serve(p *proxy.Proxy, rules ...*proxy.Rule) {
	t, _ := p.Compile(proxy.Config{Hosts: proxy.ByHost(rules)})
	p.Swap(t)
	p.Pools.Retain(t.Keys().Has)
}

// answering is a rule that needs no backend.
func answering(namespace, name, host string, status int) *proxy.Rule {
	return &proxy.Rule{
		Host: host, Path: "/", PathType: router.Prefix, Origin: router.Origin{Namespace: namespace, Name: name},
		Answer: proxy.Answer{Status: status, Reason: "test"},
	}
}

func get(p *proxy.Proxy, host, target string) int {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = host
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Code
}

// series are the gathered series whose names begin with "fairlead_", as name{label="value"}
// with their values; of histograms the count.
func series(t testing.TB, m *Metrics) map[string]float64 {
	t.Helper()
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "fairlead_") {
			continue
		}
		for _, s := range f.GetMetric() {
			var b strings.Builder
			b.WriteString(f.GetName())
			for i, l := range s.GetLabel() {
				sep := ","
				if i == 0 {
					sep = "{"
				}
				fmt.Fprintf(&b, "%s%s=%q", sep, l.GetName(), l.GetValue())
			}
			if len(s.GetLabel()) > 0 {
				b.WriteString("}")
			}
			all[b.String()] = value(f.GetType(), s)
		}
	}
	return all
}

// count is the number of series, but for those of the Go runtime, which may vary.
func count(t testing.TB, m *Metrics) int {
	t.Helper()
	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "fairlead_") {
			n += len(f.GetMetric())
		}
	}
	return n
}

func value(t dto.MetricType, m *dto.Metric) float64 {
	switch t {
	case dto.MetricType_COUNTER:
		return m.GetCounter().GetValue()
	case dto.MetricType_HISTOGRAM:
		return float64(m.GetHistogram().GetSampleCount())
	default:
		return m.GetGauge().GetValue()
	}
}

// check compares some of the series: a value of -1 means that there must be none.
func check(t testing.TB, m *Metrics, want map[string]float64) {
	t.Helper()
	got := series(t, m)
	for name, v := range want {
		if g, ok := got[name]; v < 0 && ok || v >= 0 && (!ok || g != v) {
			t.Errorf("%s: got %v (there: %t), want %v", name, g, ok, v)
		}
	}
	if t.Failed() {
		for name, v := range got {
			t.Log(name, v)
		}
	}
}

// everything is Options and traffic that make every metric appear.
func everything(t testing.TB) *Metrics {
	log := NewAccessLog(discard{}, AccessLogOptions{})
	t.Cleanup(func() { _ = log.Close(t.Context()) })
	p, m := newProxy(t, Options{
		Version: "v1.2.3", Revision: "abc",
		InFlight:       func() int { return 3 },
		Tunnels:        func() int { return 2 },
		Replicas:       func() int { return 3 },
		MaxConnections: 100,
		Read:           func() uint64 { return 1 },
		Compiled:       func() uint64 { return 1 },
		TicketKeys:     func() time.Time { return time.Unix(1_900_000_000, 0) },
		Synced:         func() time.Time { return time.Now().Add(-time.Minute) },
		Leader:         func() bool { return true },
		Problems:       func(yield func(string, string) bool) { _ = yield("ServiceNotFound", "error") },
		Certificates:   maps.All(map[string]time.Time{"a.example": time.Unix(2_000_000_000, 0)}),
		AccessLog:      log,
		QuirkRequests:  maps.All(map[string]uint64{"hsts-default": 7}),
		Orders:         maps.All(map[string]uint64{"issued": 2}),
		Issued:         func() (int, int) { return 2, 1 },
		Mirrored:       func() policy.MirrorCounts { return policy.MirrorCounts{Sent: 2} },
		Bodies:         func() proxy.BodyCounts { return proxy.BodyCounts{File: 2} },
	})
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(backend.Close)
	serve(p, answering("ns", "web", "a.example", 503), ruleTo("b.example"))
	p.Pools.Pool(ruleTo("").Backend).Set(resolution(t, backend.Listener.Addr()))
	get(p, "a.example", "/")
	get(p, "b.example", "/")
	m.Propagated(time.Millisecond)
	m.ConnState("http", nil, http.StateNew)
	m.Refused("http", "proxy-header-missing")
	return m
}

func TestMetricsLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "fairlead_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// S19: labels come from the table only. 5,000 routes with traffic stay within 20 series each
// beside the histogram's buckets, and what clients make up adds none.
func TestCardinality(t *testing.T) {
	p, m := newProxy(t, Options{})
	const routes = 5000
	rules := make([]*proxy.Rule, routes)
	for i := range rules {
		rules[i] = answering("ns", fmt.Sprint("ingress-", i), fmt.Sprintf("h%d.example", i), 200)
	}
	serve(p, rules...)
	get(p, "unknown.example", "/")
	idle := count(t, m)
	for i := range rules {
		get(p, fmt.Sprintf("h%d.example", i), "/")
	}
	busy := count(t, m)
	if perRoute := float64(busy-idle) / routes; perRoute > 20 || perRoute < 1 {
		t.Errorf("%.1f series a route, want at most 20", perRoute)
	}
	for i := range 2000 {
		r := httptest.NewRequest(fmt.Sprint("M", i), fmt.Sprint("/", i, "?", i), nil)
		r.Host = fmt.Sprintf("random-%d.example", i)
		r.Header.Set("User-Agent", fmt.Sprint(i))
		p.ServeHTTP(httptest.NewRecorder(), r)
		r.Host = fmt.Sprintf("h%d.example", i)
		p.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := count(t, m); got != busy {
		t.Errorf("clients made %d series", got-busy)
	}
	serve(p) // the rest is quicker to look through
	check(t, m, map[string]float64{
		`fairlead_requests_total{code="4xx",ingress="",namespace="",service=""}`: 2001,
		`fairlead_request_failures_total{reason="no-host-rule"}`:                 2001,
	})
}

func TestStatusClasses(t *testing.T) {
	for status, want := range map[int]string{
		0: "5xx", 99: "5xx", 101: "1xx", 200: "2xx", 299: "2xx", 304: "3xx", 404: "4xx", 499: "4xx", 500: "5xx", 599: "5xx", 600: "5xx", 999: "5xx",
	} {
		if got := classLabels[classOf(status)]; got != want {
			t.Errorf("%d: got %s, want %s", status, got, want)
		}
	}
}

func TestReasonsAreBounded(t *testing.T) {
	_, m := newProxy(t, Options{})
	record := m.Route(nil)
	for i := range 10 * maxReasons {
		record(&proxy.Exchange{Status: 503, Reason: fmt.Sprint("reason-", i)})
	}
	n := 0
	for name := range series(t, m) {
		if strings.HasPrefix(name, "fairlead_request_failures_total") {
			n++
		}
	}
	if n != maxReasons+1 {
		t.Errorf("%d reasons, want %d", n, maxReasons+1)
	}
	check(t, m, map[string]float64{`fairlead_request_failures_total{reason="other"}`: 9 * maxReasons})
}

// Every host has one series, that of the certificate which ends first, and there are not too many.
func TestCertificateExpiry(t *testing.T) {
	var certificates iter.Seq2[string, time.Time] = func(yield func(string, time.Time) bool) {
		for i := range 2 * maxCertificates {
			if !yield(fmt.Sprintf("h%04d.example", i), time.Unix(int64(1000+i), 0)) || !yield("many.example", time.Unix(int64(5000-i), 0)) {
				return
			}
		}
	}
	m := NewMetrics(Options{Certificates: certificates})
	check(t, m, map[string]float64{
		`fairlead_certificate_expiry_timestamp_seconds{host="h0000.example"}`: 1000,
		`fairlead_certificate_expiry_timestamp_seconds{host="h0999.example"}`: 1999,
		`fairlead_certificate_expiry_timestamp_seconds{host="h1000.example"}`: -1,
		`fairlead_certificate_expiry_timestamp_seconds{host="many.example"}`:  -1,
	})
	certificates = maps.All(map[string]time.Time{"a.example": time.Unix(7, 0)})
	m = NewMetrics(Options{Certificates: func(yield func(string, time.Time) bool) {
		certificates(yield)
		yield("a.example", time.Unix(5, 0))
	}})
	check(t, m, map[string]float64{`fairlead_certificate_expiry_timestamp_seconds{host="a.example"}`: 5})
}

// What others know is read at each scrape.
func TestState(t *testing.T) {
	leader, synced := false, time.Time{}
	problems := [][2]string{{"ServiceNotFound", "error"}, {"HostConflict", "warning"}, {"ServiceNotFound", "error"}}
	p, m := newProxy(t, Options{
		Leader: func() bool { return leader },
		Synced: func() time.Time { return synced },
		Read:   func() uint64 { return 7 }, Compiled: func() uint64 { return 8 },
		Problems: func(yield func(string, string) bool) {
			for _, p := range problems {
				if !yield(p[0], p[1]) {
					return
				}
			}
		},
	})
	check(t, m, map[string]float64{
		"fairlead_leader": 0, "fairlead_config_age_seconds": -1, "fairlead_table_generation": 0, "fairlead_table_routes": 0,
		"fairlead_config_ingresses_read_total": 7, "fairlead_config_hosts_compiled_total": 8,
		`fairlead_problems{reason="ServiceNotFound",severity="error"}`: 2,
		`fairlead_problems{reason="HostConflict",severity="warning"}`:  1,
		"fairlead_requests_in_flight":                                  -1,
	})
	leader, synced, problems = true, time.Now().Add(-time.Hour), problems[:1]
	serve(p, answering("ns", "web", "a.example", 200), answering("ns", "web", "b.example", 200))
	m.Propagated(time.Second)
	m.UpdateFailed()
	check(t, m, map[string]float64{
		"fairlead_leader": 1, "fairlead_table_generation": 1, "fairlead_table_routes": 2,
		`fairlead_problems{reason="ServiceNotFound",severity="error"}`: 1,
		`fairlead_problems{reason="HostConflict",severity="warning"}`:  -1,
		"fairlead_config_propagation_seconds":                          1,
		"fairlead_config_update_failures_total":                        1,
	})
	if age := series(t, m)["fairlead_config_age_seconds"]; age < 3600 || age > 7200 {
		t.Errorf("config age: got %v, want an hour", age)
	}
}

// Recording costs a request no allocation once its route has series.
func TestRecordAllocations(t *testing.T) {
	m := NewMetrics(Options{})
	record, x := m.Route(shopRule), plainExchange()
	if n := testing.AllocsPerRun(1000, func() { record(x) }); n != 0 {
		t.Errorf("%v allocations an exchange, want 0", n)
	}
	x.Reason, x.Err, x.Status = "", nil, 200
	d := time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() {
		d += 37 * time.Microsecond
		x.Duration = d % time.Second
		record(x)
	}); n != 0 {
		t.Errorf("%v allocations an exchange, want 0", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	m := NewMetrics(Options{})
	b.Run("serial", func(b *testing.B) {
		record, x := m.Route(shopRule), plainExchange()
		x.Reason, x.Err, x.Status = "", nil, 200
		b.ReportAllocs()
		for b.Loop() {
			record(x)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		record := m.Route(shopRule)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			x := plainExchange()
			x.Reason, x.Err, x.Status = "", nil, 200
			for pb.Next() {
				record(x)
			}
		})
	})
}

// BenchmarkGather is a scrape of 5,000 routes that all have traffic.
func BenchmarkGather(b *testing.B) {
	p, m := newProxy(b, Options{})
	var rules []*proxy.Rule
	for i := range 5000 {
		rules = append(rules, answering("ns", fmt.Sprint("ingress-", i), fmt.Sprintf("h%d.example", i), 200))
	}
	serve(p, rules...)
	for i := range rules {
		get(p, fmt.Sprintf("h%d.example", i), "/")
	}
	h := m.Handler()
	b.ReportAllocs()
	var size int
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		size = w.Body.Len()
	}
	b.ReportMetric(float64(size), "bytes")
}
