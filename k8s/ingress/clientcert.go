package ingress

import (
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// guardHosts gives what the first Ingress of a host asks of client certificates to all rules of
// the host, in order of precedence, as they share their connections: a path of another Ingress
// is no way around it. Where what is asked cannot be honoured the whole host is refused.
func guardHosts(rules []*proxy.Rule) []*proxy.Rule {
	var owners map[string]*policy.ClientCert
	for _, r := range rules {
		if r.Policies != nil && r.Policies.ClientCert != nil && owners[r.Host] == nil {
			if owners == nil {
				owners = make(map[string]*policy.ClientCert)
			}
			owners[r.Host] = r.Policies.ClientCert
		}
	}
	if owners == nil {
		return rules
	}
	type variant struct {
		set *policy.Set
		of  *policy.ClientCert
	}
	sets := make(map[variant]*policy.Set)
	all := make([]*proxy.Rule, len(rules))
	for i, r := range rules {
		all[i] = r
		owner := owners[r.Host]
		if owner == nil || r.Policies != nil && r.Policies.ClientCert == owner {
			continue
		}
		v := variant{r.Policies, owner}
		if sets[v] == nil {
			set := policy.Set{}
			if r.Policies != nil {
				set = *r.Policies
			}
			set.ClientCert = owner
			sets[v] = &set
		}
		guarded := *r
		guarded.Policies = sets[v]
		if owner.Refuse && r.PathType != router.HostOnly {
			guarded.Answer = policyRefused
		}
		all[i] = &guarded
	}
	return all
}
