package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// lookupTime bounds a DNS lookup of a probe, serverTime that of one server alone.
const (
	lookupTime = 5 * time.Second
	serverTime = 3 * time.Second
)

// explainWith answers q. With probe it first tries what objects do not tell: DNS, the way in and
// the endpoints. inside says that an instance asks: it connects to nothing that neither
// the cluster names nor the data plane may connect to.
func explainWith(ctx context.Context, v *explain.View, q explain.Question, probe, inside bool) *explain.Explanation {
	if !probe {
		return v.Explain(q)
	}
	if _, err := netip.ParseAddr(q.URL.Hostname()); err != nil && q.Answer == nil {
		q.Answer = lookUp(ctx, q.URL.Hostname())
	}
	q.Inside, q.Local = inside, localNetworks()
	name := v.ExternalName(q)
	if name == "" && q.Answer != nil && q.Answer.Silent {
		name = q.URL.Hostname()
	}
	// The parts read q side by side: what they find is put into it at the end.
	var (
		parts   sync.WaitGroup
		probes  []explain.Attempt
		fronts  []explain.FrontAttempt
		lookups []explain.Lookup
	)
	parts.Go(func() { probes = dial(v.Proxy.Pools.DialOutside).probeAll(ctx, v.Targets(q)) })
	parts.Go(func() { fronts = tryFronts(ctx, v, q) })
	if name != "" {
		parts.Go(func() { lookups = askServers(ctx, name, v.NameServers()) })
	}
	parts.Wait()
	q.Probes, q.Fronts, q.Lookups = probes, fronts, lookups
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
	a.Silent = silent(a.Err)
	return &a
}

// silent reports whether a failed lookup got no answer, in contrast to one that there is no such
// name.
func silent(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && !dns.IsNotFound
}

// askServers asks the servers that this machine is set up to ask, and then each of the cluster's.
func askServers(ctx context.Context, name string, servers []explain.NameServer) []explain.Lookup {
	name = strings.TrimSuffix(name, ".") + "." // no search domains
	lookups := make([]explain.Lookup, 1+len(servers))
	var wg sync.WaitGroup
	ask := func(l *explain.Lookup, r *net.Resolver, limit time.Duration) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		addresses, err := r.LookupNetIP(ctx, "ip", name)
		l.Found, l.Err, l.Silent = len(addresses) > 0, err, silent(err)
	}
	wg.Go(func() { ask(&lookups[0], net.DefaultResolver, lookupTime) })
	for i, s := range servers {
		l := &lookups[i+1]
		l.Server, l.ClusterIP = s.Address, s.ClusterIP
		wg.Go(func() {
			ask(l, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, s.Address)
			}}, serverTime)
		})
	}
	wg.Wait()
	return lookups
}

// tryFronts connects to where clients come in, and sends nothing.
func tryFronts(ctx context.Context, v *explain.View, q explain.Question) []explain.FrontAttempt {
	connect := (&net.Dialer{Timeout: probeTime}).DialContext
	if q.Inside {
		connect = v.Proxy.Pools.DialOutside
	}
	fronts := v.Fronts(q)
	fronts = fronts[:min(len(fronts), maxProbes)]
	attempts := make([]explain.FrontAttempt, len(fronts))
	var wg sync.WaitGroup
	for i, f := range fronts {
		wg.Go(func() {
			a := &attempts[i]
			a.Front = f
			if q.Inside && !f.Known {
				return
			}
			c, err := connect(ctx, "tcp", f.Address)
			if err == nil {
				_ = c.Close() // nothing was sent
				a.Tried = true
				return
			}
			a.Err, a.Fault = err, fault(errors.Join(errDial, err))
			// What the guard refuses is this instance itself, or nothing for it to try.
			a.Tried = !upstream.IsDenied(err)
		})
	}
	wg.Wait()
	return attempts
}

// localNetworks are the networks of this machine's interfaces but the loopback one, each with
// the machine's address there.
func localNetworks() []netip.Prefix {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Prefix
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			addr, _ := netip.AddrFromSlice(n.IP)
			bits, _ := n.Mask.Size()
			if addr = addr.Unmap(); !addr.IsLoopback() && !addr.IsLinkLocalUnicast() {
				list = append(list, netip.PrefixFrom(addr, bits))
			}
		}
	}
	return list
}

// localAddresses are the addresses of this machine's interfaces, the loopback one's too.
func localAddresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Addr
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			addr, _ := netip.AddrFromSlice(n.IP)
			list = append(list, addr.Unmap())
		}
	}
	return list
}
