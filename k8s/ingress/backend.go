package ingress

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// The codes of a Resolution without addresses.
const (
	reasonService      = "service-not-found"
	reasonPort         = "port-not-found"
	reasonProtocol     = "protocol-unsupported"
	reasonEmpty        = "no-endpoints"
	reasonNotReady     = "no-ready-endpoints"
	reasonDenied       = "endpoint-denied"
	reasonNameDenied   = "external-name-denied"
	reasonNameDisabled = "external-name-disabled"
	reasonNameInvalid  = "external-name-invalid"
)

// backend is what a Key leads to, and what that was made of.
type backend struct {
	key      upstream.Key
	known    bool // the rest is set
	service  *corev1.Service
	slices   []*discoveryv1.EndpointSlice
	local    bool
	resolved upstream.Resolution
	findings []finding

	users  []user
	served int      // how many of users forward to it
	joined int      // on how many hosts it is of a canary that gets requests
	next   *backend // another one of the Service; nil for the last
}

// user is an Ingress that refers to a backend.
type user struct {
	*entry
	field string // where it does
}

// backends are those that Ingresses refer to, and that of Options.DefaultBackend.
type backends struct {
	byKey    map[upstream.Key]*backend
	fallback *backend              // nil when there is none
	failing  map[*backend]struct{} // those with findings
	// byService has the first of those of a Service.
	byService map[types.NamespacedName]*backend
	// resolutions are those of the last Result. They are right but for the backends in touched.
	resolutions upstream.Map[upstream.Resolution]
	touched     map[*backend]struct{}
}

func newBackends(fallback upstream.Key) backends {
	bs := backends{
		byKey:     make(map[upstream.Key]*backend),
		byService: make(map[types.NamespacedName]*backend),
		failing:   make(map[*backend]struct{}),
		touched:   make(map[*backend]struct{}),
	}
	if fallback != (upstream.Key{}) {
		bs.fallback = bs.at(fallback)
		bs.touched[bs.fallback] = struct{}{}
	}
	return bs
}

// at returns the backend of a key, and makes it if need be.
func (bs *backends) at(k upstream.Key) *backend {
	b := bs.byKey[k]
	if b == nil {
		b = &backend{key: k}
		b.next = bs.byService[b.name()]
		bs.byKey[k], bs.byService[b.name()] = b, b
	}
	return b
}

// forget takes back at.
func (bs *backends) forget(b *backend) {
	delete(bs.byKey, b.key)
	delete(bs.failing, b)
	first := bs.byService[b.name()]
	switch {
	case first == b && b.next == nil:
		delete(bs.byService, b.name())
	case first == b:
		bs.byService[b.name()] = b.next
	default:
		for first.next != b {
			first = first.next
		}
		first.next = b.next
	}
}

// link notes that e refers to its backends.
func (bs *backends) link(e *entry) {
	for _, ref := range e.references {
		b := bs.at(ref.key)
		b.users = append(b.users, user{e, ref.field})
		if ref.served {
			b.served++
		}
		bs.touched[b] = struct{}{}
	}
}

// unlink takes back link.
func (bs *backends) unlink(e *entry) {
	for _, ref := range e.references {
		b := bs.byKey[ref.key]
		i := slices.IndexFunc(b.users, func(u user) bool { return u.entry == e })
		last := len(b.users) - 1
		b.users[i], b.users[last] = b.users[last], user{}
		b.users = b.users[:last]
		if ref.served {
			b.served--
		}
		bs.touched[b] = struct{}{}
	}
}

// refresh resolves b again when one of its objects is another one.
func (bs *backends) refresh(b *backend, o *Options, s *Snapshot) {
	service, list := s.Services[b.name()], s.Slices[b.name()]
	if b.known && b.service == service && b.local == s.LocalEndpoints && slices.Equal(b.slices, list) {
		return
	}
	b.known, b.service, b.slices, b.local = true, service, list, s.LocalEndpoints
	b.resolved, b.findings = resolve(o, b)
	bs.touched[b] = struct{}{}
	if len(b.findings) > 0 {
		bs.failing[b] = struct{}{}
	} else {
		delete(bs.failing, b)
	}
}

// settle brings resolutions up to date and forgets what nobody refers to.
func (bs *backends) settle() {
	next := bs.resolutions.Edit()
	for b := range bs.touched {
		was, had := next.Get(b.key)
		switch has := b.served > 0 || b.joined > 0 || b == bs.fallback; {
		case has && !(had && was.Equal(b.resolved)):
			next.Set(b.key, b.resolved)
		case !has:
			next.Delete(b.key)
		}
		if len(b.users) == 0 && b != bs.fallback {
			bs.forget(b)
		}
	}
	clear(bs.touched)
	bs.resolutions = next.Map()
}

func (b *backend) name() types.NamespacedName {
	return types.NamespacedName{Namespace: b.key.Namespace, Name: b.key.Service}
}

// problems are the findings of b, told of all that refer to it: each Ingress, or the Service
// when that is Options.DefaultBackend or nothing at all.
func (b *backend) problems(bs *backends) []Problem {
	var problems []Problem
	for _, f := range b.findings {
		for _, u := range b.users {
			problems = append(problems, f.on(u.object, u.field))
		}
		if b == bs.fallback || len(b.users) == 0 {
			problems = append(problems, f.on(serviceObject(b.key), ""))
		}
	}
	return problems
}

// resolve returns what every backend leads to.
func (t *Translator) resolve(s *Snapshot) upstream.Map[upstream.Resolution] {
	bs := &t.backends
	if sameMap(t.last.Services, s.Services) && sameMap(t.last.Slices, s.Slices) && t.last.LocalEndpoints == s.LocalEndpoints {
		for b := range bs.touched {
			bs.refresh(b, &t.options, s)
		}
	} else {
		for _, b := range bs.byKey {
			bs.refresh(b, &t.options, s)
		}
	}
	bs.settle()
	return bs.resolutions
}

// Resolve returns what one backend leads to by the Services and EndpointSlices of s, with the
// Problems on all that refer to it in the last Snapshot that was translated: on each Ingress,
// or on the Service when that is Options.DefaultBackend or nothing at all. No other part of s
// is looked at.
func (t *Translator) Resolve(s *Snapshot, k upstream.Key) (upstream.Resolution, []Problem) {
	b := t.backends.byKey[k]
	if b == nil {
		return Resolve(t.options, s, k)
	}
	t.backends.refresh(b, &t.options, s)
	return b.resolved, sorted(b.problems(&t.backends))
}

// Recheck looks again at the backends of a Service, also those that nothing is forwarded to as their
// rules are closed. It reports whether their Problems are others than when they were last looked
// at, by Translate, Resolve or Recheck. Of s no other part is looked at.
func (t *Translator) Recheck(s *Snapshot, service types.NamespacedName) bool {
	changed := false
	for b := t.backends.byService[service]; b != nil; b = b.next {
		before := b.findings
		t.backends.refresh(b, &t.options, s)
		changed = changed || !slices.EqualFunc(before, b.findings, func(f, g finding) bool { return f.reason == g.reason && f.err.Error() == g.err.Error() })
	}
	return changed
}

func serviceObject(k upstream.Key) Object {
	return Object{Kind: "Service", Namespace: k.Namespace, Name: k.Service}
}

func failed(code string, f finding) (upstream.Resolution, []finding) {
	return upstream.Resolution{Reason: code}, []finding{f}
}

// resolve returns what b leads to, and what is wrong with that.
func resolve(o *Options, b *backend) (upstream.Resolution, []finding) {
	r, findings := lookUp(o, b)
	if len(r.Addresses) > 0 && !r.Protocol.TLS() && b.key.TLS != (upstream.Demand{}) {
		findings = append(findings, found(AnnotationNoEffect, "Service %s/%s is spoken to without TLS (%s), so what proxy-ssl-* annotations ask for has no effect: write backend-protocol: HTTPS beside them",
			b.key.Namespace, b.key.Service, r.Protocol))
	}
	return r, findings
}

func lookUp(o *Options, b *backend) (upstream.Resolution, []finding) {
	if b.service == nil {
		return failed(reasonService, found(ServiceNotFound, "Service %s/%s not found", b.key.Namespace, b.key.Service))
	}
	if b.service.Spec.Type == corev1.ServiceTypeExternalName {
		return resolveExternalName(o, b)
	}
	port, f := servicePort(b.service, b.key)
	if f.err != nil {
		return failed(portCode(f), f)
	}
	r, findings := lead(b, port)
	if port.named {
		findings = append(findings, found(TargetPortNamed, "Service %s/%s has no port %s, and %s has it as its targetPort, so that serves as behind ingress-nginx: the Ingress should name port %d",
			b.key.Namespace, b.key.Service, b.key.Port, portName(port.ServicePort), port.Port))
	}
	return r, findings
}

// lead returns where a port of b leads.
func lead(b *backend, port target) (upstream.Resolution, []finding) {
	ip := b.service.Spec.ClusterIP
	switch {
	case !b.key.Cluster:
		return resolveSlices(b, port)
	case ip == "" || ip == corev1.ClusterIPNone:
		r, findings := resolveSlices(b, port)
		return r, append(findings, found(AnnotationNoEffect, "Service %s/%s has no address of its own, which service-upstream asks for: its endpoints are used", b.key.Namespace, b.key.Service))
	}
	return resolveCluster(b, port, ip)
}

// resolveCluster leads to the Service's own address, whatever its endpoints are.
func resolveCluster(b *backend, port target, ip string) (upstream.Resolution, []finding) {
	addr, err := endpointAddress(ip, b.local)
	if err != nil {
		return failed(reasonDenied, found(EndpointAddressDenied, "Service %s/%s: cluster address %w", b.key.Namespace, b.key.Service, err))
	}
	number, ok := validPort(port.Port)
	if !ok {
		return failed(reasonPort, portNotFound(b.service, b.key))
	}
	return upstream.Resolution{
		Protocol:  b.key.Protocol.Or(protocol(port.AppProtocol)),
		Addresses: []upstream.Address{{Host: addr.String(), Port: number}},
	}, nil
}

func portCode(f finding) string {
	if f.reason == ServicePortProtocol {
		return reasonProtocol
	}
	return reasonPort
}

// target is a Service port that a backend leads to.
type target struct {
	corev1.ServicePort
	// direct says that the number is that of the endpoints, whatever their slices say.
	direct bool
	// named says that the backend named not the port but its targetPort.
	named bool
}

// servicePort finds the port of the Service that key names. A headless Service may have no
// ports at all; then a number is that of the endpoints themselves.
func servicePort(svc *corev1.Service, key upstream.Key) (target, finding) {
	ports := svc.Spec.Ports
	number, numeric := portNumber(key)
	if len(ports) == 0 && svc.Spec.ClusterIP == corev1.ClusterIPNone && numeric {
		return target{ServicePort: corev1.ServicePort{Port: number}, direct: true}, finding{}
	}
	var other *corev1.ServicePort
	for i := range ports {
		p := &ports[i]
		switch {
		case key.Port == "": // the first
		case numeric && p.Port == number:
		case !numeric && p.Name == key.Port:
		default:
			continue
		}
		if isTCP(p.Protocol) {
			return target{ServicePort: *p}, finding{}
		}
		if other == nil {
			other = p
		}
	}
	if other != nil {
		return target{}, found(ServicePortProtocol, "port %s of Service %s/%s is %s, want TCP", portName(*other), key.Namespace, key.Service, other.Protocol)
	}
	if key.TargetPort {
		for i := range ports {
			if p := &ports[i]; isTCP(p.Protocol) && p.TargetPort.String() == key.Port {
				return target{ServicePort: *p, named: true}, finding{}
			}
		}
	}
	return target{}, portNotFound(svc, key)
}

// number is the port of the endpoints where nothing else says it: a targetPort that is a
// name means nothing without Pods.
func (t target) number() int32 {
	if t.TargetPort.IntVal != 0 {
		return t.TargetPort.IntVal
	}
	return t.Port
}

func portNumber(key upstream.Key) (int32, bool) {
	n, err := strconv.ParseUint(key.Port, 10, 16)
	return int32(n), err == nil && n > 0
}

func portNotFound(svc *corev1.Service, key upstream.Key) finding {
	if len(svc.Spec.Ports) == 0 {
		return found(PortNotFound, "Service %s/%s has no ports, want %s", key.Namespace, key.Service, key.Port)
	}
	has := make([]string, 0, len(svc.Spec.Ports))
	hint := ""
	for _, p := range svc.Spec.Ports {
		has = append(has, portName(p))
		if p.TargetPort.String() == key.Port {
			hint = "; " + key.Port + " is the targetPort of " + portName(p)
		}
	}
	return found(PortNotFound, "Service %s/%s has no port %s, it has %s%s", key.Namespace, key.Service, key.Port, strings.Join(has, ", "), hint)
}

// portName returns "80", or "80 (name)".
func portName(p corev1.ServicePort) string {
	if p.Name == "" {
		return strconv.Itoa(int(p.Port))
	}
	return strconv.Itoa(int(p.Port)) + " (" + p.Name + ")"
}

func isTCP(p corev1.Protocol) bool { return p == "" || p == corev1.ProtocolTCP }

// protocol reads an appProtocol: the names that Kubernetes defines, the one of IANA for
// HTTPS, and "grpc", which works over HTTP/2 alone. Any other is HTTP.
func protocol(appProtocol *string) upstream.Protocol {
	if appProtocol == nil {
		return upstream.HTTP
	}
	switch strings.ToLower(*appProtocol) {
	case "https", "kubernetes.io/wss":
		return upstream.HTTPS
	case "kubernetes.io/h2c", "h2c", "grpc":
		return upstream.H2C
	}
	return upstream.HTTP
}
