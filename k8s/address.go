package k8s

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Addresses is where clients reach us. The zero value publishes nothing.
type Addresses struct {
	// Fixed are IP addresses and host names to publish as they are. If there are any,
	// Service is not looked at.
	Fixed []string
	// Service is the one in front of us, whose addresses are published.
	Service types.NamespacedName
}

// ParseAddresses splits a list of addresses at commas and spaces.
func ParseAddresses(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// resolve returns what to publish, sorted; ok is false when that is not known, because nothing
// is to be published or the Service does not exist: what is published is then left alone.
func (a Addresses) resolve(s *ingress.Snapshot) (addresses []netv1.IngressLoadBalancerIngress, ok bool) {
	if len(a.Fixed) > 0 {
		for _, address := range a.Fixed {
			addresses = append(addresses, entryOf(address))
		}
		return sortAddresses(addresses), true
	}
	svc := s.Services[a.Service]
	if svc == nil {
		return nil, false
	}
	return sortAddresses(serviceAddresses(svc)), true
}

// serviceAddresses are those that clients outside reach a Service by.
func serviceAddresses(svc *corev1.Service) []netv1.IngressLoadBalancerIngress {
	var addresses []netv1.IngressLoadBalancerIngress
	external := func() {
		for _, ip := range svc.Spec.ExternalIPs {
			addresses = append(addresses, netv1.IngressLoadBalancerIngress{IP: ip})
		}
	}
	cluster := func() {
		if ip := svc.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
			addresses = append(addresses, netv1.IngressLoadBalancerIngress{IP: ip})
		}
	}
	switch svc.Spec.Type {
	case corev1.ServiceTypeExternalName:
		addresses = append(addresses, entryOf(svc.Spec.ExternalName))
	case corev1.ServiceTypeLoadBalancer:
		for _, lb := range svc.Status.LoadBalancer.Ingress {
			addresses = append(addresses, netv1.IngressLoadBalancerIngress{IP: lb.IP, Hostname: lb.Hostname})
		}
		external()
	case corev1.ServiceTypeNodePort:
		if external(); len(addresses) == 0 {
			cluster()
		}
	default:
		cluster()
	}
	return addresses
}

func entryOf(address string) netv1.IngressLoadBalancerIngress {
	if ip, err := netip.ParseAddr(address); err == nil {
		return netv1.IngressLoadBalancerIngress{IP: ip.String()}
	}
	return netv1.IngressLoadBalancerIngress{Hostname: strings.ToLower(strings.TrimSuffix(address, "."))}
}

// lastReplica reports whether the published Service has at most one ready endpoint, as far as
// s shows its endpoints.
func (a Addresses) lastReplica(s *ingress.Snapshot) bool {
	return len(s.Slices[a.Service]) > 0 && readyEndpoints(s.Slices[a.Service]) <= 1
}

// wantedStatuses is what the Ingresses' status should say.
type wantedStatuses struct {
	addresses []netv1.IngressLoadBalancerIngress // sorted
	owned     map[types.NamespacedName]wantedStatus
}

type wantedStatus struct {
	uid   types.UID
	ports []netv1.IngressPortStatus // nil when there is no error
}

// want returns what the state u asks for; nil when nothing is to be written.
func want(a Addresses, u *Update) *wantedStatuses {
	addresses, ok := a.resolve(u.Snapshot)
	if !ok {
		return nil
	}
	w := &wantedStatuses{addresses: addresses, owned: make(map[types.NamespacedName]wantedStatus, len(u.Owned))}
	for _, ing := range u.Owned {
		w.owned[keyOf(ing)] = wantedStatus{uid: ing.UID}
	}
	if len(addresses) == 0 {
		return w
	}
	for _, p := range u.Problems {
		name := types.NamespacedName{Namespace: p.Object.Namespace, Name: p.Object.Name}
		if p.Object.Kind != "Ingress" || p.Severity != ingress.Error {
			continue
		}
		if s, ok := w.owned[name]; ok {
			s.ports = withPortError(s.ports, p)
			w.owned[name] = s
		}
	}
	return w
}

// withPortError adds a Problem to the errors of the ports 80 and 443. A port has one error:
// the first in the order of Problems. What is wrong with TLS concerns port 443 alone.
func withPortError(ports []netv1.IngressPortStatus, p ingress.Problem) []netv1.IngressPortStatus {
	if ports == nil {
		ports = []netv1.IngressPortStatus{{Port: 80, Protocol: corev1.ProtocolTCP}, {Port: 443, Protocol: corev1.ProtocolTCP}}
	}
	text := "fairlead.dev/" + string(p.Reason)
	for i := range ports {
		if ports[i].Error == nil && (ports[i].Port == 443 || !concernsTLS(p)) {
			ports[i].Error = &text
		}
	}
	return ports
}

func concernsTLS(p ingress.Problem) bool {
	reason := string(p.Reason)
	return strings.HasPrefix(reason, "Secret") || strings.HasPrefix(reason, "Certificate") || strings.HasPrefix(reason, "TLS") ||
		strings.HasPrefix(p.Field, "spec.tls")
}

// of returns what the named Ingress, whose status is live, should say and whether that is
// something else. One that is not ours loses what we wrote, and nothing else.
func (w *wantedStatuses) of(name types.NamespacedName, live liveStatus) ([]netv1.IngressLoadBalancerIngress, bool) {
	want, ok := w.owned[name]
	if !ok || want.uid != live.uid {
		return nil, live.ours && len(live.addresses) > 0
	}
	addresses := w.addresses
	if want.ports != nil {
		addresses = slices.Clone(addresses)
		for i := range addresses {
			addresses[i].Ports = want.ports
		}
	}
	same := equalAddresses(addresses, live.addresses) || equalAddresses(addresses, sortAddresses(slices.Clone(live.addresses)))
	return addresses, !same
}

func equalAddresses(a, b []netv1.IngressLoadBalancerIngress) bool {
	return slices.EqualFunc(a, b, func(x, y netv1.IngressLoadBalancerIngress) bool {
		return x.IP == y.IP && x.Hostname == y.Hostname && slices.EqualFunc(x.Ports, y.Ports, equalPort)
	})
}

func equalPort(a, b netv1.IngressPortStatus) bool {
	return a.Port == b.Port && a.Protocol == b.Protocol && (a.Error == nil) == (b.Error == nil) && (a.Error == nil || *a.Error == *b.Error)
}

func (w *wantedStatuses) differs(name types.NamespacedName, live liveStatus) bool {
	_, differs := w.of(name, live)
	return differs
}

// sortAddresses sorts in place and removes what is there twice or empty.
func sortAddresses(list []netv1.IngressLoadBalancerIngress) []netv1.IngressLoadBalancerIngress {
	list = slices.DeleteFunc(list, func(a netv1.IngressLoadBalancerIngress) bool { return a.IP == "" && a.Hostname == "" })
	slices.SortFunc(list, func(a, b netv1.IngressLoadBalancerIngress) int {
		return cmp.Or(cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.IP, b.IP))
	})
	return slices.CompactFunc(list, func(a, b netv1.IngressLoadBalancerIngress) bool { return a.Hostname == b.Hostname && a.IP == b.IP })
}
