package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// try is one request sent to one endpoint. The hooks of httptrace fill it in, some on
// goroutines of the Transport, and some after the try has ended.
type try struct {
	mu        sync.Mutex
	connected time.Time // zero: there was no connection
	reused    bool
	answered  bool // the first byte of a response came
	polluted  bool // it did, but it was no response to this request
	// conn and written are of HTTP/1.1 only, where a connection serves one request at a time:
	// the connection, and what was written to it before this request.
	conn    *conn
	written int64

	body *sentBody // nil: the request has no body

	interim func(code int, header http.Header) error // nil for none
	cancel  context.CancelCauseFunc                  // of the request as it is sent
}

func newTry(req *http.Request, h Hooks) *try {
	t := &try{interim: h.Interim}
	if req.Body != nil && req.Body != http.NoBody {
		t.body = &sentBody{source: req.Body}
	}
	return t
}

// result is how a try ended without a response.
type result struct {
	err    error // an *Error, a *RequestBodyError, or that of the request's context
	at     phase
	reused bool
	// bodyRead: something was read of the request's body, which is closed. It is known for
	// the lean engine only.
	bodyRead bool
	// unsent: not one byte of the request was written. It is exact, but not always known.
	unsent bool
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

// send sends req to e. Neither req nor its header is changed, and its body is not closed
// before t.body.settle, unless body is nil.
func (e *Endpoint) send(g *engine, req *http.Request, t *try, now func() time.Time) (*http.Response, *result) {
	trace := &httptrace.ClientTrace{
		GotConn:              func(g httptrace.GotConnInfo) { t.gotConn(g, e.protocol, now()) },
		GotFirstResponseByte: t.gotFirstByte,
	}
	if t.interim != nil {
		trace.Got1xxResponse = func(code int, h textproto.MIMEHeader) error { return t.interim(code, http.Header(h)) }
	}
	// For the body: it is canceled when that is closed. A response 101 ends by being closed.
	var limited context.Context
	limited, t.cancel = context.WithCancelCause(req.Context())
	resp, err := g.roundTrip(e.outgoing(req, httptrace.WithClientTrace(limited, trace), t))
	t.mu.Lock()
	polluted := t.polluted
	t.mu.Unlock()
	if err == nil && !polluted {
		resp.Request = req
		if resp.StatusCode != http.StatusSwitchingProtocols {
			resp.Body = &timedBody{source: resp.Body, cancel: t.cancel, timeout: e.pool.registry.options.ReadTimeout}
		}
		return resp, nil
	}
	if err == nil {
		resp.Body.Close()
		err = errUnsolicited
	}
	t.cancel(nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	return nil, e.judge(req, t, err)
}

// outgoing returns req as it is sent to e.
func (e *Endpoint) outgoing(req *http.Request, ctx context.Context, t *try) *http.Request {
	out := req.WithContext(ctx)
	u := *req.URL
	u.Scheme, u.Host = "http", e.authority
	if e.protocol == HTTPS {
		u.Scheme = "https"
	}
	out.URL = &u
	out.RequestURI = ""
	out.Body = nil
	if t.body != nil {
		out.Body = t.body
	}
	// Whether a body may be sent again is decided here, not by the Transport.
	out.GetBody = nil
	if _, ok := req.Header["User-Agent"]; !ok {
		out.Header = cloneHeader(req.Header)
		out.Header["User-Agent"] = nil // or the Transport would add its own
	}
	// The Transport sends a POST twice if it has such a key (Request.isReplayable). It looks for
	// the canonical spelling only, and the case of a name has no meaning on the wire.
	for _, key := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := out.Header[key]; ok && !idempotent(req.Method) {
			out.Header = cloneHeader(out.Header)
			delete(out.Header, key)
			out.Header[strings.ToLower(key)] = values
		}
	}
	return out
}

func cloneHeader(h http.Header) http.Header {
	if h == nil {
		return make(http.Header)
	}
	return maps.Clone(h)
}

// idempotent reports whether a request may be executed twice (RFC 9110 9.2.2).
func idempotent(method string) bool {
	switch method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// gotConn is called for each connection that the Transport takes for the request: after a
// reused one that was stale, it takes another.
func (t *try) gotConn(g httptrace.GotConnInfo, protocol Protocol, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.connected.IsZero() {
		t.connected = now
	}
	t.reused, t.answered, t.polluted = g.Reused, false, false
	t.conn = nil
	c := g.Conn
	s, secure := c.(*tls.Conn)
	if secure {
		c = s.NetConn()
	}
	if protocol == H2C || secure && s.ConnectionState().NegotiatedProtocol == "h2" {
		return
	}
	if c, ok := c.(*conn); ok {
		c.beginRequest(g.Reused)
		t.conn, t.written = c, c.written.Load()
	}
}

var errUnsolicited = errors.New("the connection held bytes that are no response to this request")

func (t *try) gotFirstByte() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reused && t.conn != nil && t.conn.unsolicited() {
		t.polluted = true
		t.conn.Close()
		return
	}
	t.answered = true
}

// judge makes a result of an error of the engine. t.mu is held.
func (e *Endpoint) judge(req *http.Request, t *try, err error) *result {
	r := &result{at: answering, reused: t.reused}
	if r.err = contextError(req.Context()); r.err != nil {
		return r
	}
	if t.body != nil {
		if cause := t.body.readError(); cause != nil {
			r.err = &RequestBodyError{cause}
			return r
		}
	}
	var (
		connect *connectError
		timeout net.Error
		reason  string
	)
	switch {
	case errors.As(err, &connect):
		r.at, reason = connecting, connect.reason
	case t.connected.IsZero() && isReset(err):
		r.at, reason = connecting, ConnectFailed // the first bytes of HTTP/2 could not be sent
	case t.connected.IsZero():
		reason = Unclassified // the Transport does not accept the request
	case errors.As(err, &timeout) && timeout.Timeout():
		reason = ResponseTimeout
	case !t.answered:
		r.at, reason = waiting, UpstreamReset
		r.unsent = t.conn != nil && t.conn.written.Load() == t.written
	case isReset(err):
		reason = UpstreamReset
	default:
		reason = BadResponse
	}
	r.err = &Error{e.address, reason, err}
	r.blamed = r.at == connecting && !ownShortage(err) || reason == UpstreamReset && !t.reused
	return r
}

// bodyError makes an error of Pool.Do of one of reading the body of the response to req.
func (e *Endpoint) bodyError(req *http.Request, err error) error {
	if ended := contextError(req.Context()); ended != nil {
		return ended
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &Error{e.address, ReadTimeout, err}
	}
	return &Error{e.address, UpstreamReset, err}
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

// isReset reports whether the connection ended, rather than that what came over it was wrong.
func isReset(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
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
