package observe

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
)

// Routes without traffic have no series.
func TestIdleRoutes(t *testing.T) {
	p, m := newProxy(t, Options{})
	before := len(series(t, m))
	serve(p, answering("ns", "idle", "a.example", 200))
	if got := len(series(t, m)); got != before {
		t.Errorf("%d series of a route without traffic", got-before)
	}
}

// The series of a route end with it, and begin anew when it comes back.
func TestSeriesOfVanishedRoutes(t *testing.T) {
	p, m := newProxy(t, Options{})
	stays, goes := answering("ns", "stays", "a.example", 200), answering("ns", "goes", "b.example", 200)
	const staysOK, goesOK = `fairlead_requests_total{code="2xx",ingress="stays",namespace="ns",service=""}`,
		`fairlead_requests_total{code="2xx",ingress="goes",namespace="ns",service=""}`
	serve(p, stays, goes)
	get(p, "a.example", "/")
	get(p, "b.example", "/")
	check(t, m, map[string]float64{staysOK: 1, goesOK: 1})

	serve(p, stays)
	check(t, m, map[string]float64{staysOK: 1, goesOK: -1})
	for name := range series(t, m) {
		if strings.Contains(name, `"goes"`) {
			t.Errorf("left behind: %s", name)
		}
	}
	serve(p, stays, goes)
	get(p, "b.example", "/")
	get(p, "a.example", "/")
	check(t, m, map[string]float64{staysOK: 2, goesOK: 1})
}

// A rule that lost against an older one keeps its recorder; when it is served again, it counts.
func TestSeriesOfALoser(t *testing.T) {
	p, m := newProxy(t, Options{})
	young, old := answering("ns", "young", "a.example", 200), answering("ns", "old", "a.example", 200)
	young.Origin.Created = time.Unix(1000, 0)
	const youngOK = `fairlead_requests_total{code="2xx",ingress="young",namespace="ns",service=""}`
	serve(p, young)
	get(p, "a.example", "/")
	check(t, m, map[string]float64{youngOK: 1})
	serve(p, young, old)
	get(p, "a.example", "/")
	check(t, m, map[string]float64{youngOK: -1})
	serve(p, young)
	get(p, "a.example", "/")
	check(t, m, map[string]float64{youngOK: 1})
}

// A request that outlives its route does not bring the series back for good.
func TestStraggler(t *testing.T) {
	p, m := newProxy(t, Options{})
	goes := answering("ns", "goes", "a.example", 200)
	record := m.Route(goes)
	serve(p)
	before := len(series(t, m))
	record(&proxy.Exchange{Rule: goes, Status: 200})
	if got := len(series(t, m)); got != before {
		t.Errorf("%d series of a route that is gone", got-before)
	}
}

// Churn does not grow memory while nobody scrapes.
func TestChurnWithoutScrapes(t *testing.T) {
	p, m := newProxy(t, Options{})
	for i := range 20 * minSweep {
		host := fmt.Sprintf("h%d.example", i)
		serve(p, answering("ns", fmt.Sprint("ingress-", i), host, 200))
		if code := get(p, host, "/"); code != 200 {
			t.Fatalf("%s: %d", host, code)
		}
	}
	m.mu.Lock()
	kept := len(m.routes)
	m.mu.Unlock()
	if kept > minSweep {
		t.Errorf("%d sets of series kept for one route", kept)
	}
}

// Swaps, requests and scrapes at the same time: nothing but the last table's route remains, and
// what a route that stays has counted is never lost.
func TestConcurrentSweep(t *testing.T) {
	p, m := newProxy(t, Options{})
	stays := answering("ns", "stays", "a.example", 200)
	serve(p, stays)
	stop := make(chan struct{})
	done := make(chan int)
	for range 2 {
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					done <- n
					return
				default:
					get(p, "a.example", "/")
					get(p, "b.example", "/")
					n++
				}
			}
		}()
	}
	for i := range 100 {
		serve(p, stays, answering("ns", fmt.Sprint("ingress-", i%3), "b.example", 200))
		if _, err := m.Gather(); err != nil {
			t.Error(err)
		}
		runtime.Gosched()
	}
	serve(p, stays)
	close(stop)
	n := <-done + <-done
	if n == 0 {
		t.Fatal("no request was made")
	}
	check(t, m, map[string]float64{
		`fairlead_requests_total{code="2xx",ingress="stays",namespace="ns",service=""}`:     float64(n),
		`fairlead_requests_total{code="2xx",ingress="ingress-0",namespace="ns",service=""}`: -1,
		`fairlead_requests_total{code="2xx",ingress="ingress-1",namespace="ns",service=""}`: -1,
		`fairlead_requests_total{code="2xx",ingress="ingress-2",namespace="ns",service=""}`: -1,
	})
}
