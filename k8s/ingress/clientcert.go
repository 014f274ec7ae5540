package ingress

import (
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// guardHost gives what the first Ingress of a host asks of client certificates to all rules of
// the host, in order of precedence, as they share their connections: a path of another Ingress
// is no way around it. Where what is asked cannot be honoured the whole host is refused.
func guardHost(rules []*proxy.Rule) []*proxy.Rule {
	var owner *policy.ClientCert
	for _, r := range rules {
		if owner == nil && r.Policies != nil {
			owner = r.Policies.ClientCert
		}
	}
	if owner == nil {
		return rules
	}
	sets := make(map[*policy.Set]*policy.Set)
	all := make([]*proxy.Rule, len(rules))
	for i, r := range rules {
		all[i] = r
		if r.Policies != nil && r.Policies.ClientCert == owner {
			continue
		}
		if sets[r.Policies] == nil {
			set := policy.Set{}
			if r.Policies != nil {
				set = *r.Policies
			}
			set.ClientCert = owner
			sets[r.Policies] = &set
		}
		guarded := *r
		guarded.Policies = sets[r.Policies]
		if owner.Refuse && r.PathType != router.HostOnly {
			guarded.Answer = policyRefused
		}
		all[i] = &guarded
	}
	return all
}
