package upstream

import (
	"errors"
	"net/http"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// Hooks are what the caller of Do wants to hear of, or to decide. The zero value is nothing.
type Hooks struct {
	// Interim is called for each 1xx response but 101, before the final one, by Do or on a
	// goroutine of its own. The header is valid until it returns. An error ends the
	// exchange.
	Interim func(code int, header http.Header) error
}

// leanTry is a try by package http1.
type leanTry struct {
	call      http1.Call
	start     time.Time
	now       func() time.Time
	connected time.Duration
	reused    bool
}

// sendLean sends req to e, which speaks HTTP/1.1 in clear. The body is closed if the result
// says that it was read, and not touched else. fresh asks for a new connection.
func (e *Endpoint) sendLean(g *engine, req *http.Request, h Hooks, at *Attempt, fresh bool, now func() time.Time) (*http.Response, *result) {
	t := &leanTry{start: at.Start, now: now}
	t.call.Interim, t.call.Connected = h.Interim, t.onConnected
	t.call.Fresh = fresh
	resp, err := g.lean.Do(req, &t.call)
	at.Reused, at.Connect = t.reused, t.connected
	if err != nil {
		return nil, e.judgeLean(req, err)
	}
	return resp, nil
}

func (t *leanTry) onConnected(reused bool) {
	if t.connected == 0 {
		t.connected = max(t.now().Sub(t.start), time.Nanosecond)
	}
	t.reused = reused
}

// judgeLean makes a result of an error of package http1.
func (e *Endpoint) judgeLean(req *http.Request, err error) *result {
	r := &result{at: answering}
	var failed *http1.ClientError
	if errors.As(err, &failed) {
		r.reused, r.unsent, r.bodyRead = failed.Reused, failed.Unsent, failed.BodyRead
	}
	if r.err = contextError(req.Context()); r.err != nil {
		return r
	}
	var connect *connectError
	reason := Unclassified
	switch {
	case failed == nil || failed.Stage == http1.StageRefused:
	case failed.Stage == http1.StageAbandoned:
		r.err = failed.Err
		return r
	case failed.Stage == http1.StageBody:
		r.err = &RequestBodyError{failed.Err}
		return r
	case failed.Stage == http1.StageDialing && errors.As(failed.Err, &connect):
		r.at, reason = connecting, connect.reason
	case failed.Stage == http1.StageSending:
		r.at, reason = waiting, UpstreamReset
	case failed.Stage == http1.StageAnswering:
		reason = UpstreamReset
	case failed.Stage == http1.StageMalformed:
		reason = BadResponse
	case failed.Stage == http1.StageTimedOut:
		reason = ResponseTimeout
	}
	r.err = &Error{e.address, reason, err}
	r.blamed = r.at == connecting && !ownShortage(err) || reason == UpstreamReset && !r.reused
	return r
}
