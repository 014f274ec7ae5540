package upstream

import (
	"net/http"
	"time"
)

// Retry says when a request is sent again, and how often. The zero value is what Pool.Do says.
type Retry struct {
	// On are the reasons to send it again. Zero: those that Pool.Do names.
	On Conditions
	// Tries is how often it is sent at most, MaxTries at the highest. Zero: three times.
	Tries int
	// Timeout is how long after the first try another one may begin. Zero: at any time.
	Timeout time.Duration
	// Again sends it to endpoints that were tried already, the one first whose try is the longest
	// ago, when there is no other.
	Again bool
}

// MaxTries is the most that Retry.Tries may be.
const MaxTries = 100

// Conditions are reasons to send a request again.
type Conditions uint16

// The conditions. Those for statuses are made by OnStatus.
const (
	OnError         Conditions = 1 << iota // no connection, or it ended before the whole head of a response
	OnTimeout                              // no connection in time, or no head, or nothing of the request was taken
	OnInvalidHeader                        // what came is no response
	NonIdempotent                          // methods count that may not be executed twice, and may have been executed
	on403
	on404
	on429
	on500
	on502
	on503
	on504

	onStatuses = on403 | on404 | on429 | on500 | on502 | on503 | on504
)

// OnStatus returns the condition of responses with a status; 0: there is none.
func OnStatus(code int) Conditions {
	switch code {
	case http.StatusForbidden:
		return on403
	case http.StatusNotFound:
		return on404
	case http.StatusTooManyRequests:
		return on429
	case http.StatusInternalServerError:
		return on500
	case http.StatusBadGateway:
		return on502
	case http.StatusServiceUnavailable:
		return on503
	case http.StatusGatewayTimeout:
		return on504
	}
	return 0
}

// allows reports whether a request with that method may be sent again after r. resent says that it
// was already, after the loss of a new connection; stale, that r is the first loss of a reused one.
// What the endpoint closed as idle while the request was on its way is a matter between the two
// of us, whatever the user says of endpoints that fail.
func (p *Retry) allows(r *result, method string, resent, stale bool) bool {
	safe := r.at == connecting || r.unsent || idempotent(method) || p.On&NonIdempotent != 0
	switch {
	case p.On != 0:
		return safe && (r.condition&p.On != 0 || stale)
	case r.at == connecting:
		return true
	}
	return r.at == waiting && safe && (r.unsent || !resent)
}

// tries is how often the request may be sent.
func (p *Retry) tries() int {
	if p.Tries == 0 {
		return 3
	}
	return min(p.Tries, MaxTries)
}

// oldest returns the endpoint whose try is the longest ago, of those that are still there.
func oldest(endpoints []*Endpoint, tried []Attempt, how Pick) *Endpoint {
	for i := range tried {
		if e := pickOther(endpoints, tried[i+1:], how); e != nil {
			return e
		}
	}
	return nil
}
