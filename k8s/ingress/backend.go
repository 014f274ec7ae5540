package ingress

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
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
	seen     uint64
}

// backend returns the one of key, made when there is none.
func (t *Translator) backend(key upstream.Key) *backend {
	b := t.backends[key]
	if b == nil {
		b = &backend{key: key}
		t.backends[key] = b
	}
	return b
}

// refresh resolves b again when one of its objects is another one.
func (b *backend) refresh(o *Options, s *Snapshot) {
	name := types.NamespacedName{Namespace: b.key.Namespace, Name: b.key.Service}
	service, list := s.Services[name], s.Slices[name]
	if b.known && b.service == service && b.local == s.LocalEndpoints && slices.Equal(b.slices, list) {
		return
	}
	b.known, b.service, b.slices, b.local = true, service, list, s.LocalEndpoints
	b.resolved, b.findings = resolve(o, b)
}

// resolve fills in the Resolutions of r and the Problems with them.
func (t *Translator) resolve(s *Snapshot, r *Result) {
	r.Resolutions = make(map[upstream.Key]upstream.Resolution, len(t.backends))
	take := func(b *backend, served bool) {
		if b.seen != t.generation {
			b.seen = t.generation
			b.refresh(&t.options, s)
		}
		if served {
			r.Resolutions[b.key] = b.resolved
		}
	}
	if b := t.fallback; b != nil {
		take(b, true)
		for _, f := range b.findings {
			r.Problems = append(r.Problems, f.on(serviceObject(b.key), ""))
		}
	}
	for _, e := range t.order {
		for _, ref := range e.references {
			take(ref.backend, ref.served)
			for _, f := range ref.backend.findings {
				r.Problems = append(r.Problems, f.on(e.object, ref.field))
			}
		}
	}
	for key, b := range t.backends {
		if b.seen != t.generation {
			delete(t.backends, key)
		}
	}
}

// Resolve returns what one backend leads to, with the Problems on all that refer to it in
// the last Snapshot that was translated: on each Ingress, or on the Service when nothing but
// Options.DefaultBackend does, or nothing at all.
func (t *Translator) Resolve(s *Snapshot, k upstream.Key) (upstream.Resolution, []Problem) {
	b := t.backends[k]
	if b == nil {
		b = &backend{key: k}
	}
	b.refresh(&t.options, s)
	if len(b.findings) == 0 {
		return b.resolved, nil
	}
	var problems []Problem
	for _, e := range t.order {
		for _, ref := range e.references {
			if ref.backend != b {
				continue
			}
			for _, f := range b.findings {
				problems = append(problems, f.on(e.object, ref.field))
			}
		}
	}
	if len(problems) == 0 || b == t.fallback {
		for _, f := range b.findings {
			problems = append(problems, f.on(serviceObject(k), ""))
		}
	}
	return b.resolved, sorted(problems)
}

func serviceObject(k upstream.Key) Object {
	return Object{Kind: "Service", Namespace: k.Namespace, Name: k.Service}
}

func failed(code string, f finding) (upstream.Resolution, []finding) {
	return upstream.Resolution{Reason: code}, []finding{f}
}

func resolve(o *Options, b *backend) (upstream.Resolution, []finding) {
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
	return resolveSlices(b, port)
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
