package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestAttack(t *testing.T) {
	var seen atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/item" || r.Host == "" {
			t.Errorf("want a request of the row, got %s %s", r.Host, r.URL)
		}
		seen.Add(1)
	}))
	defer s.Close()
	var out bytes.Buffer
	err := attackCommand([]string{"-address", s.Listener.Addr().String(), "-rate", "200", "-seconds", "1", "-connections", "4"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	var a Attack
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	// A machine that stops for a while is made up for: a bound of the rate must be far away.
	if n := seen.Load(); a.Requests < 100 || int64(a.Requests) > n || n != 300 || a.Asked != 200 || a.Sent <= 0 || a.Sent > 1000 || a.Failed != 0 {
		t.Errorf("want some 200 requests at 200 a second, of the 300 of a second and a half, which were %d, got %+v", n, a)
	}
	if a.P50 <= 0 || a.P50 > a.P99 || a.P99 > a.P999 || a.P999 > a.Max {
		t.Errorf("want percentiles that grow, got %+v", a)
	}
}

// TestAttackIsOpen lets a server stall once: requests that fell due meanwhile count as slow.
func TestAttackIsOpen(t *testing.T) {
	const stall = 300 * time.Millisecond
	var n atomic.Int64
	mu := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu <- struct{}{}
		if n.Add(1) == 80 { // after the lead
			<-time.After(stall)
		}
		<-mu
	}))
	defer s.Close()
	a, err := attack(asker{s.Listener.Addr().String(), "http"}, 100, time.Second, 50)
	if err != nil {
		t.Fatal(err)
	}
	// 30 of 100 requests fell due during the stall: a loop that waits would have seen one.
	if a.Max < 250_000 {
		t.Errorf("want a latency of 300 ms, got %.0f us", a.Max)
	}
	if a.P99 < 200_000 {
		t.Errorf("want the requests during the stall to be slow, got %+v", a)
	}
}

func TestAttackFailures(t *testing.T) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer s.Close()
	a, err := attack(asker{s.Listener.Addr().String(), "http"}, 100, time.Second, 4)
	if err != nil || a.Failed < 0.4 || a.Failed > 0.6 || a.Error != "502 Bad Gateway" {
		t.Errorf("want half of it to fail, got %+v, %v", a, err)
	}
	mute := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer mute.Close()
	if a, err := attack(asker{mute.Listener.Addr().String(), "http"}, 10, time.Second, 1); err == nil {
		t.Errorf("want an error without any response, got %+v", a)
	}
}

func TestPercentile(t *testing.T) {
	var v []time.Duration
	for i := range 1000 {
		v = append(v, time.Duration(i+1)*time.Microsecond)
	}
	for part, want := range map[float64]float64{0.5: 500, 0.99: 990, 0.999: 999, 1: 1000, 0: 1} {
		if got := percentile(v, part); got != want {
			t.Errorf("%v: want %v, got %v", part, want, got)
		}
	}
	if got := percentile(v[:1], 0.999); got != 1 {
		t.Errorf("want the only value, got %v", got)
	}
}

func TestOpenRates(t *testing.T) {
	for _, c := range []struct {
		saturation, ceiling float64
		want                []OpenRate
	}{
		{10_000, 20_000, []OpenRate{{Share: 0.5, Rate: 5000}, {Share: 0.8, Rate: 8000}}},
		{10_000, 10_000, []OpenRate{{Share: 0.5, Rate: 5000}, {Share: 0.8, Rate: 6000, Capped: true}}},
		{40_000, 20_000, []OpenRate{{Share: 0.5, Rate: 12_000, Capped: true}}},
		{0.5, 100, []OpenRate{{Share: 0.5, Rate: 1}}},
	} {
		got := openRates(c.saturation, c.ceiling)
		if len(got) != len(c.want) {
			t.Errorf("%v of %v: want %d rates, got %d", c.saturation, c.ceiling, len(c.want), len(got))
			continue
		}
		for i, r := range got {
			if r.Share != c.want[i].Share || r.Rate != c.want[i].Rate || r.Capped != c.want[i].Capped {
				t.Errorf("%v of %v: want %+v, got %+v", c.saturation, c.ceiling, c.want[i], *r)
			}
		}
	}
}

func TestDoubt(t *testing.T) {
	at := func(sent, direct float64) *OpenRate {
		return &OpenRate{Rate: 1000, Attacks: []Attack{{Sent: sent}}, Direct: []Attack{{Sent: direct}}}
	}
	if d := at(990, 990).doubt(); d != "" {
		t.Errorf("want no doubt, got %s", d)
	}
	if at(900, 990).doubt() == "" || at(990, 900).doubt() == "" || at(900, 990).doubt() == at(900, 900).doubt() {
		t.Error("want to be told who did not keep up")
	}
}
