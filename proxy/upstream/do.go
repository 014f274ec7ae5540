package upstream

import (
	"net/http"
	"time"
)

// Do sends req to an endpoint and returns its response. a, if not nil, tells afterwards what was
// done for it; what it held before is lost.
//
// Of req.URL only the path and the query are sent; scheme and host are the endpoint's. req.Host
// is sent as it is. Header is sent as it is, and nothing is added but the framing. Neither is
// changed. The body is closed, in any case, like an http.RoundTripper does.
//
// The caller closes the response's body, even if it is empty. Until then the response, its
// Header and a are valid, and req must be; after that all of them may be used again, and of the
// response only strings and the Trailer may be kept. The attempt is in flight until then, or
// until the body was read to its end. An error of reading it is one of Do's. The body
// is an io.WriterTo, or, of a 101 response, an io.ReadWriteCloser with a CloseWrite method, and
// then in flight until it is closed.
//
// A request is sent at most three times. It is sent again, to a different endpoint, when
//   - no connection could be made: any method;
//   - the connection ended before a byte of a response came: the idempotent methods, and any other
//     if it is certain that nothing was written. After a new connection ended so, there is
//     one such retry; if it was a reused one, which the endpoint may have closed as idle just then,
//     the retry may go to the same endpoint over a new connection, if there is no other;
//
// and nothing was read from its body, and the Pool's budget of retries allows it. A response is
// never a reason to retry, whatever its status, and neither is a timeout while waiting for it.
//
// Reason makes a code and a status of the error. It is a *NoEndpointError, an *Error, a
// *RequestBodyError, or wraps the error of the request's context.
func (p *Pool) Do(req *http.Request, h Hooks, a *Attempts) (*http.Response, error) {
	if a == nil {
		a = new(Attempts)
	}
	h.headTimeout = h.ReadTimeout
	setDefault(&h.headTimeout, p.registry.options.ResponseHeaderTimeout)
	setDefault(&h.ReadTimeout, p.registry.options.ReadTimeout)
	*a = Attempts{hooks: h}
	p.active.Add(1)
	resp, err := p.do(req, a)
	if err != nil {
		p.end()
	}
	return resp, err
}

func (p *Pool) do(req *http.Request, a *Attempts) (*http.Response, error) {
	now := p.registry.options.now()
	p.budget.request(now.Sub(p.registry.start))
	e, err := p.first(now, a.hooks.Pick)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resent, fresh := false, false
	for {
		at := a.begin(e, now)
		e.begin()
		resp, failure := e.send(req, a, fresh)
		if failure == nil {
			at.Header = p.registry.since(at.Start)
			at.Status = resp.StatusCode
			p.answered(e)
			a.body.pool, a.body.attempt = p, at
			a.body.track(resp)
			return resp, nil
		}
		at.Err = failure.err
		if failure.blamed {
			p.failed(e)
		}
		p.ended(at)
		next := p.another(req, failure, a, resent)
		if next == nil {
			if failure.whole {
				closeBody(req)
			}
			return nil, failure.err
		}
		resent = resent || failure.at == waiting && !failure.reused
		// Where an idle connection was stale, those of other endpoints may be, too.
		fresh = failure.at == waiting
		e, now = next, p.registry.options.now()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// first picks the endpoint of a request.
func (p *Pool) first(now time.Time, how Pick) (*Endpoint, error) {
	s := p.current(now.Sub(p.registry.start))
	if len(s.all) == 0 {
		return nil, &NoEndpointError{p.key, s.reason}
	}
	return p.picker.pick(s.live, how), nil
}

// another returns where the request is sent next, nil if nowhere.
func (p *Pool) another(req *http.Request, failure *result, a *Attempts, resent bool) *Endpoint {
	switch {
	case a.Len() == maxTries, failure.at == answering, !failure.whole, req.Context().Err() != nil:
		return nil
	case failure.at == waiting && !failure.unsent && (!idempotent(req.Method) || resent):
		return nil
	}
	now := p.registry.clock()
	s, tried := p.current(now), a.All()
	next := pickOther(s.live, tried, a.hooks.Pick)
	if next == nil {
		next = pickOther(s.all, tried, a.hooks.Pick)
	}
	stale := false
	if next == nil && failure.at == waiting && failure.reused {
		next, stale = a.Last().Endpoint, true
	}
	if next == nil || !p.budget.retry(now) {
		return nil
	}
	if stale {
		next.wire().closeIdle() // the other idle connections are as old
	}
	return next
}

// ended is called when an attempt has ended.
func (p *Pool) ended(at *Attempt) {
	at.Duration = p.registry.since(at.Start)
	at.Endpoint.end()
	if f := p.registry.options.OnAttempt; f != nil {
		f(*at)
	}
}
