package policy

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// burst asks until it is refused and returns how many requests were not; at most 1000.
func burst(h http.Handler) int {
	for n := range 1000 {
		w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", scheme: "https"}
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.reason == "rate-limit" {
			return n
		}
	}
	return 1000
}

// limited is the handler of an Ingress with a limit of 100 requests a minute, 1 in a burst.
func limited(t *testing.T, env *Env, profile Profile) http.Handler {
	t.Helper()
	s, findings := Parse(Input{Profile: profile, Annotations: map[string]string{Prefix + "limit-rpm": "100", Prefix + "limit-burst-multiplier": "1"}})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return Wrap(&s, Rule{Namespace: "shop", Ingress: "web"}, env, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// The rate is slow enough that no machine is so loaded that a burst would be refilled within it:
// a share of 20 in a minute is one request in three seconds. A few more than the exact number are
// allowed for one that is.
func TestLimitIsDividedByReplicas(t *testing.T) {
	for _, test := range []struct {
		profile        Profile
		replicas, want int
	}{
		{Spec, 0, 101},
		{Spec, -1, 101},
		{Spec, 1, 101},
		{Spec, 5, 21},
		{Spec, 1000, 1}, // a share is never so small that nothing is served
		{Nginx, 5, 101},
	} {
		env := new(Env)
		env.SetReplicas(test.replicas)
		if got := burst(limited(t, env, test.profile)); got < test.want || got > test.want+test.want/10 {
			t.Errorf("profile %v, %d replicas: %d requests, want %d", test.profile, test.replicas, got, test.want)
		}
	}
}

// What was counted stays counted when the number of replicas changes, in the same handler and in
// that of the next table.
func TestLimitKeepsCountsWhenReplicasChange(t *testing.T) {
	env := new(Env)
	h := limited(t, env, Spec)
	if got := burst(h); got < 101 || got > 110 {
		t.Fatalf("alone: %d requests, want 101", got)
	}
	env.SetReplicas(4)
	if got := burst(h); got > 2 {
		t.Errorf("%d more requests when there are others, want none: the burst was used up", got)
	}
	env.SetReplicas(1)
	if got := burst(limited(t, env, Spec)); got > 4 {
		t.Errorf("%d more requests when the others are gone, want none", got)
	}
}

// In the long run a replica serves its part of the rate to the fraction, so all together serve
// the whole, whatever the number.
func TestShareOfRate(t *testing.T) {
	const seconds = 600
	for _, replicas := range []int{1, 3, 7, 20} {
		var l limits
		served, start := 0, time.Now()
		for i := range seconds * 50 {
			if l.take(limitKey{ingress: "a"}, replicas, 10, time.Second, 5, start.Add(time.Duration(i)*20*time.Millisecond)) {
				served++
			}
		}
		all := served * replicas
		if want := 10 * seconds; all < want-replicas || all > want+50+replicas {
			t.Errorf("%d replicas serve %d requests in %d s, want %d to %d", replicas, all, seconds, want-replicas, want+50+replicas)
		}
	}
}

// A bucket that was filled when there was one replica is not forgotten too early because there
// are more.
func TestSweepKeepsWhatIsInUse(t *testing.T) {
	var l limits
	k, now := limitKey{ingress: "a"}, time.Now()
	for l.take(k, 1, 60, time.Minute, 1, now) {
	}
	now = now.Add(30 * time.Second)
	for l.take(k, 10, 60, time.Minute, 1, now) {
	}
	before := l.buckets[k].excess
	l.take(limitKey{ingress: "b"}, 10, 60, time.Minute, 1, now.Add(20*time.Second)) // looks for idle ones
	if b, ok := l.buckets[k]; !ok || b.excess != before || before == 0 {
		t.Errorf("the bucket is %+v, %t; want it to be kept with %v", b, ok, before)
	}
}

func TestLimitOfConnectionsIsDivided(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	env := new(Env)
	s, _ := Parse(Input{Annotations: map[string]string{Prefix + "limit-connections": "7"}})
	h := Wrap(&s, Rule{Namespace: "shop", Ingress: "web"}, env, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-release
	}))
	done := make(chan struct{}, 100)
	running := 0
	// ask starts a request and reports whether it was let in.
	ask := func() bool {
		w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", scheme: "https"}
		refused := make(chan struct{})
		go func() {
			h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.reason == "connection-limit" {
				close(refused)
				return
			}
			done <- struct{}{}
		}()
		select {
		case <-inside:
			running++
			return true
		case <-refused:
			return false
		}
	}
	for _, step := range []struct{ replicas, want int }{{3, 2}, {2, 3}, {3, 3}, {100, 3}, {1, 7}} {
		env.SetReplicas(step.replicas)
		for ask() {
		}
		if running != step.want {
			t.Errorf("%d replicas: %d requests at a time, want %d", step.replicas, running, step.want)
		}
	}
	close(release)
	for range running {
		<-done
	}
	env.SetReplicas(100)
	k := limitKey{"shop/web", 'c', netip.MustParseAddr("192.0.2.1")}
	if n := env.limits.inUse[k]; n != 0 {
		t.Errorf("%d requests are counted after all ended", n)
	}
	release, running = make(chan struct{}), 0
	for ask() {
	}
	if close(release); running != 1 {
		t.Errorf("100 replicas: %d requests at a time, want 1", running)
	}
	<-done
}
