package http1

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ClientSet is what the Clients of a program have in common: limits, and one clock that looks
// after all their connections, instead of timers. The fields are set before the first Do and
// not changed after. The zero value is ready for use. Nothing needs to be closed: the clock
// runs while there is a connection.
type ClientSet struct {
	// HeadTimeout limits the wait from the last byte of a request to the last byte of its
	// response's head. Default 60 s.
	HeadTimeout time.Duration
	// ReadTimeout limits the wait for the next byte of a response's body, where Call says
	// nothing else. Default 60 s.
	ReadTimeout time.Duration
	// SendTimeout limits how long the other side may take no byte of a request. Default 60 s.
	SendTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request. Default 30 s.
	IdleTimeout time.Duration
	// MaxIdle is how many connections without a request are kept, by all Clients together;
	// MaxIdlePerClient by each. Default 4096 and 64.
	MaxIdle, MaxIdlePerClient int

	clock  coarseClock
	idle   atomic.Int64 // connections without a request
	poison bool         // tests: overwrite buffers that are given back
}

// Client sends requests to one server over HTTP/1.1 connections of its own. A request is written
// and its response is read on the goroutine that called Do; only a body that is too long to
// be written with its head has a goroutine to itself, as it may have to wait for either
// direction at any time. All methods may be called by many goroutines.
type Client struct {
	// Set is shared with other Clients. Not nil.
	Set *ClientSet
	// Dial makes a connection, which is ready for HTTP/1.1. A *net.TCPConn, or a *tls.Conn
	// over one, is watched while it is idle; that is not possible for others. Not nil.
	Dial func(context.Context) (net.Conn, error)

	open atomic.Int64

	mu      sync.Mutex
	idle    []*clientConn // those without a request, the latest used last
	discard bool          // nothing is kept idle
}

// Call is one use of a Client by Do: what the caller wants of it, and what became of it. It
// belongs to Do until the response's body is closed, or Do returned an error.
type Call struct {
	// Interim is called for each 1xx response but 101, on the goroutine of Do. The header is
	// valid until it returns. An error ends the exchange. Nil: they are dropped. More
	// than eight of them are an error in any case.
	Interim func(code int, header http.Header) error
	// Abandoned is asked from time to time, while the exchange waits, whether nobody wants
	// the response any more. It is called on another goroutine, which it must not hold up,
	// and not once the exchange has ended. So is the Err of the request's context.
	Abandoned func() bool
	// Fresh asks for a new connection: an idle one may have been closed by the other side at
	// this very moment.
	Fresh bool
	// DialTimeout is for Dial, which finds it by the function of that name. Zero: none.
	DialTimeout time.Duration
	// The others override those of the ClientSet, if not zero.
	SendTimeout, HeadTimeout, ReadTimeout time.Duration

	// What follows is set by Do.

	// Reused says that the connection had served a request before.
	Reused bool
	// Dialed is how long it took to make a connection; zero if an idle one was taken.
	Dialed time.Duration
	// BodyRead says that reading of the request's body has begun. If so, the body is closed
	// by the Client, at the latest when the exchange ends; if not, it was not touched.
	BodyRead bool
}

// Do sends req and returns its response. Of req, what appendRequest says is sent, the body, and
// the trailers if the body has no announced length. Nothing is changed in it, and nothing
// of it is read once the exchange has ended, except that a Read of its body may then still be
// under way, if that was not whole: it is ended by whatever ends the body.
//
// The response, with its Header and Body, is valid until the Body is closed, which must happen
// exactly once, and even if there is no body: all of it is used again for another request.
// Strings may be kept. Its Trailer is complete when the Body has returned io.EOF, and may be kept.
//
// The Body is an io.WriterTo. That of a response 101 is the connection: a ReadWriteCloser with
// a CloseWrite method, and free of all limits of time.
//
// The error is a *ClientError.
func (c *Client) Do(req *http.Request, call *Call) (*http.Response, error) {
	call.Reused, call.Dialed, call.BodyRead = false, 0, false
	kind := bodyOf(req)
	size := smallBuffer
	if kind == bodyInline {
		size = clientBuffer
	}
	out, err := appendRequest(getBuffer(size)[:0], req, kind)
	if err != nil {
		return nil, &ClientError{Stage: StageRefused, Err: err}
	}
	for {
		conn, err := c.connection(req.Context(), call)
		if err != nil {
			putBuffer(out, c.Set.poison)
			return nil, &ClientError{Stage: StageDialing, Unsent: true, BodyRead: call.BodyRead, Err: err}
		}
		if kind == bodyInline && !call.BodyRead {
			if out, err = conn.readInline(out, req, call); err != nil {
				putBuffer(out, c.Set.poison)
				return nil, &ClientError{Stage: StageBody, Unsent: true, BodyRead: true, Err: err}
			}
		}
		resp, err := conn.exchange(req, call, out, kind)
		if err != errStale {
			return resp, err
		}
		// The request is in out as it was.
	}
}

// readInline appends the body of req to out and closes it. If that fails, c is idle again, for
// nothing was written to it.
func (c *clientConn) readInline(out []byte, req *http.Request, call *Call) (_ []byte, err error) {
	call.BodyRead = true
	whole := false
	defer func() {
		if !whole { // or the body has panicked
			c.client.release(c)
		}
	}()
	n := len(out)
	out = slices.Grow(out, int(req.ContentLength))[:n+int(req.ContentLength)]
	_, err = io.ReadFull(req.Body, out[n:])
	if closed := req.Body.Close(); err == nil {
		err = closed
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	whole = err == nil
	return out, err
}

// connection returns an idle connection, unless call is for a fresh one, or else a new one.
func (c *Client) connection(ctx context.Context, call *Call) (*clientConn, error) {
	if !call.Fresh {
		if conn := c.take(); conn != nil {
			call.Reused = conn.served
			return conn, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx = WithDialTimeout(ctx, call.DialTimeout)
	start := time.Now()
	nc, err := c.Dial(ctx)
	if isShortage(err) && c.Set.CloseIdle() > 0 {
		nc, err = c.Dial(ctx)
	}
	if err != nil {
		return nil, err
	}
	call.Reused, call.Dialed = false, time.Since(start)
	return newClientConn(c, nc), nil
}

// Connections returns how many connections are open, in use or idle.
func (c *Client) Connections() int64 { return c.open.Load() }

// orDefault returns d, or otherwise if d is zero.
func orDefault[T comparable](d, otherwise T) T {
	var zero T
	if d == zero {
		return otherwise
	}
	return d
}
