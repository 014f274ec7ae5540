package proxy

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// Decision is what becomes of a request before any of it is forwarded: the same for a
// request that is served and for one that is only asked about.
type Decision struct {
	// Weighed says that chance decides whether the rule's canary gets the request.
	Weighed bool
	// Host is canonical; "" when the request has none, or none that is valid.
	Host    string
	Path    router.Path
	Outcome router.Outcome
	// Rule is what matches; nil when nothing does.
	Rule *Rule
	// Answer, when not zero, is the proxy's own, given instead of asking a rule's handler.
	// That of a Rule is not here: it is part of the Rule.
	Answer Answer
	// Err is what lies behind Answer; may be nil.
	Err error
	// ClientIP is the client by the peer's address and, from a trusted peer, X-Forwarded-For.
	ClientIP netip.Addr
	// Forwarded says that the request is sent to Backend, which is the rule's where its canary
	// gets but a share of such requests. Otherwise the client gets Status
	// with Header, and Reason is the code in the body.
	Forwarded bool
	Backend   upstream.Key
	Status    int
	Header    http.Header
	Reason    string
	// Passed says that the connection is handed to Backend as it is: there is no request that
	// the proxy sees. When it is not let through it is closed, and Status is that of the log.
	Passed bool

	route *route // of Rule
}

// Decide returns what ServeHTTP would do with r if t were the live table: it runs r through
// the same handlers, up to the one that would send it to a backend. Nothing is sent, recorded
// or measured, and r is not changed.
func (p *Proxy) Decide(t *Table, r *http.Request) Decision {
	x := &Exchange{Method: r.Method, Target: r.RequestURI, Scheme: "http", Peer: peerAddr(r), rehearsal: true}
	if r.TLS != nil {
		x.Scheme = "https"
	}
	x.ClientIP = x.Peer
	r = r.Clone(r.Context())
	r.Body = http.NoBody
	d := Decision{}
	if d.Answer = t.trust.admit(x, r); d.Answer != (Answer{}) {
		d.Host, d.Err = x.Host, x.Err
	} else {
		d = t.decide(x.Host, escapedPath(r))
		x.path = d.Path.Match
	}
	d.ClientIP = x.ClientIP
	if d.Answer == (Answer{}) && d.Path.DotSegments {
		resolveTarget(r, d.Path.Forward)
	}
	if _, passed := t.hosting.passes(d.Host); passed != nil && r.TLS != nil {
		d.pass(passed, x)
		return d
	}
	stage := &stage{header: make(http.Header)}
	w := &responseWriter{ResponseWriter: stage, x: x}
	switch {
	case d.Answer != (Answer{}):
		d.Answer.ServeHTTP(w, r)
	case d.route != nil:
		x.Rule = d.route.rule
		d.route.begin(r.Header)
		d.route.ServeHTTP(w, r)
	default:
		t.fallback.ServeHTTP(w, r)
	}
	d.Forwarded, d.Backend, d.Weighed = x.forwarded, x.Backend, x.weighed
	if !d.Forwarded {
		d.Status, d.Header, d.Reason = x.Status, stage.header, x.Reason
	}
	return d
}

// pass makes d that of a connection that is handed on.
func (d *Decision) pass(to *passedHost, x *Exchange) {
	d.Rule, d.Answer, d.Err, d.Passed = to.Rule, Answer{}, nil, true
	if a := to.denies(x); a != (Answer{}) {
		d.Status, d.Reason = a.Status, a.Reason
		return
	}
	d.Forwarded, d.Backend = true, to.Rule.Backend
}

// stage is where the response to a rehearsed request ends.
type stage struct{ header http.Header }

func (s *stage) Header() http.Header         { return s.header }
func (s *stage) WriteHeader(int)             {}
func (s *stage) Write(b []byte) (int, error) { return len(b), nil }

// decide chooses the rule of a request, or the answer in place of one. When both are none,
// the table's fallback answers.
func (t *Table) decide(host, escaped string) Decision {
	d := Decision{Host: host}
	var err error
	if d.Path, err = router.CanonicalPath(escaped); err != nil {
		d.Answer, d.Err = Answer{http.StatusBadRequest, "bad-path"}, err
		return d
	}
	var matched *router.Route
	matched, d.Outcome = t.routes.Lookup(host, d.Path.Match)
	if d.Path.Slashes {
		// An encoded slash or a backslash is a separator to some backends and a letter to
		// others. Where the two readings choose the same route nobody can be misled.
		if other, _ := t.routes.Lookup(host, d.Path.AsSlashes()); other != matched {
			d.Answer = Answer{http.StatusBadRequest, "ambiguous-path"}
			d.Err = fmt.Errorf("path %q: %%2F, %%5C or a backslash read as a separator would choose another route", d.Path.Match)
			return d
		}
	}
	if plain, ok := d.Path.WithoutParameters(); ok {
		// Some backends take what follows a ";" in an element for no part of its name.
		if other, _ := t.routes.Lookup(host, plain); other != matched {
			d.Answer = Answer{http.StatusBadRequest, "ambiguous-path"}
			d.Err = fmt.Errorf("path %q: without its path parameters it would choose another route", d.Path.Match)
			return d
		}
	}
	switch {
	case matched != nil:
		d.route = matched.Handler.(*route)
		d.Rule = d.route.rule
	case t.fallback != nil:
	case d.Outcome == router.NoHost:
		d.Answer = Answer{http.StatusNotFound, "no-host-rule"}
	default:
		d.Answer = Answer{http.StatusNotFound, "no-path-rule"}
	}
	return d
}

// Candidate is a rule that concerns the host of a request, with what became of it: see
// router.Candidate.
type Candidate struct {
	Rule *Rule
	Loss router.Loss
	By   *Rule
}

// Candidates returns every rule that concerns the host of a Decision.
func (t *Table) Candidates(d *Decision) []Candidate {
	found := t.routes.Candidates(d.Host, d.Path.Match)
	all := make([]Candidate, len(found))
	for i, c := range found {
		all[i] = Candidate{Rule: ruleOf(c.Route), Loss: c.Loss, By: ruleOf(c.By)}
	}
	return all
}

// Hosts returns the hosts that have rules, sorted; "*" stands for rules without host.
func (t *Table) Hosts() []string { return t.routes.Hosts() }

func ruleOf(r *router.Route) *Rule {
	if r == nil {
		return nil
	}
	return r.Handler.(*route).rule
}
