package ingress

import (
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// Rules returns what an Ingress asks for, with the Problems of the object by itself, as if it
// were ours and no Secret existed: what Translate makes of it when its class says that it is.
func Rules(o Options, ing *netv1.Ingress) ([]*proxy.Rule, []Problem) {
	o = o.withDefaults()
	e := newEntry(ing)
	rules := read(&o, new(Snapshot), nil, &settings{}, e)
	return rules, sorted(e.problems)
}

// Resolve returns what one backend leads to by the Services and EndpointSlices of s, with the
// Problems on the Service. No other part of s is looked at.
func Resolve(o Options, s *Snapshot, k upstream.Key) (upstream.Resolution, []Problem) {
	o = o.withDefaults()
	bs := newBackends(upstream.Key{})
	b := &backend{key: k}
	bs.refresh(b, &o, s)
	return b.resolved, sorted(b.problems(&bs))
}

// ServicePort returns the port of svc that a backend with the given name or number of a port
// leads to, as Resolve finds it; false when there is none.
func ServicePort(svc *corev1.Service, k upstream.Key) (corev1.ServicePort, bool) {
	t, f := servicePort(svc, k)
	return t.ServicePort, f.err == nil
}
