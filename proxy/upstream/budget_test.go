package upstream

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// allowed returns how many retries b allows at once.
func allowed(b *budget, now time.Duration) int {
	n := 0
	for b.retry(now) {
		n++
	}
	return n
}

func TestBudget(t *testing.T) {
	tests := []struct {
		name     string
		ratio    float64
		requests int
		want     int
	}{
		{"floor of a quiet pool", 0.2, 1, budgetFloor},
		{"floor until it is the larger", 0.2, 50, budgetFloor},
		{"fifth of the requests", 0.2, 1000, 200},
		{"all", 1, 1000, 1000},
		{"none", -1, 1000, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := &budget{ratio: test.ratio}
			for i := range test.requests {
				b.request(time.Duration(i%9) * time.Second) // spread over the window
			}
			if got := allowed(b, 9*time.Second); got != test.want {
				t.Errorf("want %d retries for %d requests, got %d", test.want, test.requests, got)
			}
		})
	}
}

func TestBudgetForgets(t *testing.T) {
	b := &budget{ratio: 0.2}
	for range 1000 {
		b.request(0)
	}
	// A retry counts as long as a request.
	if got := allowed(b, 0); got != 200 {
		t.Fatalf("want 200 retries, got %d", got)
	}
	if got := allowed(b, 9*time.Second); got != 0 {
		t.Errorf("want no retries in the same window, got %d", got)
	}
	if got := allowed(b, 10*time.Second); got != budgetFloor {
		t.Errorf("want the floor once the window has passed, got %d", got)
	}
	// The ring comes round: an old second is not taken for a new one.
	for s := range 40 {
		b.request(time.Duration(20+s) * time.Second)
	}
	if got := allowed(b, 60*time.Second); got != budgetFloor {
		t.Errorf("want the floor after a quiet minute, got %d", got)
	}
}

// Not one retry too many is allowed when many ask at once, and no request is lost.
func TestBudgetConcurrent(t *testing.T) {
	b := &budget{ratio: 0.2}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				b.request(3 * time.Second)
			}
		})
	}
	all.Wait()
	var got atomic.Int64
	for range 8 {
		all.Go(func() { got.Add(int64(allowed(b, 3*time.Second))) })
	}
	all.Wait()
	if got.Load() != 1600 {
		t.Errorf("want 1600 retries for 8000 requests, got %d", got.Load())
	}
}

func BenchmarkBudgetRequest(b *testing.B) {
	budget := &budget{ratio: 0.2}
	b.ReportAllocs()
	for b.Loop() {
		budget.request(time.Second)
	}
}
