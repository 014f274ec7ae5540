package http1

import (
	"sync"
	"testing"
	"time"
)

// watchedFake records what a wheel does with it.
type watchedFake struct {
	mu      sync.Mutex
	again   time.Duration // what overdue returns
	overdus int
	cuts    []wait
	at      time.Time // of the first cut
	severed bool
}

func (f *watchedFake) overdue(w wait) (wait, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.overdus++
	return w, f.again
}

func (f *watchedFake) cut(w wait) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.cuts) == 0 {
		f.at = time.Now()
	}
	f.cuts = append(f.cuts, w)
}

func (f *watchedFake) hungUp() {}
func (f *watchedFake) sever()  { f.severed = true }

func (f *watchedFake) count() (overdue, cuts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.overdus, len(f.cuts)
}

func TestWheelRings(t *testing.T) {
	var w wheel
	f := new(watchedFake)
	s := w.add(f)
	began := time.Now()
	s.in.set(waitHead, w.due(100*time.Millisecond))
	until(t, func() bool { _, cuts := f.count(); return cuts == 1 })
	if early := 100*time.Millisecond - f.at.Sub(began); early > 0 {
		t.Errorf("it rang %v early", early)
	}
	if f.cuts[0] != waitHead {
		t.Errorf("got %v", f.cuts)
	}
	if !s.in.set(waitHead, w.due(time.Hour)) {
		t.Error("the connection does not learn that the alarm rang")
	}
	if s.in.stop() {
		t.Error("an alarm that has not rung says so")
	}
	w.remove(s)
}

func TestWheelStops(t *testing.T) {
	var w wheel
	silent, ringing := new(watchedFake), new(watchedFake)
	s, other := w.add(silent), w.add(ringing)
	s.in.set(waitHead, w.due(0))
	s.in.stop()
	s.out.set(waitWrite, w.due(time.Hour))
	other.out.set(waitWrite, w.due(200*time.Millisecond))
	until(t, func() bool { _, cuts := ringing.count(); return cuts == 1 })
	if overdue, cuts := silent.count(); overdue+cuts > 0 {
		t.Error("an alarm rang that was stopped")
	}
	w.remove(s)
	w.remove(other)
	until(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.running })
}

// A wait may be found to be none, and is looked at again later.
func TestWheelAgain(t *testing.T) {
	var w wheel
	f := &watchedFake{again: 60 * time.Millisecond}
	s := w.add(f)
	defer w.remove(s)
	s.out.set(waitWrite, w.due(0))
	until(t, func() bool { overdue, _ := f.count(); return overdue >= 3 })
	f.mu.Lock()
	f.again = 0
	f.mu.Unlock()
	until(t, func() bool { _, cuts := f.count(); return cuts == 1 })
}

// Slots are used again, and nothing of one connection rings for the next. Run with -race.
func TestWheelConcurrent(t *testing.T) {
	var w wheel
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				f := new(watchedFake)
				s := w.add(f)
				s.in.set(waitHead, w.soon())
				w.due(0)
				w.len()
				s.out.set(waitWrite, w.due(time.Hour))
				if s.in.stop() {
					w.settle()
				}
				w.remove(s)
				f.severed = true // no method is called any more: the race detector would see
			}
		})
	}
	until(t, func() bool { return w.drained() == nil || w.len() > 0 })
	wg.Wait()
	if n := w.len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	for _, block := range w.blocks {
		for i := range block {
			if s := &block[i]; s.conn != nil || s.in.word.Load() != 0 || s.out.word.Load() != 0 {
				t.Errorf("slot %d is not free", s.id)
			}
		}
	}
}

func TestWheelDate(t *testing.T) {
	var w wheel
	s := w.add(new(watchedFake))
	defer w.remove(s)
	w.tell(time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600)))
	if got, want := *w.date.Load(), "Date: Tue, 03 Feb 2026 03:05:06 GMT\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWheelAllocations(t *testing.T) {
	var w wheel
	s := w.add(new(watchedFake))
	defer w.remove(s)
	if n := testing.AllocsPerRun(100, func() {
		s.in.set(waitHead, w.due(time.Minute))
		s.in.stop()
		w.tell(w.epoch)
	}); n > 0 {
		t.Errorf("got %v allocations", n)
	}
}
