package http1

// pace measures the rate at which a body comes, over the time that we wait for the client.
type pace struct {
	waited int64 // milliseconds
	bytes  int64
}

// tooSlow adds n bytes, for which we waited so many milliseconds. It reports whether the client was
// too slow over the last BodyTimeout. Once the response has begun it is never: see there.
func (c *conn) tooSlow(p *pace, n int, waited int64) bool {
	p.waited += waited
	p.bytes += int64(n)
	if p.waited < c.server.bodyTimeout().Milliseconds() {
		return false
	}
	slow := p.bytes*1000 < c.server.minBodyRate()*p.waited
	*p = pace{}
	return slow && !c.deadlines.Load() && !c.begun.Load()
}
