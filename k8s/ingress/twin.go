package ingress

import (
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// redirectTwins makes the rules that redirect the twins of the Ingress's hosts. Whether nobody
// else has those hosts is known when all have been read.
func (r *reader) redirectTwins() {
	if r.policies.WWW == nil {
		return
	}
	for _, host := range r.hosts {
		twin, ok := policy.Twin(host)
		if !ok {
			continue
		}
		rule := &proxy.Rule{Host: twin, Path: "/", PathType: router.Prefix, Origin: r.origin, Answer: noRoute}
		if r.fixed != (proxy.Answer{}) {
			// A host that fails closed does so under both names.
			set := r.policies
			set.AppRoot, set.WWW = "", nil
			rule.Answer, rule.Policies = r.fixed, r.hostPolicies(twin, set)
		} else {
			to := *r.policies.WWW
			to.Host = host
			rule.Policies = &policy.Set{Quirks: r.policies.Quirks, WWW: &to, Blocking: r.policies.Blocking, NotLogged: r.policies.NotLogged} // no two hosts' are equal
		}
		r.twins = append(r.twins, rule)
	}
}
