package upstream

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// vigilPeriod is how often a vigil looks.
const vigilPeriod = 50 * time.Millisecond

// vigil ends an exchange over HTTP/2 that nobody waits for any more, or whose endpoint is silent,
// as the client of package http1 does by itself. It is the body of the response.
type vigil struct {
	abandoned func() bool     // nil: only the context tells
	timeout   time.Duration   // of a Read
	head      time.Duration   // of the wait for the response
	ctx       context.Context // of the exchange
	cancel    context.CancelCauseFunc
	body      io.ReadCloser

	mu      sync.Mutex
	timer   *time.Timer
	reading time.Time // when the Read under way began; zero if none is
	waiting time.Time // since when the whole request was written; zero before, and with a response
	done    bool      // there is a response, or an error
	ended   bool
}

func newVigil(ctx context.Context, hooks *Hooks) *vigil {
	v := &vigil{abandoned: hooks.Abandoned, timeout: hooks.ReadTimeout, head: hooks.headTimeout}
	v.ctx, v.cancel = context.WithCancelCause(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.timer = time.AfterFunc(vigilPeriod, v.look)
	return v
}

func (v *vigil) look() {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.ended:
		return
	case v.abandoned != nil && v.abandoned():
		v.cancel(context.Canceled)
	case !v.reading.IsZero() && time.Since(v.reading) > v.timeout:
		v.cancel(http1.ErrSilent)
	case !v.waiting.IsZero() && time.Since(v.waiting) > v.head:
		v.cancel(http1.ErrHeadTimeout)
	default:
		v.timer.Reset(vigilPeriod)
	}
}

// wrote begins the wait for the response.
func (v *vigil) wrote(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.done {
		v.waiting = now
	}
}

// answered ends the wait.
func (v *vigil) answered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done, v.waiting = true, time.Time{}
}

// end stops the looking. It returns once no look is under way.
func (v *vigil) end() {
	v.mu.Lock()
	v.ended = true
	v.timer.Stop()
	v.mu.Unlock()
	v.cancel(nil)
}

func (v *vigil) Read(p []byte) (int, error) {
	v.setReading(time.Now())
	n, err := v.body.Read(p)
	v.setReading(time.Time{})
	return n, err
}

func (v *vigil) setReading(since time.Time) {
	v.mu.Lock()
	v.reading = since
	v.mu.Unlock()
}

func (v *vigil) Close() error {
	err := v.body.Close()
	v.end()
	return err
}
