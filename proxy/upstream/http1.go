package upstream

import (
	"errors"
	"net/http"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// sendHTTP1 sends req over HTTP/1.1.
func (e *Endpoint) sendHTTP1(g *engine, req *http.Request, a *Attempts, fresh bool) (*http.Response, *result) {
	call, at := &a.call, a.current()
	*call = http1.Call{
		Interim: a.hooks.Interim, Abandoned: a.hooks.Abandoned, Fresh: fresh,
		DialTimeout: a.hooks.ConnectTimeout, SendTimeout: a.hooks.SendTimeout, HeadTimeout: a.hooks.headTimeout, ReadTimeout: a.hooks.ReadTimeout,
	}
	resp, err := g.http1.Do(req, call)
	if err == nil {
		at.Reused, at.Connect = call.Reused, max(call.Dialed, time.Nanosecond)
		if !call.BodyRead {
			closeBody(req) // the endpoint has answered without it
		}
		a.body.ctx = req.Context()
		return resp, nil
	}
	var failed *http1.ClientError
	if !errors.As(err, &failed) {
		failed = &http1.ClientError{Stage: http1.StageRefused, Err: err}
	}
	if failed.Stage != http1.StageDialing && failed.Stage != http1.StageRefused {
		at.Reused, at.Connect = call.Reused, max(call.Dialed, time.Nanosecond)
	}
	return nil, e.judgeHTTP1(req, failed)
}

// judgeHTTP1 makes a result of an error of package http1.
func (e *Endpoint) judgeHTTP1(req *http.Request, failed *http1.ClientError) *result {
	r := &result{at: answering, reused: failed.Reused, unsent: failed.Unsent, whole: !failed.BodyRead}
	if r.err = contextError(req.Context()); r.err != nil {
		return r
	}
	reason := Unclassified
	switch failed.Stage {
	case http1.StageAbandoned:
		r.err = failed.Err
		return r
	case http1.StageBody:
		r.err = &RequestBodyError{failed.Err}
		return r
	case http1.StageDialing:
		if r.connectFailure(e, failed.Err) {
			return r
		}
		if errors.Is(failed.Err, errOtherProtocol) {
			r.at, r.condition, reason = connecting, OnError, ConnectFailed
		}
	case http1.StageSending:
		r.at, r.condition, reason = waiting, OnError, UpstreamReset
		r.blamed = !failed.Reused
	case http1.StageAnswering:
		r.condition, reason = OnError, UpstreamReset
		r.blamed = !failed.Reused
	case http1.StageMalformed:
		r.condition, reason = OnInvalidHeader, BadResponse
	case http1.StageTimedOut:
		r.condition, reason = OnTimeout, ResponseTimeout
	}
	r.err = &Error{e.address, reason, failed.Err}
	return r
}
