package proxy

import (
	"sync/atomic"
	"time"
)

// crowd holds new connections back while clients have as many as they may have, on all ports
// together. Those that wait are in the kernel's queue.
type crowd struct {
	most int        // 0: as many as come
	open func() int // how many clients have, tunnels and HTTP/2 included
	// shed closes some connections that wait for a request.
	shed func()
	// waited is told how long a port has accepted none; nil for nobody.
	waited func(port string, d time.Duration)
	// warn is told once a minute that a port accepts none.
	warn func(port string)
	told atomic.Int64 // when it was, in seconds since 1970
}

// How often it is looked whether there is room, and how often more is made.
const (
	crowdPoll = 5 * time.Millisecond
	crowdShed = 10 // polls
)

// wait returns when there is room for one more connection, or over says that none is wanted any
// more. As each port asks for itself there may be one connection too many for each but the first.
func (c *crowd) wait(port string, over func() bool) {
	if c.most == 0 || c.open() < c.most {
		return
	}
	if last, now := c.told.Load(), time.Now().Unix(); now-last >= 60 && c.told.CompareAndSwap(last, now) {
		c.warn(port)
	}
	since := time.Now()
	poll := time.NewTicker(crowdPoll)
	defer poll.Stop()
	for n := 0; !over() && c.open() >= c.most; n++ {
		if n%crowdShed == 0 {
			c.shed()
		}
		<-poll.C
		if now := time.Now(); c.waited != nil {
			c.waited(port, now.Sub(since))
			since = now
		}
	}
}
