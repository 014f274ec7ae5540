package proxy

import (
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// The handlers of package policy find in the responseWriter what they must know of a request.
var _ policy.Exchange = (*responseWriter)(nil)

// Client implements policy.Exchange, as the methods that follow do.
func (w *responseWriter) Client() netip.Addr { return w.x.ClientIP }

// Scheme is the client's, by what a trusted proxy says.
func (w *responseWriter) Scheme() string { return w.x.clientScheme }

// Connection is the scheme of the connection.
func (w *responseWriter) Connection() string { return w.x.Scheme }

// CanonicalHost is the host that was routed on.
func (w *responseWriter) CanonicalHost() string { return w.x.Host }

// CanonicalPath is the path that was routed on.
func (w *responseWriter) CanonicalPath() string { return w.x.path }

// ID is the request's identity.
func (w *responseWriter) ID() string { return w.x.RequestID }

// SendPrefix sets X-Forwarded-Prefix for the backend.
func (w *responseWriter) SendPrefix(prefix string) { w.x.sendPrefix = prefix }

// SendHost sets the Host for the backend.
func (w *responseWriter) SendHost(host string) { w.x.sendHost = host }

// SendField sets a field for the backend.
func (w *responseWriter) SendField(name, value string) {
	if name == "Host" {
		if httpguts.ValidHostHeader(value) {
			w.x.sendHost = value
		}
		return
	}
	w.x.sendFields = append(w.x.sendFields, [2]string{name, value})
}

// SentFields are the fields that were set for the backend.
func (w *responseWriter) SentFields() [][2]string { return w.x.sendFields }

// SetCookie adds a cookie to the response of the backend.
func (w *responseWriter) SetCookie(cookie string) { w.x.setCookie = cookie }

// Bind binds the request to an endpoint.
func (w *responseWriter) Bind(hash uint64) { w.x.pick = upstream.Pick{Size: 1, Hash: hash} }

// Rehearsal says that nothing must come of the request.
func (w *responseWriter) Rehearsal() bool { return w.x.rehearsal }

// Answer sends an answer of the proxy's own.
func (*responseWriter) Answer(w http.ResponseWriter, r *http.Request, status int, reason string, err error) {
	fail(w, r, status, reason, err)
}

// withPolicies returns the handler of a rule: its policies in front of next. uses is told of the
// requests that depend on quirks.
func (p *Proxy) withPolicies(rule *Rule, uses *policy.Uses, next http.Handler) http.Handler {
	set := rule.Policies
	switch {
	case hasPolicies(rule):
	case set == nil && rule.PathType == router.Regexp:
		set = &policy.Set{} // only its quirks are counted
	default:
		return next
	}
	facts := factsOf(rule)
	facts.Uses = uses
	return policy.Wrap(set, facts, &p.policies, next)
}

// PolicyNames returns the names of what a rule does beside forwarding, in the order in which a
// request meets it.
func PolicyNames(rule *Rule) []string {
	if !hasPolicies(rule) {
		return nil
	}
	return policy.Names(rule.Policies, factsOf(rule))
}

func hasPolicies(rule *Rule) bool {
	return rule.Policies != nil && rule.PathType != router.HostOnly && !failsClosed(rule)
}

// factsOf is what the policies must know of their rule.
func factsOf(rule *Rule) policy.Rule {
	host := rule.Host
	if rule.AliasOf != "" {
		host = rule.AliasOf
	}
	facts := policy.Rule{
		Namespace: rule.Origin.Namespace, Ingress: rule.Origin.Name, Host: host, Path: rule.Path,
		Service: rule.Backend.Service, Port: rule.Backend.Port,
	}
	if rule.PathType == router.Regexp {
		patternFacts(&facts, rule)
	}
	return facts
}

// failsClosed says that the rule's answer stands for policies that cannot be honoured. Those
// that can must not let part of the requests elsewhere.
func failsClosed(rule *Rule) bool {
	return rule.Answer != (Answer{}) && (len(rule.Policies.Refused) > 0 || rule.Policies.Unroutable)
}

// newPolicies makes what the handlers of all rules share.
func newPolicies(pools *upstream.Registry) policy.Env {
	return policy.Env{Transport: &http.Transport{
		DialContext:            pools.DialOutside,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        50 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
	}}
}
