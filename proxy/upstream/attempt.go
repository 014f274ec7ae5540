package upstream

import (
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// usualTries is how many attempts there is room for without more memory.
const usualTries = 3

// Attempt is one try to get a response from an endpoint.
type Attempt struct {
	Endpoint *Endpoint
	Start    time.Time
	// Connect is the time from Start until there was a connection, new or idle; zero when
	// there never was one.
	Connect time.Duration
	Reused  bool // the connection had served a request before
	// Header is the time from Start until the head of the response had come; zero when none came.
	Header time.Duration
	// Duration is the time from Start until the attempt ended: by Err, or when the body of
	// the response had been read or was closed. Zero before that.
	Duration time.Duration
	Status   int   // of the response; zero when none came
	Received int64 // bytes of the response's body
	Err      error // why no response came, or why its body ended early
}

// Attempts is what Pool.Do did for one request. The zero value is ready for use. It belongs to
// the goroutine that called Do, and to the reader of the response's body until that is closed.
type Attempts struct {
	tries [usualTries]Attempt
	more  []Attempt // all of them, where they are more than usual
	n     int
	stale int // how many of them a connection ended that the endpoint had closed as idle

	// What the current one works with.
	hooks Hooks
	call  http1.Call
	body  receivedBody
}

// Len returns the number of attempts, zero when no endpoint could be picked.
func (a *Attempts) Len() int { return a.n }

// All returns the attempts in order. The slice is valid as long as a.
func (a *Attempts) All() []Attempt {
	if a.n > usualTries {
		return a.more
	}
	return a.tries[:a.n]
}

// Last returns the latest attempt, the one whose response was returned if any was. The zero
// Attempt means that there was none.
func (a *Attempts) Last() Attempt {
	if a.n == 0 {
		return Attempt{}
	}
	return *a.current()
}

// begin adds an attempt, to be filled in by the caller. The former ones may move.
func (a *Attempts) begin(e *Endpoint, start time.Time) *Attempt {
	t := Attempt{Endpoint: e, Start: start}
	switch {
	case a.n < usualTries:
		a.tries[a.n] = t
	case a.n == usualTries:
		a.more = append(append(make([]Attempt, 0, 2*usualTries), a.tries[:]...), t)
	default:
		a.more = append(a.more, t)
	}
	a.n++
	return a.current()
}

// current returns the attempt that was begun last.
func (a *Attempts) current() *Attempt {
	if a.n > usualTries {
		return &a.more[a.n-1]
	}
	return &a.tries[a.n-1]
}
