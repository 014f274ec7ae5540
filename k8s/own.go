package k8s

import (
	"fmt"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// ownProblems are those of routes to endpoints that are listeners of this process: the data
// plane never connects to them.
func (c *Controller) ownProblems() []ingress.Problem {
	if len(c.own) == 0 {
		return nil
	}
	var problems []ingress.Problem
	for _, r := range c.plan.result.Config.Rules {
		own := c.own[r.Backend]
		if len(own) == 0 || r.Answer != (proxy.Answer{}) {
			continue
		}
		problems = append(problems, ingress.Problem{
			Object:   ingress.Object{Kind: "Ingress", Namespace: r.Origin.Namespace, Name: r.Origin.Name},
			Severity: ingress.Error, Reason: ingress.EndpointAddressDenied,
			Err: fmt.Errorf("endpoint %s of Service %s/%s is a port of this controller: it is never connected to", own[0], r.Backend.Namespace, r.Backend.Service),
		})
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
