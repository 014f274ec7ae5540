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
// A request is sent at most three times, unless Hooks.Retry says otherwise. It is sent again, to a
// different endpoint, when
//   - no connection could be made: any method;
//   - the connection ended before a byte of a response came: the idempotent methods, and any other
//     if it is certain that nothing was written. After a new connection ended so, there is
//     one such retry; if it was a reused one, which the endpoint may have closed as idle just then,
//     the retry may go to the same endpoint over a new connection, if there is no other;
//
// and nothing was read from its body or it has a GetBody, and the Pool's budget of retries allows
// it. Unless Hooks.Retry says so, a response is never a reason, whatever its status, and neither
// is a timeout while waiting for it. The loss of a reused connection is one whatever Retry says, once,
// and does not count as a try. GetBody is called while what it returned before may still be read.
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
	original, resent, fresh := req, false, false
	for {
		at := a.begin(e, now)
		e.begin()
		resp, failure := e.send(req, a, fresh)
		if failure == nil {
			at.Header = p.registry.since(at.Start)
			at.Status = resp.StatusCode
			p.answered(e)
			if failure = a.refused(req, resp.StatusCode); failure == nil {
				return p.responded(original, resp, a), nil
			}
		} else {
			at.Err = failure.err
			if failure.blamed {
				p.failed(e)
			}
		}
		next, again := p.another(req, failure, a, resent)
		switch {
		case next == nil && resp != nil:
			return p.responded(original, resp, a), nil
		case resp != nil:
			resp.Body.Close()
		}
		p.ended(at)
		if next == nil {
			if failure.whole {
				closeBody(req)
			}
			return nil, failure.err
		}
		resent = resent || failure.at == waiting && !failure.reused
		// Where an idle connection was stale, those of other endpoints may be, too.
		fresh = failure.at == waiting
		e, req, now = next, again, p.registry.options.now()
	}
}

// responded returns the response of the latest attempt, which now ends with its body.
func (p *Pool) responded(req *http.Request, resp *http.Response, a *Attempts) *http.Response {
	resp.Request = req
	a.body.pool, a.body.attempt = p, a.current()
	a.body.track(resp)
	return resp
}

// refused makes a result of a response's status if that is a reason to send req again.
func (a *Attempts) refused(req *http.Request, status int) *result {
	on := &a.hooks.Retry.On
	if *on&onStatuses == 0 || OnStatus(status)&*on == 0 {
		return nil
	}
	// Whether something of a body was read that cannot be had again is not known, but likely.
	return &result{at: answering, condition: OnStatus(status), whole: req.Body == nil || req.Body == http.NoBody}
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

// another returns where the request is sent next, and as what: req itself, or a copy with the body
// once more. Nil: nowhere.
func (p *Pool) another(req *http.Request, failure *result, a *Attempts, resent bool) (*Endpoint, *http.Request) {
	policy := &a.hooks.Retry
	now := p.registry.clock()
	stale := failure.at == waiting && failure.reused && a.stale == 0
	switch {
	case !failure.whole && req.GetBody == nil, req.Context().Err() != nil, !policy.allows(failure, req.Method, resent, stale):
		return nil, nil
	case stale:
		a.stale++
	case a.Len()-a.stale >= policy.tries(), policy.Timeout > 0 && p.registry.since(a.All()[0].Start) >= policy.Timeout:
		return nil, nil
	}
	next, same := p.elsewhere(now, failure, a)
	if next == nil || !p.budget.retry(now) {
		return nil, nil
	}
	if !failure.whole {
		body, err := req.GetBody()
		if err != nil {
			return nil, nil // it was told why
		}
		again := *req
		again.Body, req = body, &again
	}
	if same {
		next.wire().closeIdle() // the other idle connections are as old
	}
	return next, req
}

// elsewhere picks the endpoint of a further try. same says that it is that of the last one, of which
// only the connection was to blame. Nil: there is none.
func (p *Pool) elsewhere(now time.Duration, failure *result, a *Attempts) (next *Endpoint, same bool) {
	s, tried, how := p.current(now), a.All(), a.hooks.Pick
	if next = pickOther(s.live, tried, how); next != nil {
		return next, false
	}
	if next = pickOther(s.all, tried, how); next != nil {
		return next, false
	}
	if failure.at == waiting && failure.reused {
		return a.Last().Endpoint, true
	}
	if a.hooks.Retry.Again {
		return oldest(s.live, tried, how), false
	}
	return nil, false
}

// ended is called when an attempt has ended.
func (p *Pool) ended(at *Attempt) {
	at.Duration = p.registry.since(at.Start)
	at.Endpoint.end()
	if f := p.registry.options.OnAttempt; f != nil {
		f(*at)
	}
}
