package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// sentBody is the body of a request, as one try sends it. It keeps the real body for a further
// try: once it is detached, the Transport can no longer read or close that.
type sentBody struct {
	source io.ReadCloser
	state  atomic.Int32 // whole, then either reading or detached

	mu      sync.Mutex
	settled bool // this is the last try
	closed  bool // by the Transport
	err     error
}

const (
	whole    = iota // no Read yet
	reading         // a Read has begun
	detached        // there will be none
)

var errDetached = errors.New("the request was given to another endpoint")

func (b *sentBody) Read(p []byte) (int, error) {
	if b.state.Load() != reading && !b.state.CompareAndSwap(whole, reading) && b.state.Load() != reading {
		return 0, errDetached
	}
	n, err := b.source.Read(p)
	if err != nil && err != io.EOF {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

// readError returns the error that a Read returned, nil for io.EOF.
func (b *sentBody) readError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// detach reports whether the body is whole, and makes sure that it stays so.
func (b *sentBody) detach() bool {
	return b.state.CompareAndSwap(whole, detached) || b.state.Load() == detached
}

// Close closes the body, or leaves it for settle.
func (b *sentBody) Close() error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	pass := b.settled && first
	b.mu.Unlock()
	if pass {
		return b.source.Close()
	}
	return nil
}

// settle says that there will be no further try. The body is closed now, if the Transport
// has closed it already, or else when it does.
func (b *sentBody) settle() {
	b.mu.Lock()
	pass := b.closed && !b.settled
	b.settled = true
	b.mu.Unlock()
	if pass {
		b.source.Close()
	}
}

// receivedBody is the body of a response. The attempt ends with it.
type receivedBody struct {
	source io.ReadCloser
	n      atomic.Int64
	ended  atomic.Bool
	// classify makes an error of Pool.Do out of one of reading; end is called once.
	classify func(error) error
	end      func(n int64, err error)
}

func (b *receivedBody) Read(p []byte) (int, error) {
	n, err := b.source.Read(p)
	b.n.Add(int64(n))
	switch {
	case err == io.EOF:
		b.finish(nil)
	case err != nil:
		err = b.classify(err)
		b.finish(err)
	}
	return n, err
}

func (b *receivedBody) Close() error {
	err := b.source.Close()
	b.finish(nil)
	return err
}

func (b *receivedBody) finish(err error) {
	if b.ended.CompareAndSwap(false, true) {
		b.end(b.n.Load(), err)
	}
}

// timedBody is the body of a response of the Transport, each byte of which has to come in time.
type timedBody struct {
	source  io.ReadCloser
	cancel  context.CancelCauseFunc // of the request's context
	timeout time.Duration
	timer   *time.Timer // nil before the first Read
	silent  atomic.Bool // timer has rung
}

func (b *timedBody) Read(p []byte) (int, error) {
	if b.timer == nil {
		b.timer = time.AfterFunc(b.timeout, func() {
			b.silent.Store(true)
			b.cancel(http1.ErrSilent)
		})
	} else {
		b.timer.Reset(b.timeout)
	}
	n, err := b.source.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF && b.silent.Load() {
		err = http1.ErrSilent
	}
	return n, err
}

func (b *timedBody) Close() error {
	err := b.source.Close()
	b.cancel(nil)
	return err
}

// upgradedBody is the body of a 101 response: the connection, both ways. The end of one way
// does not end the attempt, only Close does.
type upgradedBody struct {
	*receivedBody
	connection io.ReadWriteCloser
}

func (b *upgradedBody) Read(p []byte) (int, error) {
	n, err := b.connection.Read(p)
	b.n.Add(int64(n))
	return n, err
}

func (b *upgradedBody) Write(p []byte) (int, error) { return b.connection.Write(p) }

// CloseWrite tells the endpoint that nothing more comes.
func (b *upgradedBody) CloseWrite() error {
	if c, ok := b.connection.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return fmt.Errorf("close the writing half of %T: %w", b.connection, errors.ErrUnsupported)
}

// track makes b the body of resp in place of its own, so that the attempt ends when that has been
// read or is closed; at once if there is none. It still has to be closed then.
func track(resp *http.Response, b *receivedBody) {
	if resp.Body == nil || resp.Body == http.NoBody {
		b.finish(nil)
		return
	}
	b.source = resp.Body
	if rwc, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &upgradedBody{b, rwc}
		return
	}
	resp.Body = b
	if resp.ContentLength == 0 || resp.Request.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent ||
		resp.StatusCode == http.StatusNotModified {
		b.finish(nil)
	}
}
