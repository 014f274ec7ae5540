package dashboard

import (
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/observe"
)

func TestRates(t *testing.T) {
	now := time.Unix(0, 0)
	var counts []observe.Count
	r := NewRates(func() []observe.Count { return counts }, func() time.Time { return now })
	web := label{"shop", "web", "web"}
	set := func(requests, clients, servers uint64) {
		counts = []observe.Count{{Namespace: "shop", Ingress: "web", Service: "web", Requests: requests, ClientErrors: clients, ServerErrors: servers}}
	}
	pass := func(d time.Duration) { now = now.Add(d); r.take() }
	check := func(what string, want Rate) {
		t.Helper()
		rates, sum, _ := r.current()
		if rates[web] != want || sum != want {
			t.Errorf("%s: %v, all together %v, want %v", what, rates[web], sum, want)
		}
	}

	check("before anything", Rate{})
	set(100, 20, 10)
	now = now.Add(10 * time.Second)
	check("without a reading", Rate{10, 2, 1})
	for range 8 { // no more requests for two windows
		pass(every)
	}
	check("an idle time", Rate{})
	set(160, 20, 10)
	now = now.Add(0)
	rates, _, _ := r.current()
	if got := rates[web].Requests; got < 60/(2*window).Seconds() || got > 60/(window-every).Seconds() {
		t.Errorf("60 requests in between one and two windows are %v per second", got)
	}
	// The counters begin anew, as when a rule was gone for a while.
	pass(window)
	pass(window)
	set(30, 0, 0)
	now = now.Add(window)
	check("counters that began anew", Rate{30 / (2 * window).Seconds(), 0, 0})
	for range points + 10 {
		pass(every)
	}
	if _, _, courses := r.current(); len(courses) != points {
		t.Errorf("%d points, want %d", len(courses), points)
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		r          Rate
		rate, fail string
	}{
		{Rate{}, "0", ""},
		{Rate{Requests: 0.001}, "<0.01", "0 %"},
		{Rate{Requests: 3, ServerErrors: 3}, "3.00", "100 %"},
		{Rate{Requests: 12345.6, ServerErrors: 1}, "12,346", "<0.1 %"},
		{Rate{Requests: 99, ServerErrors: 1}, "99.0", "1.0 %"},
	} {
		if got, fail := tt.r.perSecond(), tt.r.servers(); got != tt.rate || fail != tt.fail {
			t.Errorf("%v: %q and %q, want %q and %q", tt.r, got, fail, tt.rate, tt.fail)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0 s", 59 * time.Second: "59 s", time.Hour: "1 h 0 min", 90 * time.Minute: "1 h 30 min", 100 * time.Hour: "4 days"} {
		if got := age(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
