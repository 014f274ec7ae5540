package http1

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// tick is how often a wheel looks at its connections.
const tick = 50 * time.Millisecond

// wait is what a connection is waiting for.
type wait uint8

const (
	waitNothing   wait = iota
	waitNew            // for the first byte of the first request, handshake included
	waitFresh          // for the first byte of the next request, since a moment
	waitIdle           // the same, since longer
	waitHead           // for the rest of a head
	waitHandler        // for the handler
	waitBody           // for the next byte of a body
	waitUpload         // for the next byte of a body that the kernel moves, since a moment
	waitUploading      // the same, since longer
	waitSkip           // for what is left of a body nobody read
	waitWrite          // for the client to take what is written
	waitLinger         // for the client to see the answer before the connection is closed
)

// alarm is the time at which a wait has taken too long: milliseconds on the wheel's clock, a bit
// that says that it rang, and the wait. 0 is off. The connection's goroutine sets it, and
// learns from what was there before whether it rang.
type alarm struct{ word atomic.Uint64 }

const rangBit = 1 << 7

// set replaces the alarm. rang says that the one before has rung: what it was for was, or is
// just being, cut short by the wheel.
func (a *alarm) set(w wait, due int64) (rang bool) {
	return a.word.Swap(uint64(due)<<8|uint64(w))&rangBit != 0
}

// stop turns the alarm off.
func (a *alarm) stop() (rang bool) { return a.word.Swap(0)&rangBit != 0 }

// slot is a connection's place in a wheel. It fills a cache line.
type slot struct {
	in, out alarm   // of the two directions
	conn    watched // nil: the slot is free
	id      uint32  // index in the wheel
	uses    uint32  // how many connections had it
	_       [64 - 40]byte
}

// watched is what a wheel looks after. Its methods are called on the wheel's goroutine with
// its lock held. They must not wait, nor call the wheel.
type watched interface {
	// overdue is called when an alarm is due. It returns when to look again, and what the wait is
	// called by then; 0 if it is to end.
	overdue(w wait) (next wait, again time.Duration)
	// cut ends the wait, after its alarm was marked as rung.
	cut(w wait)
	// hungUp is called once when the client has closed its side, if that was asked for with
	// wheel.watch.
	hungUp()
	// sever ends the connection, which its goroutine finds out.
	sever()
}

// wheel looks after connections in place of timers: one goroutine, which runs while there are
// connections, compares their alarms with the time at every tick. It also keeps the time for
// them, and finds out which clients are gone. The zero value is ready.
type wheel struct {
	now  atomic.Int64           // milliseconds since epoch at the last tick
	date atomic.Pointer[string] // the Date field line of this second

	mu      sync.Mutex
	epoch   time.Time
	blocks  []*[64]slot // only grows; the slots themselves are read without lock
	free    []*slot
	count   int // slots in use
	running bool
	empty   chan struct{} // closed when count gets 0; nil when nobody waits
	hangups hangups       // of the goroutine that runs
}

// due is the time d from now for an alarm; it does not ring before.
func (w *wheel) due(d time.Duration) int64 {
	return w.now.Load() + (d + tick).Milliseconds()
}

// soon is the next tick.
func (w *wheel) soon() int64 { return w.now.Load() + 1 }

// add gives c a slot.
func (w *wheel) add(c watched) *slot {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.free) == 0 {
		block := new([64]slot)
		for i := range block {
			s := &block[len(block)-1-i]
			s.id = uint32(len(w.blocks)*len(block) + len(block) - 1 - i)
			w.free = append(w.free, s)
		}
		w.blocks = append(w.blocks, block)
	}
	s := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	s.conn = c
	s.uses++
	w.count++
	if !w.running {
		w.running = true
		if w.epoch.IsZero() {
			w.epoch = time.Now()
		}
		w.tell(time.Now())
		go w.run()
	}
	return s
}

// remove frees s. Once it has returned no method of its connection is called any more.
func (w *wheel) remove(s *slot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.in.stop()
	s.out.stop()
	s.conn = nil
	w.free = append(w.free, s)
	w.count--
	if w.count == 0 && w.empty != nil {
		close(w.empty)
		w.empty = nil
	}
}

// settle returns when no method of a connection is running whose alarm rang.
func (w *wheel) settle() {
	w.mu.Lock()
	w.mu.Unlock() //nolint:staticcheck // what ran had the lock
}

// tell sets the clock.
func (w *wheel) tell(t time.Time) {
	w.now.Store(t.Sub(w.epoch).Milliseconds())
	date := w.date.Load()
	var buf [64]byte
	b := append(t.UTC().AppendFormat(append(buf[:0], "Date: "...), http.TimeFormat), "\r\n"...)
	if date == nil || *date != string(b) {
		s := string(b)
		w.date.Store(&s)
	}
}

func (w *wheel) run() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for range ticker.C {
		w.mu.Lock()
		blocks := w.blocks
		if w.count == 0 {
			w.running = false
			w.hangups.close()
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		w.tell(time.Now())
		now := uint64(w.now.Load())
		for _, block := range blocks {
			for i := range block {
				s := &block[i]
				w.check(s, &s.in, now)
				w.check(s, &s.out, now)
			}
		}
		w.mu.Lock()
		w.hangups.poll(w.hungUp)
		w.mu.Unlock()
	}
}

func (w *wheel) check(s *slot, a *alarm, now uint64) {
	v := a.word.Load()
	if v == 0 || v&rangBit != 0 || v>>8 > now {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.conn == nil || a.word.Load() != v {
		return
	}
	reason := wait(v & (rangBit - 1))
	if next, again := s.conn.overdue(reason); again > 0 {
		due := min(now+uint64(again.Milliseconds()), never)
		a.word.CompareAndSwap(v, due<<8|uint64(next))
	} else if a.word.CompareAndSwap(v, v|rangBit) {
		s.conn.cut(reason)
	}
}

// never is a time that does not come, and forever as long.
const (
	never   = 1<<55 - 1
	forever = time.Duration(1<<63 - 1)
)

// watch asks for hungUp when the client of s closes its side. It is for methods of watched. It
// reports whether it can be done.
func (w *wheel) watch(s *slot, c socket) bool { return w.hangups.watch(c, s.id, s.uses) }

func (w *wheel) hungUp(id, uses uint32) {
	s := &w.blocks[id/64][id%64]
	if s.conn != nil && s.uses == uses {
		s.conn.hungUp()
	}
}

// cutAll cuts the waits for incoming bytes that want selects, as if they were overdue.
func (w *wheel) cutAll(want func(reason wait, due int64) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.each(func(s *slot) {
		v := s.in.word.Load()
		reason := wait(v & (rangBit - 1))
		if v&rangBit == 0 && want(reason, int64(v>>8)) && s.in.word.CompareAndSwap(v, v|rangBit) {
			s.conn.cut(reason)
		}
	})
}

// each calls f for every slot in use. The lock is held.
func (w *wheel) each(f func(*slot)) {
	for _, block := range w.blocks {
		for i := range block {
			if s := &block[i]; s.conn != nil {
				f(s)
			}
		}
	}
}

// len is the number of connections.
func (w *wheel) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// drained returns a channel that is closed when there is no connection; nil if there is none
// now.
func (w *wheel) drained() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		return nil
	}
	if w.empty == nil {
		w.empty = make(chan struct{})
	}
	return w.empty
}
