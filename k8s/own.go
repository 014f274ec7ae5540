package k8s

import (
	"fmt"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// ownProblems are those of routes and canaries to endpoints that are listeners of this process:
// the data plane never connects to them.
func (c *Controller) ownProblems() []ingress.Problem {
	if len(c.filled.own) == 0 {
		return nil
	}
	var problems []ingress.Problem
	tell := func(origin router.Origin, backends ...*upstream.Key) {
		for _, backend := range backends {
			if backend == nil || len(c.filled.own[*backend]) == 0 {
				continue
			}
			own := c.filled.own[*backend]
			problems = append(problems, ingress.Problem{
				Object:   ingress.Object{Kind: "Ingress", Namespace: origin.Namespace, Name: origin.Name},
				Severity: ingress.Error, Reason: ingress.EndpointAddressDenied,
				Err: fmt.Errorf("endpoint %s of Service %s/%s is a port of this controller: it is never connected to", own[0], backend.Namespace, backend.Service),
			})
			return
		}
	}
	for _, r := range c.plan.result.Config.Rules() {
		if r.Answer != (proxy.Answer{}) {
			continue
		}
		tell(r.Origin, &r.Backend, r.Secure)
		if r.Canary != nil {
			tell(r.Canary.Origin, &r.Canary.Backend, r.Canary.Secure)
		}
	}
	return problems
}

// ownOf returns the addresses that are listeners of this process; nil for none.
func (c *Controller) ownOf(r upstream.Resolution) (own []upstream.Address) {
	if c.Own == nil {
		return nil
	}
	for _, a := range r.Addresses {
		if c.Own(a) {
			own = append(own, a)
		}
	}
	return own
}
