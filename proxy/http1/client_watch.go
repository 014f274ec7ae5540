package http1

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	clockTick = 50 * time.Millisecond
	// patience is how long an exchange waits before it is asked whether anybody still wants
	// it: most are done by then.
	patience = 40 * time.Millisecond
	// continueTimeout is how long the body of a request that expects a 100 response is
	// held back.
	continueTimeout = time.Second

	defaultWait = 60 * time.Second // for a head, a byte of a body, or the other side's taking one
)

// phase is what an exchange waits for.
type phase uint8

const (
	phaseHeld     phase = iota // nothing: its goroutine is at work, or with its caller
	phaseIdle                  // there is no exchange
	phaseSend                  // to write the head, and an inline body
	phaseContinue              // for a 100 response
	phaseUpload                // for a response, while the body is being sent
	phaseHead                  // for a response
	phaseBody                  // for the next byte of its body
	phaseSplice                // for the next byte of its body, or for whoever takes it
)

// watchWord packs a phase, and the time of a coarseClock at which it began, into one word,
// so that an exchange says where it is with one store.
func watchWord(p phase, since time.Duration) int64 { return int64(since)<<3 | int64(p) }

func splitWatch(w int64) (phase, time.Duration) { return phase(w & 7), time.Duration(w >> 3) }

func watchPhase(w int64) phase { return phase(w & 7) }

// coarseClock tells the time, to a tick, and looks after connections while there are any.
type coarseClock struct {
	time atomic.Int64

	mu      sync.Mutex
	conns   []*clientConn // each knows its index
	running bool
	start   time.Time
}

// now returns the time since some moment. It stands still while there are no connections.
func (k *coarseClock) now() time.Duration { return time.Duration(k.time.Load()) }

func (k *coarseClock) add(c *clientConn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c.index = len(k.conns)
	k.conns = append(k.conns, c)
	if k.running {
		return
	}
	if k.start.IsZero() {
		k.start = time.Now()
	}
	k.time.Store(int64(time.Since(k.start)))
	k.running = true
	go k.run()
}

func (k *coarseClock) remove(c *clientConn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := len(k.conns) - 1
	moved := k.conns[last]
	k.conns[c.index], moved.index = moved, c.index
	k.conns[last] = nil
	k.conns = k.conns[:last]
}

// run ends when there are no connections.
func (k *coarseClock) run() {
	ticker := time.NewTicker(clockTick)
	defer ticker.Stop()
	var conns []*clientConn
	for range ticker.C {
		k.mu.Lock()
		if len(k.conns) == 0 {
			k.running = false
			k.mu.Unlock()
			return
		}
		conns = append(conns[:0], k.conns...)
		k.mu.Unlock()
		now := time.Since(k.start)
		k.time.Store(int64(now))
		for _, c := range conns {
			c.check(now)
		}
		clear(conns) // or it would keep those that are closed
	}
}

// check is called by the clock. It ends a wait that is too long, or for nothing.
func (c *clientConn) check(now time.Duration) {
	w := c.watch.Load()
	p, since := splitWatch(w)
	waited := now - since
	if w == 0 || waited < patience {
		return
	}
	if p == phaseIdle {
		if waited > orDefault(c.client.Set.IdleTimeout, defaultIdleTimeout) {
			c.client.evict(c)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The exchange cannot end while mu is held. It may go on to another phase; that
	// it did so within this moment, after all the time, does not save it.
	if c.call == nil || c.cause != nil || c.watch.Load() != w {
		return
	}
	if cause := c.overdue(p, waited-clockTick, now); cause != nil {
		c.interrupt(cause)
	}
}

// overdue returns why the exchange should not wait longer, nil if it may. c.mu is held.
func (c *clientConn) overdue(p phase, waited, now time.Duration) error {
	if f := c.call.Abandoned; f != nil && f() {
		return context.Canceled
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	set := c.client.Set
	switch p {
	case phaseContinue:
		if waited > continueTimeout {
			return errContinueTimeout
		}
	case phaseSend:
		if waited > orDefault(c.call.SendTimeout, orDefault(set.SendTimeout, defaultWait)) {
			return ErrSendTimeout
		}
	case phaseHead:
		if waited > orDefault(c.call.HeadTimeout, orDefault(set.HeadTimeout, defaultWait)) {
			return ErrHeadTimeout
		}
	case phaseBody:
		if waited > orDefault(c.call.ReadTimeout, orDefault(set.ReadTimeout, defaultWait)) {
			return ErrSilent
		}
	case phaseSplice:
		if waited <= orDefault(c.call.ReadTimeout, orDefault(set.ReadTimeout, defaultWait)) {
			break
		}
		if !c.progress.moved(c.raw) {
			return ErrSilent
		}
		c.watch.CompareAndSwap(watchWord(p, now-waited-clockTick), watchWord(p, now))
	}
	if s := c.sender; s != nil {
		since := s.since.Load()
		if since == 0 || now-time.Duration(since) <= orDefault(c.call.SendTimeout, orDefault(set.SendTimeout, defaultWait))+clockTick {
			return nil
		}
		if !s.spliced.Load() || !s.taken.moved(c.raw) {
			return ErrSendTimeout
		}
		s.since.CompareAndSwap(since, int64(now))
	}
	return nil
}

// interrupt wakes the goroutine of the exchange, which finds cause. c.mu is held.
func (c *clientConn) interrupt(cause error) {
	c.cause = cause
	if cause == errContinueTimeout {
		_ = c.nc.SetReadDeadline(longAgo)
	} else {
		_ = c.nc.SetDeadline(longAgo)
	}
}

var longAgo = time.Unix(1, 0)
