package policy

import (
	"compress/gzip"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/andybalholm/brotli"
)

// feature is one behaviour: its keys, how they are read, and the handler they come to.
type feature struct {
	name string
	keys []Key
	// read fills in its part of the Set. It reports every mistake through the reader.
	read func(r *reader, s *Set)
	// guard returns what a Set asks of those who may pass, as plain data that can be compared; nil
	// or a zero value asks for nothing. Each feature with a key of class Guard has one, unless it
	// guards the backend's end: the test of the registry says which those are.
	guard func(s *Set) any
	// wrap returns the feature's handler in front of next, and next itself where the Set
	// does not ask for the feature. Nil: the feature is no handler.
	wrap func(l link, next http.Handler) http.Handler
}

// link is what wrap makes a handler of.
type link struct {
	*Set
	rule Rule
	env  *Env
}

func newLink(s *Set, rule Rule, env *Env) link {
	if s.Auth.exempts(rule.Path) {
		open := *s
		open.Auth, open.Unvouched = nil, unvouched(s.Auth.Response)
		s = &open
	}
	return link{s, rule, env}
}

// Env is what handlers share with each other and with the proxy. It outlives tables.
type Env struct {
	// Transport reaches the services that external authentication asks. It must not follow
	// redirects and must refuse addresses that tenants may not reach.
	Transport http.RoundTripper

	limits   limits
	hashing  hashing
	rulings  rulings
	patterns patterns
	mirrors  mirrors
	quirks   [numQuirks]atomic.Uint64 // requests that depended on each
	// writers are of package compress/gzip, by level, and brotli of that coding.
	writers  [gzip.BestCompression + 1]sync.Pool
	brotli   [brotli.BestCompression + 1]sync.Pool
	replicas atomic.Int64
}

// SetReplicas says how many replicas serve the same Ingresses, this one included, so that limits
// can be divided by it; less than 1 when that is not known. It may be called at any time.
func (e *Env) SetReplicas(n int) { e.replicas.Store(int64(n)) }

// Replicas is what limits are divided by: 1 while the number of replicas is not known.
func (e *Env) Replicas() int { return max(int(e.replicas.Load()), 1) }

// chain is every feature, the outermost handler first. Each neighbourship has its reason; the
// tests check those that a user can see.
var chain = [...]feature{
	quirkUse,    // only looks on
	blocking,    // of the whole instance: who is not served at all learns nothing
	www,         // of a host without rules
	appRoot,     // of the server, before its locations: not even the body is looked at
	hsts,        // on every answer of a location, also those that the rest gives
	fields,      // on every answer too, and what the backend gets is not changed by anything after
	pacing,      // what counts is what is sent, so compression is inside
	compression, // what is sent in the end is compressed, so all that changes an answer but for fields is inside
	bodySize,    // a body that is too large as announced is refused before anybody is asked
	slash,       // chooses the location, so it is answered before the location's own redirects
	cors,        // a preflight carries no credentials and follows no redirect, so it comes before both
	redirects,   // moved is moved: for those who may not see the target, too
	sslRedirect, // before the guards: no password and no token over plain HTTP
	clientCert,  // of the connection, so before all that looks at requests; but no redirect to HTTPS needs one
	limiting,    // before the guards: guessing passwords is what a limit is for
	vouching,    // before the rest: nobody has set these fields yet
	satisfy,     // in place of the three that follow, which then are no handlers
	access,      // addresses are cheaper to check than passwords, and tell nothing
	basicAuth,   // ours before others' services are asked
	externalAuth,
	mirroring,  // what may not pass is nobody's to see; with the client's path and fields, so before those that change them
	rewriting,  // after all guards, which look at the path that was routed on
	forwarding, // what only the backend sees comes last
	affinity,   // only requests that get to a backend begin a session
	canary,     // chooses the backend
	replacing,  // of the backend's response alone
	balancing,  // picks the endpoint of the backend that was chosen
	backendTLS, // of the connections, as what follows is
	backend,    // no handlers: they say where and how the last one, the proxy's, forwards
	timeouts,
	accessLog, // of what comes of a request, whoever answered it
	retries,
	buffering,
	ciphers, // of the connection, before there is a request
	aliases,
	fieldNames,
	errorPages, // what gives an answer asks it, wherever that is in the chain
	acme,
	passthrough, // of the connection too
}

// Wrap returns the handler of a rule with these policies: the features that are set, in the
// order of the chain, and then next. A nil Set has none.
func Wrap(s *Set, rule Rule, env *Env, next http.Handler) http.Handler {
	if s == nil {
		return next
	}
	l := newLink(s, rule, env)
	for i := len(chain) - 1; i >= 0; i-- {
		if chain[i].wrap != nil {
			next = chain[i].wrap(l, next)
		}
	}
	return next
}

// Names returns the names of the features that Wrap would make handlers of, in the order of the
// chain.
func Names(s *Set, rule Rule) []string {
	if s == nil {
		return nil
	}
	end := new(untouched)
	l := newLink(s, rule, &Env{}) // the handlers are never called, so nothing comes of them
	var names []string
	for _, f := range chain {
		if f.wrap != nil && f.name != quirkUse.name && f.wrap(l, end) != http.Handler(end) {
			names = append(names, f.name)
		}
	}
	return names
}

// untouched is a handler that can be told from every other.
type untouched struct{ http.Handler }
