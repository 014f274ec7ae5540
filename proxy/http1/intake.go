package http1

import "time"

// intake watches how a client sends a body that the kernel moves on, so that no Read of ours notices
// when it does not. It belongs to the wheel, but for slow.
type intake struct {
	last   arrival
	at     int64 // when that was, on the wheel's clock
	silent int64 // milliseconds without a byte, while none was left to take
	pace   pace
	slow   bool // why the wait was cut; the connection's, once it has rung and is settled
}

// watchIntake is called a moment after the kernel has begun: most bodies have come by then.
func (c *conn) watchIntake() (again time.Duration) {
	c.intake = &intake{last: look(c.socket), at: c.server.wheel.now.Load()}
	if !c.watched {
		c.watched = c.server.wheel.watch(c.slot, c.socket)
	}
	return c.intakeStep()
}

func (c *conn) intakeStep() time.Duration {
	if c.gone {
		return tick // whether there is anything left to take shows soon
	}
	return max(tick, min(time.Second, c.server.bodyTimeout()/8))
}

// next looks again. It returns when to do so the next time, and 0 if the wait is to end, as the client
// sends nothing, or too little, or is gone while the backend does not take what it has sent.
func (i *intake) next(c *conn) (again time.Duration) {
	now, seen := c.server.wheel.now.Load(), look(c.socket)
	last, waited := i.last, now-i.at
	i.last, i.at = seen, now
	switch {
	case c.gone && seen == last:
		return 0
	case seen.queued > 0:
		i.silent = 0 // it is the backend that we wait for
		return c.intakeStep()
	case seen.received == last.received:
		i.silent += waited
	default:
		i.silent = 0
	}
	i.slow = c.tooSlow(&i.pace, int(seen.received-last.received), waited)
	if i.slow || i.silent >= c.server.bodyTimeout().Milliseconds() && !c.deadlines.Load() && !c.begun.Load() {
		return 0
	}
	return c.intakeStep()
}
