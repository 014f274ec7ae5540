package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// outgoing is what a request is forwarded with. It is used again for another request, when
// that of the handler has ended: Pool.Do keeps nothing of it beyond the response.
type outgoing struct {
	request http.Request
	url     url.URL
	fields  [7]string // values of the forwarding fields
	interim interim
}

func newOutgoing() *outgoing {
	o := new(outgoing)
	o.interim.hook = o.interim.relay
	return o
}

// clear drops what belongs to the request that was forwarded.
func (o *outgoing) clear() {
	o.request, o.url, o.fields, o.interim.w = http.Request{}, url.URL{}, [7]string{}, nil
}

// forwarder is the last handler of a route: it sends the request to a backend's pool and the
// response back, streaming both ways.
type forwarder struct {
	p        *Proxy
	pool     *upstream.Pool
	timeouts policy.Timeouts
	retry    upstream.Retry
	bodies   *bodyStore // nil: bodies are streamed
	memory   int64      // how much of a body bodies holds in memory
}

// forwarder returns the last handler of a rule with the given policies, which may be nil.
func (p *Proxy) forwarder(pool *upstream.Pool, policies *policy.Set) http.Handler {
	f := &forwarder{p: p, pool: pool}
	if policies != nil {
		if policies.Buffer.Request {
			f.bodies, f.memory = p.keeping(), policies.Buffer.Memory
		}
		f.timeouts, f.retry = policies.Timeouts, policies.Retry
	}
	return f
}

// leading returns the handler that leads to key, and from connections with TLS to secure unless
// that is nil.
func (p *Proxy) leading(key upstream.Key, secure *upstream.Key, policies *policy.Set) http.Handler {
	plain := p.forwarder(p.Pools.Pool(key), policies)
	if secure == nil {
		return plain
	}
	return byConnection{plain, p.forwarder(p.Pools.Pool(*secure), policies)}
}

// byConnection leads requests on by what the client's connection is, not by what a trusted proxy
// says of it.
type byConnection struct{ plain, secure http.Handler }

func (b byConnection) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if exchangeOf(w).Scheme == "https" {
		b.secure.ServeHTTP(w, r)
		return
	}
	b.plain.ServeHTTP(w, r)
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	o, attempts, pool := &writerOf(w).out, &x.Attempts, f.pool
	if x.instead != (Answer{}) {
		// What was sent for the request itself may still be in use, and is what is recorded.
		o, attempts = newOutgoing(), new(upstream.Attempts)
	} else {
		if other := x.pages.standIn(x, r, pool); other != nil {
			pool = other
		}
		x.Backend = pool.Key()
	}
	if x.rehearsal {
		x.forwarded = true
		return
	}
	o.interim.begin(w, r.ProtoAtLeast(1, 1))
	out := &o.request
	*out = *r

	upgrade := wantsWebSocket(r)
	f.prepare(o, r, x)
	if upgrade {
		out.Header["Connection"] = []string{"Upgrade"}
		out.Header["Upgrade"] = []string{"websocket"}
	}
	var body *requestBody
	if r.ContentLength != 0 {
		body = newRequestBody(r, x, http.NewResponseController(w))
		// A backend may answer before it has read the whole body. HTTP/2 is so anyway.
		_ = body.control.EnableFullDuplex()
		body.declareTrailers(out, r, x)
		out.Body = body
		defer body.release()
		if f.bodies != nil && !streams(r) {
			kept, err := f.bodies.keep(body, r.ContentLength, f.memory)
			defer kept.release()
			if err != nil {
				f.failed(w, r, body, err)
				return
			}
			kept.send(out, body)
		}
	} else {
		out.Body = http.NoBody
	}

	resp, err := pool.Do(out, upstream.Hooks{
		Interim:        o.interim.hook,
		Pick:           x.pick,
		Retry:          f.retry,
		ConnectTimeout: f.timeouts.Connect, SendTimeout: f.timeouts.Send, ReadTimeout: f.timeouts.Read,
	}, attempts)
	if attempts.Len() > 1 {
		f.p.countRetries(writerOf(w), r, attempts)
	}
	if f.bodies != nil && out.GetBody != nil && (attempts.Len() > 1 || r.ContentLength < 0) && x.Rule.Policies.Quirks.Has(policy.QuirkRequestBuffering) {
		f.p.depends(policy.QuirkRequestBuffering, writerOf(w), r)
	}
	if err != nil {
		f.failed(w, r, body, err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		f.p.tunnel(w, r, resp, upgrade)
		return
	}
	f.respond(w, r, resp, body)
}

// prepare makes o.request, a shallow copy of r, the request to send. It changes the header of
// r, which nothing reads any more.
func (f *forwarder) prepare(o *outgoing, r *http.Request, x *Exchange) {
	out := &o.request
	trailers := strings.EqualFold(r.Header.Get("Te"), "trailers")
	cleanRequest(out.Header, x.trusted)
	if trailers {
		out.Header["Te"] = []string{"trailers"} // gRPC servers insist on it
	}
	setForwarding(o, r, x, x.trusted)
	if x.Rule != nil && x.Rule.Policies != nil && x.Rule.Policies.Quirks.Has(policy.QuirkSchemeFields) {
		// What backends behind ingress-nginx may read besides.
		proto := out.Header["X-Forwarded-Proto"]
		out.Header["X-Scheme"], out.Header["X-Forwarded-Scheme"] = proto, proto
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // no agent of our own
	}
	if x.sendPrefix != "" {
		out.Header["X-Forwarded-Prefix"] = []string{x.sendPrefix}
	}
	forget(out.Header, x.sendFields)
	for _, field := range x.sendFields {
		if field[1] == "" {
			delete(out.Header, field[0])
		} else {
			out.Header[field[0]] = []string{field[1]}
		}
	}
	if x.sendHost != "" {
		out.Host = x.sendHost
	}
	out.RequestURI = ""
	out.Close = false
	out.Trailer = nil
	o.url = *r.URL
	if o.url.Opaque == "" {
		o.url.Opaque = escapedPath(r) // the client's bytes: URL would escape some of them anew
	}
	out.URL = &o.url
}

// resolveTarget makes path, which has no dot segments, that of r's target: what is told of the request
// is what is forwarded of it.
func resolveTarget(r *http.Request, path string) {
	forwardPath(r, path)
	if _, query, ok := strings.Cut(r.RequestURI, "?"); ok {
		path += "?" + query
	}
	r.RequestURI = path
}

// forwardPath makes path what is forwarded of r's target, in place of the client's bytes.
func forwardPath(r *http.Request, path string) {
	u := *r.URL
	u.Opaque = path
	r.URL = &u
}

// failed answers for a request that got no response.
func (f *forwarder) failed(w http.ResponseWriter, r *http.Request, body *requestBody, err error) {
	x := exchangeOf(w)
	var fault error
	if body != nil {
		fault = body.failure()
	}
	switch {
	case errors.Is(fault, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		fail(w, r, http.StatusRequestTimeout, "body-timeout", fault)
		return
	case r.Context().Err() != nil || clientLeft(fault):
		x.ClientAborted, x.Reason, x.Err = true, "client-aborted", err
		panic(http.ErrAbortHandler)
	case errors.Is(fault, policy.ErrBodyTooLarge):
		if x.Rule != nil && x.Rule.Policies != nil && x.Rule.Policies.Quirks.Has(policy.QuirkBodyLimit) {
			f.p.depends(policy.QuirkBodyLimit, writerOf(w), r)
		}
		w.Header().Set("Connection", "close")
		fail(w, r, http.StatusRequestEntityTooLarge, "body-too-large", fault)
		return
	case fault != nil:
		w.Header().Set("Connection", "close")
		fail(w, r, http.StatusBadRequest, "bad-body", fault)
		return
	}
	reason, status := upstream.Reason(err)
	if errors.Is(err, errNotKept) {
		reason, status = "body-buffer-failed", http.StatusServiceUnavailable
		w.Header().Set("Connection", "close")
	}
	fail(w, r, status, reason, err)
}
