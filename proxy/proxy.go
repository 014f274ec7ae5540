// Package proxy runs requests through a compiled routing table.
//
// A Config is plain data. Compile turns it into an immutable Table and Swap makes that live
// by one atomic store, while requests go on: each uses the table that it loaded at its start.
// Proxy is an http.Handler, so every protocol front end runs the same code.
package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// Proxy is the http.Handler of the data ports. Its exported fields are set before the first
// request and not changed afterwards. Make it with New.
type Proxy struct {
	// Pools is where the backends' pools live.
	Pools *upstream.Registry
	// Observer makes the recorders of rules; nil records nothing.
	Observer Observer
	// TrustedProxies are the peers whose forwarding headers are believed and extended.
	// Those of all others are removed.
	TrustedProxies []netip.Prefix
	// DebugClients may ask with DebugHeader what becomes of a request; empty: nobody may. It
	// is the address by TrustedProxies that counts, as everywhere.
	DebugClients []netip.Prefix
	// Challenge answers requests below ChallengePath, whatever the rules say: it returns what a
	// token of a canonical host is answered with, and false for one that is not active, which is
	// a request as any other. Nil: there are none.
	Challenge func(host, token string) (string, bool)
	// ChallengeCertificate is for handshakes with the protocol acme-tls/1 alone; nil for a
	// canonical name without a challenge. Nil: there are none.
	ChallengeCertificate func(host string) *tls.Certificate
	// Bodies limits what is kept of requests whose rules ask for their bodies to be read whole.
	Bodies BodyLimits
	// OnPanic is told of a panic in a handler, with the stack; nil for none.
	OnPanic func(x *Exchange, value any, stack []byte)

	policies   policy.Env
	makeBodies sync.Once
	bodies     bodyStore // see keeping
	table      atomic.Pointer[Table]
	compiled   atomic.Uint64 // see Compiled
	draining   atomic.Bool
	inFlight   atomic.Int64
	tunnels    tunnels
}

// New returns a Proxy without a table: it answers 503 to everything until Swap.
func New(pools *upstream.Registry) *Proxy {
	p := &Proxy{Pools: pools, policies: newPolicies(pools)}
	empty, _ := router.Build(nil)
	p.table.Store(&Table{routes: empty, trust: p.trustOf(policy.Trust{}), hosting: newHosting(nil, empty, policy.Listener{})})
	return p
}

// InFlight is the number of requests that are being served, tunnels included.
func (p *Proxy) InFlight() int { return int(p.inFlight.Load()) }

// SetReplicas says how many replicas serve the same Ingresses, this one included; less than 1 when
// that is not known. Limits of all replicas together are divided by it. It may be called at any time.
func (p *Proxy) SetReplicas(n int) { p.policies.SetReplicas(n) }

// Replicas is what limits of all replicas together are divided by, at least 1.
func (p *Proxy) Replicas() int { return p.policies.Replicas() }

// keeping returns where bodies are kept.
func (p *Proxy) keeping() *bodyStore {
	p.makeBodies.Do(func() { p.bodies.BodyLimits = p.Bodies.withDefaults() })
	return &p.bodies
}

// Mirrored is what became of the copies of requests that rules ask for.
func (p *Proxy) Mirrored() policy.MirrorCounts { return p.policies.Mirrored() }

// BodyCounts is what became of the bodies of requests that were to be read whole.
func (p *Proxy) BodyCounts() BodyCounts { return p.keeping().counts() }

// Drain makes every response from now on the last of its connection: HTTP/1 clients get
// Connection: close, HTTP/2 clients GOAWAY. New connections are still served.
func (p *Proxy) Drain() { p.draining.Store(true) }

var writers = sync.Pool{New: func() any {
	w := &responseWriter{x: new(Exchange)}
	w.out.interim.hook = w.out.interim.relay
	return w
}}

// starting is answered before the first table is live.
var starting = Answer{http.StatusServiceUnavailable, "starting"}

// misdirected tells the client to ask again, on a connection for the host (RFC 9110, 15.5.20).
var misdirected = Answer{http.StatusMisdirectedRequest, "misdirected"}

// ServeHTTP routes r and runs it through its route's handler.
func (p *Proxy) ServeHTTP(rw http.ResponseWriter, r *http.Request) { p.serve(rw, r, Answer{}) }

// serve gives refusal to r, unless it is zero. The engine has found a reason for it that
// concerns the protocol.
func (p *Proxy) serve(rw http.ResponseWriter, r *http.Request, refusal Answer) {
	p.inFlight.Add(1)
	defer p.inFlight.Add(-1)
	w := writers.Get().(*responseWriter)
	x := w.x
	*x = Exchange{
		Start: time.Now(), Method: r.Method, Proto: r.Proto, Target: r.RequestURI, Scheme: "http",
		UserAgent: r.Header.Get("User-Agent"), Referer: r.Header.Get("Referer"), Peer: peerAddr(r),
	}
	if r.TLS != nil {
		x.Scheme = "https"
	}
	x.ClientIP = x.Peer
	w.ResponseWriter, w.draining, w.debug, w.uses = rw, p.draining.Load(), false, nil

	t := p.table.Load()
	record := t.unmatched
	defer func() {
		v := recover()
		abort := p.finish(w, r, v)
		if record != nil {
			record(x)
		}
		if !abort && v == nil {
			// After a panic something may still hold w.
			w.ResponseWriter = nil
			w.out.clear()
			writers.Put(w)
		}
		if abort {
			panic(http.ErrAbortHandler)
		}
	}()

	if t.generation == 0 {
		// Not ready, and no load balancer should send requests here; but a 404 would be a lie.
		w.Header().Set("Retry-After", "1")
		starting.ServeHTTP(w, r)
		return
	}
	a := t.trust.admit(x, r)
	if len(p.DebugClients) > 0 {
		w.debug = p.debugs(x, r.Header)
	}
	if refusal != (Answer{}) {
		a = refusal
	}
	if a != (Answer{}) {
		a.ServeHTTP(w, r)
		return
	}
	if p.Challenge != nil && p.challenged(w, r) {
		return
	}
	if t.misdirected(r.TLS, x.Host) {
		misdirected.ServeHTTP(w, r)
		return
	}
	d := t.decide(x.Host, escapedPath(r))
	x.Outcome, x.path = d.Outcome, d.Path.Match
	if d.Path.DotSegments {
		resolveTarget(r, d.Path.Forward)
	}
	switch {
	case d.Answer != (Answer{}):
		x.Err = d.Err
		d.Answer.ServeHTTP(w, r)
	case d.route != nil:
		rt := d.route
		x.Rule, record, w.uses = rt.rule, rt.record, &rt.uses
		if rt.begin(r.Header) {
			p.depends(policy.QuirkFieldNames, w, r)
		}
		if rt.pages != nil {
			rt.pages.begin(x, r)
		}
		t = nil // a long-lived request must not keep the whole table
		rt.ServeHTTP(w, r)
	default:
		h := t.fallback
		t = nil
		h.ServeHTTP(w, r)
	}
}

// admit checks what is the same for every route and derives what is known of the client. An
// Answer that is not zero refuses the request.
func (t *trust) admit(x *Exchange, r *http.Request) Answer {
	trusted := t.believes(x.Peer)
	x.trusted = trusted
	if t.knowsClient(x.Peer) {
		x.ClientIP = t.clientIP(x.Peer, r.Header[t.forwardedFor])
		if !contains(t.proxy.TrustedProxies, x.Peer) {
			x.replaceFor, x.originalFor = t.replace, strings.Join(r.Header[t.forwardedFor], ", ")
		}
	}
	x.clientScheme = x.Scheme
	if t.balanced && x.Scheme == "http" && securePort(r) {
		x.clientScheme, x.unwrapped = "https", true
	}
	if v := single(r.Header, "X-Forwarded-Proto"); trusted && (v == "http" || v == "https") {
		x.clientScheme = v
	}
	x.RequestID = requestID(r.Header, trusted)
	var err error
	if x.Host, err = router.CanonicalHost(r.Host); err != nil {
		x.Err = err
		return Answer{http.StatusBadRequest, "bad-host"}
	}
	if r.ProtoMajor >= 2 && len(r.Header["Host"]) > 0 {
		// :authority is what HTTP/2 routes by; a Host beside it must say the same.
		if host, err := router.CanonicalHost(r.Header.Get("Host")); err != nil || host != x.Host || len(r.Header["Host"]) > 1 {
			x.Err = fmt.Errorf(":authority %q and Host %q disagree", r.Host, r.Header["Host"])
			return Answer{http.StatusBadRequest, "host-mismatch"}
		}
		delete(r.Header, "Host")
	}
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		return Answer{http.StatusMethodNotAllowed, "method-refused"}
	case !validTarget(r):
		x.Err = fmt.Errorf("target %.80q is neither a path nor an http URL", r.RequestURI)
		return Answer{http.StatusBadRequest, "bad-target"}
	case policy.Hops(r.Header) >= policy.MaxHops:
		return Answer{http.StatusLoopDetected, "loop"}
	case !removeNominated(r.Header):
		x.Err = fmt.Errorf("field Connection names more than %d fields", maxNominated)
		return Answer{http.StatusBadRequest, "bad-connection-header"}
	}
	return Answer{}
}

// validTarget says whether r's target has a path that can be routed by: it begins with "/", or
// is an http URL with a host; or it is the "*" of OPTIONS. Anything else, an opaque URL
// above all, would be routed as one thing and forwarded as another.
func validTarget(r *http.Request) bool {
	switch {
	case strings.HasPrefix(r.RequestURI, "/"):
		return true
	case r.RequestURI == "*":
		return r.Method == http.MethodOptions
	}
	u := r.URL
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Opaque == ""
}

// refused records a request that an engine has answered itself, since it could not be
// understood.
func (p *Proxy) refused(scheme string, peer netip.Addr, a Answer, err error) {
	if record := p.table.Load().unmatched; record != nil {
		record(&Exchange{Start: time.Now(), Scheme: scheme, Peer: peer, ClientIP: peer, Status: a.Status, Reason: a.Reason, Err: err})
	}
}

// finish completes the Exchange. It reports whether the connection must be aborted, because a
// response that was begun cannot be completed.
func (p *Proxy) finish(w *responseWriter, r *http.Request, panicked any) (abort bool) {
	x := w.x
	if panicked != nil {
		abort = true
		if err, ok := panicked.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			x.Reason, x.Err = "panic", fmt.Errorf("panic: %v", panicked)
			if p.OnPanic != nil {
				p.OnPanic(x, panicked, debug.Stack())
			}
			if x.Status == 0 {
				abort = false
				Answer{http.StatusInternalServerError, "panic"}.ServeHTTP(w, r)
			}
		}
	}
	switch {
	case x.Status == 0 && (x.ClientAborted || r.Context().Err() != nil):
		x.Status, x.ClientAborted = StatusClientClosedRequest, true
		if x.Reason == "" {
			x.Reason = "client-aborted"
		}
	case x.Status == 0 && !abort:
		x.Status = http.StatusOK // what the server sends for a handler that wrote nothing
	}
	x.Duration = time.Since(x.Start)
	return abort
}

// escapedPath is the path of r's target as the client wrote it.
func escapedPath(r *http.Request) string {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") && target != "*" {
		// Absolute form: what follows the authority.
		if _, after, ok := strings.Cut(target, "://"); ok {
			target = after
		}
		at := strings.IndexAny(target, "/?")
		if at < 0 || target[at] == '?' {
			return "/"
		}
		target = target[at:]
	}
	path, _, _ := strings.Cut(target, "?")
	return path
}

// requestID is the client's X-Request-ID when a trusted proxy sent one that is fit for a log,
// else 32 hexadecimal digits of its own.
func requestID(h http.Header, trusted bool) string {
	if trusted {
		if id := h.Get("X-Request-Id"); validRequestID(id) {
			return id
		}
	}
	// An id is no secret, but must not repeat: math/rand/v2 is seeded from the system.
	var b [32]byte
	const digits = "0123456789abcdef"
	for half := range 2 {
		n := rand.Uint64()
		for i := range 16 {
			b[half*16+i] = digits[n&15]
			n >>= 4
		}
	}
	return string(b[:])
}

func validRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
