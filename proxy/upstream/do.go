package upstream

import (
	"net/http"
	"time"
)

// Do sends req to an endpoint and returns its response. a, if not nil, tells afterwards what was
// done for it; what it held before is lost.
//
// h is what the caller wants to hear of meanwhile.
//
// Of req.URL only the path and the query are sent; scheme and host are the endpoint's. req.Host
// is sent as it is. Header is sent as it is, and nothing is added but the framing. Neither is
// changed. The body is closed, in any case, like an http.RoundTripper does. The response and its
// header are valid until its body is closed, which must happen exactly once.
//
// The caller closes the response's body. The attempt is in flight until then, or until the
// body was read to its end. An error of reading it is one of Do's. The body of a 101 response is an io.ReadWriteCloser
// with a CloseWrite method, and in flight until it is closed.
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
	*a = Attempts{}
	p.active.Add(1)
	resp, err := p.do(req, h, a)
	if err != nil {
		p.end()
	}
	return resp, err
}

func (p *Pool) do(req *http.Request, h Hooks, a *Attempts) (*http.Response, error) {
	r := p.registry
	p.budget.request(r.clock())
	e, err := p.first()
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	resent, fresh := false, false
	for {
		at := a.begin(e, r.options.now())
		e.begin()
		var (
			t       *try // nil for the lean engine
			resp    *http.Response
			failure *result
		)
		if g := e.wire(); g.lean != nil {
			resp, failure = e.sendLean(g, req, h, at, fresh, r.options.now)
		} else {
			t = newTry(req, h)
			resp, failure = e.send(g, req, t, r.options.now)
			t.record(at)
		}
		if failure == nil {
			at.Header = r.since(at.Start)
			at.Status = resp.StatusCode
			p.answered(e)
			if t != nil {
				t.settle()
			}
			track(resp, &receivedBody{
				classify: func(err error) error { return e.bodyError(req, err) },
				end: func(n int64, err error) {
					at.Received, at.Err = n, err
					p.ended(at)
					p.end()
				},
			})
			return resp, nil
		}
		at.Err = failure.err
		if failure.blamed {
			p.failed(e)
		}
		p.ended(at)
		next := p.another(req, t, failure, a, resent)
		if next == nil {
			if t != nil {
				t.settle()
			} else if req.Body != nil && !failure.bodyRead {
				req.Body.Close()
			}
			return nil, failure.err
		}
		resent = resent || failure.at == waiting && !failure.reused
		// Where an idle connection was stale, those of other endpoints may be, too.
		fresh = failure.at == waiting
		e = next
	}
}

// first picks the endpoint of a request.
func (p *Pool) first() (*Endpoint, error) {
	s := p.current(p.registry.clock())
	if len(s.all) == 0 {
		return nil, &NoEndpointError{p.key, s.reason}
	}
	return p.picker.pick(s.live), nil
}

// another returns where the request is sent next, nil if nowhere. If it is not nil,
// the body of the request is whole.
func (p *Pool) another(req *http.Request, t *try, failure *result, a *Attempts, resent bool) *Endpoint {
	switch {
	case a.Len() == maxTries, failure.at == answering, req.Context().Err() != nil:
		return nil
	case failure.at == waiting && !failure.unsent && (!idempotent(req.Method) || resent):
		return nil
	}
	now := p.registry.clock()
	s, tried := p.current(now), a.All()
	next := pickOther(s.live, tried)
	if next == nil {
		next = pickOther(s.all, tried)
	}
	stale := false
	if next == nil && failure.at == waiting && failure.reused {
		next, stale = a.Last().Endpoint, true
	}
	if next == nil || failure.bodyRead || t != nil && t.body != nil && !t.body.detach() || !p.budget.retry(now) {
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

// record copies what the hooks saw.
func (t *try) record(at *Attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at.Reused = t.reused
	if !t.connected.IsZero() {
		at.Connect = max(t.connected.Sub(at.Start), time.Nanosecond)
	}
}

// settle says that t was the last try.
func (t *try) settle() {
	if t.body != nil {
		t.body.settle()
	}
}
