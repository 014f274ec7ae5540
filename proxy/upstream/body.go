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
	given   time.Time // when the latest Read returned, if there was no other since: see held
}

const (
	whole    = iota // no Read yet
	reading         // a Read has begun
	detached        // there will be none
)

var errDetached = errors.New("the request was given to another endpoint")

func (b *sentBody) Read(p []byte) (int, error) {
	if !b.begin() {
		return 0, errDetached
	}
	n, err := b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && err != io.EOF {
		if !b.closed { // else the Transport has ended the Read itself
			b.err = err
		}
	} else {
		b.given = time.Now()
	}
	return n, err
}

// begin reports whether the source may be read. Of a Close at the same moment one knows of the other.
func (b *sentBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.given = time.Time{}
	return !b.closed && (b.state.Load() == reading || b.state.CompareAndSwap(whole, reading))
}

// held is how long the Transport has had what it was given and not asked for more: it waits for the
// endpoint, unless that was all.
func (b *sentBody) held() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.given.IsZero() {
		return 0
	}
	return time.Since(b.given)
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

// Close closes the body, or leaves it for settle. A body of which something was read is closed, for
// there may be a Read under way for which the Transport waits.
func (b *sentBody) Close() error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	b.settled = b.settled || b.state.Load() == reading
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

// receivedBody is the body of a response. The attempt ends with it. Like the Attempts that it is
// part of, it belongs to one goroutine.
type receivedBody struct {
	source  io.ReadCloser
	ctx     context.Context // of the exchange
	pool    *Pool
	attempt *Attempt
	ended   bool // the attempt
	closed  bool
}

func (b *receivedBody) Read(p []byte) (int, error) {
	n, err := b.source.Read(p)
	return n, b.passed(int64(n), err)
}

// CanSplice reports whether WriteTo gives an io.ReaderFrom the connection itself.
func (b *receivedBody) CanSplice() bool { return http1.CanSplice(b.source) }

// WriteTo lets the kernel move the bytes where it can. An error of w is an *http1.WriterError.
func (b *receivedBody) WriteTo(w io.Writer) (int64, error) {
	from, ok := b.source.(io.WriterTo)
	if !ok {
		return io.Copy(w, struct{ io.Reader }{b})
	}
	n, err := from.WriteTo(w)
	var failed *http1.WriterError
	if err == nil {
		_ = b.passed(n, io.EOF)
	} else if errors.As(err, &failed) {
		b.attempt.Received += n
	} else {
		err = b.passed(n, err)
	}
	return n, err
}

// passed notes what was read, and makes an error of Pool.Do of one of reading.
func (b *receivedBody) passed(n int64, err error) error {
	b.attempt.Received += n
	switch {
	case err == io.EOF:
		b.finish(nil)
	case err != nil:
		err = b.classify(err)
		b.finish(err)
	}
	return err
}

func (b *receivedBody) classify(err error) error {
	ended := contextError(b.ctx)
	switch {
	case errors.Is(err, http1.ErrSilent) || errors.Is(ended, http1.ErrSilent):
		return &Error{b.attempt.Endpoint.address, ReadTimeout, http1.ErrSilent}
	case errors.Is(ended, http1.ErrSendTimeout):
		err = http1.ErrSendTimeout
	case ended != nil:
		return ended
	case errors.Is(err, context.Canceled):
		return err // by Hooks.Abandoned
	}
	return &Error{b.attempt.Endpoint.address, UpstreamReset, err}
}

func (b *receivedBody) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.source.Close()
	b.finish(nil)
	return err
}

// finish ends the attempt, once.
func (b *receivedBody) finish(err error) {
	if b.ended {
		return
	}
	b.ended = true
	b.attempt.Err = err
	b.pool.ended(b.attempt)
	b.pool.end()
}

// track makes b the body of resp in place of its own, so that the attempt ends when that has been
// read or is closed; at once if there is none. It still has to be closed then.
func (b *receivedBody) track(resp *http.Response) {
	b.source = resp.Body
	if c, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &upgradedBody{connection: c, received: b}
		return
	}
	resp.Body = b
	if e, ok := b.source.(interface{ Empty() bool }); ok && e.Empty() {
		b.finish(nil)
	}
}

// upgradedBody is the body of a 101 response: the connection, both ways. The end of one way
// does not end the attempt, only Close does, which any goroutine may call.
type upgradedBody struct {
	connection io.ReadWriteCloser
	received   *receivedBody
	n          atomic.Int64
	closed     atomic.Bool
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

func (b *upgradedBody) Close() error {
	err := b.connection.Close()
	if b.closed.CompareAndSwap(false, true) {
		b.received.attempt.Received = b.n.Load()
		b.received.finish(nil)
	}
	return err
}
