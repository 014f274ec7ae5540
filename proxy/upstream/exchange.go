package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"
)

// result is how a try ended without a response.
type result struct {
	err    error // an *Error, a *RequestBodyError, or that of the request's context
	at     phase
	reused bool
	// condition is under which name it is a reason to send the request again; 0: under none.
	condition Conditions
	// unsent: not one byte of the request was written. It is exact, but not always known.
	unsent bool
	// whole: nothing was read of the request's body, and nothing will be. It is not closed then;
	// else it is, or will be.
	whole bool
	// blamed: the endpoint failed, and not the client, or this machine for want of descriptors.
	blamed bool
}

// phase is how far a try came.
type phase uint8

const (
	connecting phase = iota // nothing can have been sent
	waiting                 // something may have been sent, nothing came back
	answering               // something came back, or too late
)

// send sends req to e, as a's latest attempt. Neither req nor its header is changed. fresh asks
// for a new connection where that is known to help: over HTTP/1.1.
func (e *Endpoint) send(req *http.Request, a *Attempts, fresh bool) (*http.Response, *result) {
	g := e.wire()
	for turn := 0; ; turn++ {
		var (
			resp    *http.Response
			failure *result
		)
		if g.prefersHTTP2.Load() {
			resp, failure = e.sendHTTP2(g, req, a)
		} else {
			resp, failure = e.sendHTTP1(g, req, a, fresh)
		}
		// The endpoint chooses when a connection is made. It may change its mind once.
		if failure == nil || turn == 2 || !failure.whole || !errors.Is(failure.err, errOtherProtocol) {
			if turn > 0 {
				g.keepSpare(nil) // it was not needed
			}
			return resp, failure
		}
	}
}

// connectFailure fills r in if err is that of a dial, and reports whether it is.
func (r *result) connectFailure(e *Endpoint, err error) bool {
	var connect *connectError
	if !errors.As(err, &connect) {
		return false
	}
	r.at, r.condition, r.blamed = connecting, OnError, !ownShortage(err)
	if connect.reason == ConnectTimeout {
		r.condition = OnTimeout
	}
	r.err = &Error{e.address, connect.reason, err}
	return true
}

// idempotent reports whether a request may be executed twice (RFC 9110 9.2.2).
func idempotent(method string) bool {
	switch method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// contextError returns why ctx has ended, which is its Err in any case, and its cause if it has
// one; nil if it has not.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if deadline, ok := ctx.Deadline(); ok && err == nil && !time.Now().Before(deadline) {
		return context.DeadlineExceeded // its timer is about to ring
	}
	if err == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// ownShortage reports whether this machine, not the endpoint, is why there is no connection.
func ownShortage(err error) bool {
	for _, errno := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
