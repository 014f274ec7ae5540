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

// defaultSendTimeout is as package http1 has it.
const defaultSendTimeout = 60 * time.Second

// vigil ends an exchange over HTTP/2 that nobody waits for any more, or whose endpoint is silent,
// as the client of package http1 does by itself. It is the body of the response.
type vigil struct {
	abandoned func() bool     // nil: only the context tells
	timeout   time.Duration   // of a Read
	head      time.Duration   // of the wait for the response
	send      time.Duration   // in which the endpoint takes what it is sent
	sent      *sentBody       // of the request; nil if it has none
	ctx       context.Context // of the exchange
	cancel    context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	reading time.Time     // when the Read under way began; zero if none is
	waiting time.Time     // since when the whole request was written; zero before, and with a response
	written bool          // it was
	done    bool          // there is a response, or an error
	body    io.ReadCloser // of the response; nil before there is one
	ended   bool
}

// newVigil returns a vigil that has begun to look. sent is nil for a request without a body.
func newVigil(ctx context.Context, hooks *Hooks, sent *sentBody) *vigil {
	v := &vigil{abandoned: hooks.Abandoned, timeout: hooks.ReadTimeout, head: hooks.headTimeout, send: hooks.SendTimeout, sent: sent}
	setDefault(&v.send, defaultSendTimeout)
	v.ctx, v.cancel = context.WithCancelCause(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.timer = time.AfterFunc(vigilPeriod, v.look)
	return v
}

// look ends the exchange if it is time, or else has itself called again.
func (v *vigil) look() {
	if body := v.over(); body != nil {
		// The Transport does not look at the context while it waits for a window to send more of the
		// request, though the response has begun.
		_ = body.Close()
	}
}

// over returns the body of a response if the exchange has ended or has to.
func (v *vigil) over() io.Closer {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.ended:
		return nil
	case v.abandoned != nil && v.abandoned():
		v.cancel(context.Canceled)
	case !v.reading.IsZero() && time.Since(v.reading) > v.timeout:
		v.cancel(http1.ErrSilent)
	case !v.waiting.IsZero() && time.Since(v.waiting) > v.head:
		v.cancel(http1.ErrHeadTimeout)
	case v.sent != nil && !v.written && v.sent.held() > v.send:
		v.cancel(http1.ErrSendTimeout)
	}
	if v.ctx.Err() != nil && v.body != nil {
		return v.body
	}
	v.timer.Reset(vigilPeriod)
	return nil
}

// wrote begins the wait for the response.
func (v *vigil) wrote(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.written = true
	if !v.done {
		v.waiting = now
	}
}

// answered ends the wait. body is that of the response, nil if there is none but an error.
func (v *vigil) answered(body io.ReadCloser) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done, v.waiting, v.body = true, time.Time{}, body
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
	v.end() // first, or the Transport waits until it has sent what it was to send
	return v.body.Close()
}
