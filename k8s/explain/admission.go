package explain

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// party is one end of a connection, as NetworkPolicies see it.
type party struct {
	namespace string // "" for an address outside of the cluster
	labels    map[string]string
	addr      netip.Addr  // zero when it is not known
	pod       *corev1.Pod // nil when only the labels are known
	name      string
}

// admission says whether policies let a connection through.
type admission uint8

const (
	refused admission = iota
	unknown           // depends on an address that is not known
	admitted
)

// admit judges a connection by the policies that select one end, subject, in one direction.
// With none it is admitted. The policies are returned when it is not admitted.
func (v *View) admit(direction netv1.PolicyType, subject, peer party, port int32, protocol corev1.Protocol) (admission, []*netv1.NetworkPolicy) {
	var selecting []*netv1.NetworkPolicy
	best := refused
	for _, p := range v.around.NetworkPolicies {
		if p.Namespace != subject.namespace || !hasType(p, direction) || !matches(&p.Spec.PodSelector, subject.labels) {
			continue
		}
		selecting = append(selecting, p)
		target := subject
		if direction == netv1.PolicyTypeEgress {
			target = peer
			for _, r := range p.Spec.Egress {
				best = max(best, v.rule(r.To, r.Ports, p.Namespace, peer, target, port, protocol))
			}
			continue
		}
		for _, r := range p.Spec.Ingress {
			best = max(best, v.rule(r.From, r.Ports, p.Namespace, peer, target, port, protocol))
		}
	}
	if len(selecting) == 0 {
		return admitted, nil
	}
	return best, selecting
}

// hasType applies the default of policyTypes: Ingress always, Egress when there are rules.
func hasType(p *netv1.NetworkPolicy, t netv1.PolicyType) bool {
	if len(p.Spec.PolicyTypes) > 0 {
		return slices.Contains(p.Spec.PolicyTypes, t)
	}
	return t == netv1.PolicyTypeIngress || len(p.Spec.Egress) > 0
}

func (v *View) rule(peers []netv1.NetworkPolicyPeer, ports []netv1.NetworkPolicyPort, namespace string, peer, target party, port int32, protocol corev1.Protocol) admission {
	if len(ports) > 0 && !slices.ContainsFunc(ports, func(p netv1.NetworkPolicyPort) bool { return admitsPort(p, target, port, protocol) }) {
		return refused
	}
	if len(peers) == 0 {
		return admitted
	}
	best := refused
	for _, p := range peers {
		best = max(best, v.peer(p, namespace, peer))
	}
	return best
}

func (v *View) peer(p netv1.NetworkPolicyPeer, namespace string, peer party) admission {
	if b := p.IPBlock; b != nil {
		return inBlock(b, peer.addr)
	}
	if peer.namespace == "" {
		return refused
	}
	if p.NamespaceSelector == nil && peer.namespace != namespace ||
		p.NamespaceSelector != nil && !matches(p.NamespaceSelector, v.namespaceLabels(peer.namespace)) {
		return refused
	}
	if p.PodSelector != nil && !matches(p.PodSelector, peer.labels) {
		return refused
	}
	return admitted
}

func inBlock(b *netv1.IPBlock, addr netip.Addr) admission {
	prefix, err := netip.ParsePrefix(b.CIDR)
	if err != nil {
		return refused
	}
	if !addr.IsValid() {
		if prefix.Bits() == 0 && len(b.Except) == 0 {
			return admitted
		}
		return unknown
	}
	if !prefix.Contains(addr) {
		return refused
	}
	for _, e := range b.Except {
		if except, err := netip.ParsePrefix(e); err == nil && except.Contains(addr) {
			return refused
		}
	}
	return admitted
}

// admitsPort resolves the names of ports with the containers of the target.
func admitsPort(p netv1.NetworkPolicyPort, target party, port int32, protocol corev1.Protocol) bool {
	want := corev1.ProtocolTCP
	if p.Protocol != nil {
		want = *p.Protocol
	}
	switch {
	case want != protocol:
		return false
	case p.Port == nil:
		return true
	case p.Port.StrVal != "":
		if target.pod == nil {
			return false
		}
		for _, c := range target.pod.Spec.Containers {
			for _, cp := range c.Ports {
				if cp.Name == p.Port.StrVal && cp.ContainerPort == port {
					return true
				}
			}
		}
		return false
	case p.EndPort != nil:
		return p.Port.IntVal <= port && port <= *p.EndPort
	}
	return p.Port.IntVal == port
}

// matches reports whether a selector has the labels; one that is not valid has none.
func matches(s *metav1.LabelSelector, set map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(set))
}

// namespaceLabels are those of the object, or the one that every namespace has.
func (v *View) namespaceLabels(name string) map[string]string {
	set := map[string]string{corev1.LabelMetadataName: name}
	for _, n := range v.around.Namespaces {
		if n.Name == name {
			for k, value := range n.Labels {
				set[k] = value
			}
		}
	}
	return set
}
