package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
)

// lookupTime bounds a DNS lookup of a probe.
const lookupTime = 5 * time.Second

// explainWith answers q, and asks DNS first when probe is set.
func explainWith(ctx context.Context, v *explain.View, q explain.Question, probe bool) *explain.Explanation {
	if !probe {
		return v.Explain(q)
	}
	if _, err := netip.ParseAddr(q.URL.Hostname()); err != nil && q.Answer == nil {
		q.Answer = lookUp(ctx, q.URL.Hostname())
	}
	q.Probes = dial(v.Proxy.Pools.DialOutside).probeAll(ctx, v.Targets(q))
	return v.Explain(q)
}

func lookUp(ctx context.Context, host string) *explain.Answer {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var a explain.Answer
	a.Addresses, a.Err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i, addr := range a.Addresses {
		a.Addresses[i] = addr.Unmap()
	}
	var dns *net.DNSError
	a.Silent = errors.As(a.Err, &dns) && !dns.IsNotFound
	return &a
}
