package proxy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// errorPages is who answers in place of the errors of one rule, or of what no rule matches. Nil: nobody does. Wherever an
// error is sent, by a policy or by the last handler, it is asked, and at most once for a request:
// the answer of a page, and a page that cannot be had, are final.
type errorPages struct {
	errors   policy.Errors
	policies *policy.Set // may be nil
	facts    policy.Rule
	// own is of the rule's DefaultBackend, other of its ErrorBackend; nil for none.
	own, other *forwarder
}

// errorPages returns those of a rule.
func (p *Proxy) errorPages(rule *Rule) *errorPages {
	if rule.Answer != (Answer{}) || rule.Policies == nil || rule.Backend == (upstream.Key{}) ||
		rule.DefaultBackend == nil && rule.ErrorBackend == nil {
		return nil
	}
	e := &errorPages{errors: rule.Policies.Errors, policies: rule.Policies, facts: factsOf(rule)}
	leading := func(k *upstream.Key) *forwarder {
		if k == nil {
			return nil
		}
		return &forwarder{p: p, pool: p.Pools.Pool(*k), timeouts: rule.Policies.Timeouts}
	}
	e.own, e.other = leading(rule.DefaultBackend), leading(rule.ErrorBackend)
	return e
}

// fallbackPages returns those of requests that no rule matches: key, where these are sent, has the
// pages of its own errors too, as it knows what to say to whom only by X-Code and X-Format.
func (p *Proxy) fallbackPages(key upstream.Key, set *policy.Set) *errorPages {
	if len(set.Errors.Codes) == 0 {
		return nil
	}
	return &errorPages{errors: set.Errors, other: &forwarder{p: p, pool: p.Pools.Pool(key)}}
}

// begin makes x ask for the pages. What a page is told of r is what the client said, before
// guards and the forwarder change it.
func (e *errorPages) begin(x *Exchange, r *http.Request) {
	x.pages = e
	if len(e.errors.Codes) > 0 {
		x.header = r.Header.Clone()
	}
}

// standIn returns the pool that gets the request in place of pool, nil if that gets it.
func (e *errorPages) standIn(x *Exchange, r *http.Request, pool *upstream.Pool) *upstream.Pool {
	if e == nil || e.own == nil || x.rehearsal || len(pool.Endpoints()) > 0 || len(e.own.pool.Endpoints()) == 0 {
		return nil
	}
	x.pages = nil
	x.sendFields = append(x.sendFields, e.fields(http.StatusServiceUnavailable, r.Header)...)
	return e.own.pool
}

// page returns who has the page of an error with status, nil if it has none.
func (e *errorPages) page(status int) *forwarder {
	if !slices.Contains(e.errors.Codes, status) {
		return nil
	}
	for _, f := range [...]*forwarder{e.own, e.other} {
		if f != nil && len(f.pool.Endpoints()) > 0 {
			return f
		}
	}
	return nil
}

// answer sends the page in place of a, an answer of ours, and reports whether it did.
func (e *errorPages) answer(w http.ResponseWriter, r *http.Request, a Answer) bool {
	x := exchangeOf(w)
	if e == nil || x.rehearsal {
		return false
	}
	f := e.page(a.Status)
	if f == nil {
		return false
	}
	w.Header()[ReasonHeader] = []string{a.Reason}
	e.send(f, w, r, a)
	return true
}

// replace sends the page in place of resp, an error of the backend, and reports whether it did.
// Then resp is closed. body is the request's, nil if it has none.
func (e *errorPages) replace(w http.ResponseWriter, r *http.Request, resp *http.Response, body *requestBody) bool {
	if e == nil || e.errors.PassOn {
		return false
	}
	f := e.page(resp.StatusCode)
	if f == nil {
		return false
	}
	h := w.Header()
	if challenge := resp.Header["Www-Authenticate"]; resp.StatusCode == http.StatusUnauthorized && len(challenge) > 0 {
		h["Www-Authenticate"] = slices.Clone(challenge) // a client cannot sign in without
	}
	if body != nil && r.ProtoMajor == 1 && !body.complete() {
		h["Connection"] = []string{"close"}
	}
	status := resp.StatusCode
	_ = resp.Body.Close()
	e.send(f, w, r, Answer{status, "error-page-failed"})
	return true
}

// send asks for the page of a and sends it. Only what the request was, and not its content, is
// for those who have the pages: a body was for the backend, and credentials are. Cookies stay in
// the namespace of the rule, where the backend is.
func (e *errorPages) send(f *forwarder, w http.ResponseWriter, r *http.Request, a Answer) {
	x := exchangeOf(w)
	x.pages, x.instead = nil, a
	x.sendPrefix, x.sendHost, x.setCookie, x.pick = "", "", "", upstream.Pick{}
	h := x.header
	x.sendFields = append(e.fields(a.Status, h), [2]string{"X-Original-Uri", originalURI(r)})
	for _, name := range [...]string{
		"Authorization", "Upgrade", "Expect", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Trailer",
		"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
	} {
		delete(h, name)
	}
	if f == e.other {
		delete(h, "Cookie")
	}
	for name := range h {
		if e.policies.Vouches(name) {
			delete(h, name)
		}
	}
	page := *r
	page.Header, page.Body, page.ContentLength, page.TransferEncoding, page.Trailer = h, http.NoBody, 0, nil, nil
	forwardPath(&page, "/")
	f.ServeHTTP(w, &page)
}

// fields tell of an error to those who answer for it. What the client said under these names is
// replaced, and h is what it said.
func (e *errorPages) fields(status int, h http.Header) [][2]string {
	return [][2]string{
		{"X-Code", strconv.Itoa(status)},
		{"X-Format", strings.Join(h["Accept"], ", ")},
		{"X-Namespace", e.facts.Namespace},
		{"X-Ingress-Name", e.facts.Ingress},
		{"X-Service-Name", e.facts.Service},
		{"X-Service-Port", e.facts.Port},
	}
}

// forget deletes from h what the client said under the names of fields, in any spelling.
func forget(h http.Header, fields [][2]string) {
	if len(fields) == 0 {
		return
	}
	for name := range h {
		if sent(fields, name) {
			delete(h, name)
		}
	}
}

// sent reports whether a field of that name, in any spelling, is one of fields.
func sent(fields [][2]string, name string) bool {
	return slices.ContainsFunc(fields, func(f [2]string) bool { return policy.SameField(f[0], name) })
}

// originalURI is the target of r as the client sent it, without scheme and host.
func originalURI(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}
