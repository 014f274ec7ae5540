package proxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// Config is everything a Proxy serves, as plain data.
type Config struct {
	// Hosts has each host once, in the order of Host. It must not change once it was given to
	// Compile. A host that is the same in the next Config should be the same pointer, which
	// costs nothing; then its Rules that are the same should be, and last Rules are compared.
	Hosts []*HostRules
	// DefaultBackend answers what no Rule matches. The zero Key answers 404.
	DefaultBackend upstream.Key
	// DefaultPolicies are in front of DefaultBackend: see policy.ParseDefault. They are never
	// changed. Nil has none.
	DefaultPolicies *policy.Set
	// Trust is of the forwarding fields, beside the Proxy's TrustedProxies.
	Trust policy.Trust
	// Listener is of the data ports.
	Listener policy.Listener
}

// Rules are those of all hosts. The slice is the caller's.
func (c Config) Rules() []*Rule {
	var all []*Rule
	for _, h := range c.Hosts {
		all = append(all, h.Rules...)
	}
	return all
}

// HostRules is all the rules of one host. Their order has no meaning.
type HostRules struct {
	Host  string // as in Rule, where it is the same in each of Rules
	Rules []*Rule
	// Ciphers are those of TLS 1.2 for connections to the host; nil leaves that to the Listener.
	Ciphers []uint16
	// Passthrough is nil where TLS ends here.
	Passthrough *Passthrough
}

// ByHost makes Config.Hosts of rules in any order.
func ByHost(rules []*Rule) []*HostRules {
	var hosts []*HostRules
	byKey := make(map[string]*HostRules)
	for _, r := range rules {
		key := router.HostKey(r.Host)
		h := byKey[key]
		if h == nil {
			h = &HostRules{Host: r.Host}
			byKey[key] = h
			hosts = append(hosts, h)
		}
		h.Rules = append(h.Rules, r)
	}
	slices.SortFunc(hosts, compareHosts)
	return hosts
}

func compareHosts(a, b *HostRules) int { return strings.Compare(a.Host, b.Host) }

// Rule is the plain-data input of one route. Two Rules that are deeply equal behave alike,
// so a rule that did not change keeps its compiled handler from one table to the next.
type Rule struct {
	Host     string // as in router.Route
	AliasOf  string // the host whose rule it is, if Host is but another name of that; else empty
	Path     string
	PathType router.PathType
	Origin   router.Origin // the Ingress it came from
	Backend  upstream.Key  // not used when Answer is set
	// Secure is the Backend of requests over connections with TLS; nil: it is the same.
	Secure *upstream.Key
	// Policies may be shared by many rules (those of one Ingress) and is never changed.
	// Nil has none.
	Policies *policy.Set
	// DefaultBackend answers while the Backend has no endpoints. It also gives the error pages
	// that the Policies ask for, and ErrorBackend does while it has no endpoints itself. Nil:
	// there is none.
	DefaultBackend, ErrorBackend *upstream.Key
	// Regex is for rules of type Regexp.
	Regex Regex
	// Canary is an alternative backend, for the requests that it says; nil for none.
	Canary *Canary
	// Answer, when not zero, is given to every request instead of forwarding it: how a rule
	// that cannot be honoured fails.
	Answer Answer
}

// Target is what the rule leads to, as text: for dumps.
func (r *Rule) Target() string {
	switch {
	case r.PathType == router.HostOnly:
		return ""
	case r.Answer != (Answer{}):
		return fmt.Sprintf("%d:%s", r.Answer.Status, r.Answer.Reason)
	case r.Canary != nil:
		return targets(r.Backend, r.Secure) + "+" + targets(r.Canary.Backend, r.Canary.Secure)
	}
	return targets(r.Backend, r.Secure)
}

// eachBackend calls f for every backend that r leads to.
func (r *Rule) eachBackend(f func(upstream.Key)) {
	if r.Answer != (Answer{}) || r.Backend == (upstream.Key{}) {
		return
	}
	f(r.Backend)
	for _, k := range [...]*upstream.Key{r.Secure, r.DefaultBackend, r.ErrorBackend} {
		if k != nil {
			f(*k)
		}
	}
	if r.Canary != nil {
		f(r.Canary.Backend)
		if r.Canary.Secure != nil {
			f(*r.Canary.Secure)
		}
	}
}

func targets(key upstream.Key, secure *upstream.Key) string {
	if secure == nil {
		return key.Target()
	}
	return key.Target() + "|" + secure.Target()
}

// Canary is the backend of a canary Ingress, behind the policies of the rule that it is joined to.
type Canary struct {
	Backend upstream.Key
	Secure  *upstream.Key // as in Rule
	Origin  router.Origin // the canary Ingress
	Policy  *policy.Canary
	Balance policy.Balance // of the canary Ingress: that of the rule is for the rule's own endpoints
}

// Answer is a fixed response. The zero value is none.
type Answer struct {
	Status int
	Reason string // the code in the body and the log, such as "unsupported-backend"
}
