package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// try is one request sent over HTTP/2. The hooks of httptrace fill it in, some on goroutines of
// the Transport, and some after the try has ended.
type try struct {
	mu        sync.Mutex
	connected time.Time // zero: there was no connection
	reused    bool
	answered  bool // the first byte of a response came

	// relaying is held while Hooks.Interim runs, and after ended it does not.
	relaying sync.Mutex
	ended    bool

	body *sentBody // nil: the request has no body
}

// sendHTTP2 sends req over HTTP/2.
func (e *Endpoint) sendHTTP2(g *engine, req *http.Request, a *Attempts) (*http.Response, *result) {
	t, at := &try{}, a.current()
	if req.Body != nil && req.Body != http.NoBody {
		t.body = &sentBody{source: req.Body}
	}
	now := e.pool.registry.options.now
	trace := &httptrace.ClientTrace{
		GotConn:              func(c httptrace.GotConnInfo) { t.gotConn(c, now()) },
		GotFirstResponseByte: t.gotFirstByte,
	}
	if f := a.hooks.Interim; f != nil {
		trace.Got1xxResponse = func(code int, h textproto.MIMEHeader) error { return t.relay(f, code, http.Header(h)) }
	}
	v := newVigil(req.Context(), &a.hooks, t.body)
	trace.WroteRequest = func(httptrace.WroteRequestInfo) { v.wrote(time.Now()) }
	ctx := http1.WithDialTimeout(httptrace.WithClientTrace(v.ctx, trace), a.hooks.ConnectTimeout)
	resp, err := g.http2.RoundTrip(e.outgoing(ctx, req, t))
	if err != nil {
		v.answered(nil)
	} else {
		v.answered(resp.Body)
	}
	t.endRelay()
	t.mu.Lock()
	defer t.mu.Unlock()
	at.Reused = t.reused
	if !t.connected.IsZero() {
		at.Connect = max(t.connected.Sub(at.Start), time.Nanosecond)
	}
	if err != nil {
		r := e.judgeHTTP2(v.ctx, t, err)
		v.end()
		if r.whole = t.body == nil || t.body.detach(); !r.whole {
			t.body.settle()
		}
		return nil, r
	}
	if t.body != nil {
		t.body.settle()
	}
	resp.Request = req
	resp.Body = v
	a.body.ctx = v.ctx
	return resp, nil
}

// outgoing returns req as it is sent to e.
func (e *Endpoint) outgoing(ctx context.Context, req *http.Request, t *try) *http.Request {
	out := req.WithContext(ctx)
	u := *req.URL
	u.Scheme, u.Host = "http", e.authority
	if e.protocol.TLS() {
		u.Scheme = "https"
	}
	if strings.HasPrefix(u.Opaque, "//") {
		// The Transport would take it for a host. This way some bytes are escaped anew.
		if path, err := url.PathUnescape(u.Opaque); err == nil {
			u.Path, u.RawPath, u.Opaque = path, u.Opaque, ""
		}
	}
	out.URL = &u
	out.RequestURI = ""
	out.Body = nil
	if t.body != nil {
		out.Body = t.body
	}
	// Whether a body may be sent again is decided here, not by the Transport.
	out.GetBody = nil
	// The Transport may still read the header of a request that was given up, which is then
	// used for another one.
	out.Header = req.Header.Clone()
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // or the Transport would add its own
	}
	// The Transport sends a POST twice if it has such a key (Request.isReplayable). It looks for
	// the canonical spelling only, and the case of a name has no meaning on the wire.
	for _, key := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := out.Header[key]; ok && !idempotent(req.Method) {
			delete(out.Header, key)
			out.Header[strings.ToLower(key)] = values
		}
	}
	return out
}

// relay calls f for a 1xx response, if RoundTrip has not returned: the Transport may have read
// one just when the request was given up.
func (t *try) relay(f func(int, http.Header) error, code int, h http.Header) error {
	t.relaying.Lock()
	defer t.relaying.Unlock()
	if t.ended {
		return context.Canceled
	}
	return f(code, h)
}

func (t *try) endRelay() {
	t.relaying.Lock()
	defer t.relaying.Unlock()
	t.ended = true
}

// gotConn is called for each connection that the Transport takes for the request: after a
// reused one that was stale, it takes another.
func (t *try) gotConn(g httptrace.GotConnInfo, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.connected.IsZero() {
		t.connected = now
	}
	t.reused, t.answered = g.Reused, false
}

func (t *try) gotFirstByte() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answered = true
}

// judgeHTTP2 makes a result of an error of the Transport. t.mu is held.
func (e *Endpoint) judgeHTTP2(ctx context.Context, t *try, err error) *result {
	r := &result{at: answering, reused: t.reused}
	if cause := context.Cause(ctx); cause == http1.ErrHeadTimeout || cause == http1.ErrSendTimeout {
		r.condition, r.err = OnTimeout, &Error{e.address, ResponseTimeout, cause}
		return r
	}
	if r.err = contextError(ctx); r.err != nil {
		return r
	}
	if t.body != nil {
		if cause := t.body.readError(); cause != nil {
			r.err = &RequestBodyError{cause}
			return r
		}
	}
	if r.connectFailure(e, err) {
		return r
	}
	var (
		timeout net.Error
		reason  string
	)
	switch {
	case errors.Is(err, errOtherProtocol):
		r.at, r.condition, reason = connecting, OnError, ConnectFailed
	case t.connected.IsZero() && isReset(err):
		r.at, r.condition, reason = connecting, OnError, ConnectFailed // the first bytes of HTTP/2 could not be sent
		r.blamed = !ownShortage(err)
	case t.connected.IsZero():
		reason = Unclassified // the Transport does not accept the request
	case errors.As(err, &timeout) && timeout.Timeout():
		r.condition, reason = OnTimeout, ResponseTimeout
	case !t.answered:
		r.at, r.condition, reason = waiting, OnError, UpstreamReset
	case isReset(err):
		r.condition, reason = OnError, UpstreamReset
	default:
		r.condition, reason = OnInvalidHeader, BadResponse
	}
	r.err = &Error{e.address, reason, err}
	r.blamed = r.blamed || reason == UpstreamReset && !t.reused
	return r
}

// isReset reports whether the connection ended, rather than that what came over it was wrong.
func isReset(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
}
