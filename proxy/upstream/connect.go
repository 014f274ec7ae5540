package upstream

import (
	"context"
	"net"
)

// Connect returns a connection to an endpoint for bytes that are not ours to understand, TLS
// among them, whatever protocol the endpoint speaks. Where none comes about the next endpoint is
// tried, three at most and as the Pool's budget of retries allows. a tells afterwards what was
// done; what it held before is lost.
//
// The connection is in flight until end is called, once, by whoever closes it; received is what
// came of it, and err what ended it, nil for its ends. Then a is complete.
func (p *Pool) Connect(ctx context.Context, pick Pick, a *Attempts) (c *net.TCPConn, end func(received int64, err error), err error) {
	*a = Attempts{hooks: Hooks{Pick: pick}}
	p.active.Add(1)
	defer func() {
		if err != nil {
			p.end()
		}
	}()
	now := p.registry.options.now()
	p.budget.request(now.Sub(p.registry.start))
	e, err := p.first(now, pick)
	if err != nil {
		return nil, nil, err
	}
	for {
		at := a.begin(e, now)
		e.begin()
		c, err := p.registry.dialer.dial(ctx, e)
		if err == nil {
			at.Connect = p.registry.since(at.Start)
			p.answered(e)
			e.conns.Add(1)
			return c, func(received int64, err error) {
				e.conns.Add(-1)
				at.Received, at.Err = received, err
				p.ended(at)
				p.end()
			}, nil
		}
		var failure result
		failure.connectFailure(e, err)
		if failure.err == nil {
			failure.err = err
		}
		if failure.blamed && ctx.Err() == nil {
			p.failed(e)
		}
		at.Err = failure.err
		next, _ := p.elsewhere(p.registry.clock(), &failure, a)
		if a.Len() >= usualTries || ctx.Err() != nil || next == nil || !p.budget.retry(p.registry.clock()) {
			next = nil
		}
		p.ended(at)
		if next == nil {
			return nil, nil, failure.err
		}
		e, now = next, p.registry.options.now()
	}
}
