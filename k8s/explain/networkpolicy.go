package explain

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// controllers are the controller's Pods, or what is known of them when none are.
func (v *View) controllers() []party {
	var list []party
	for _, p := range v.pods[v.Controller.Namespace] {
		if labels.SelectorFromSet(v.Controller.Labels).Matches(labels.Set(p.Labels)) {
			list = append(list, podParty(p))
		}
	}
	if len(list) == 0 {
		list = append(list, party{namespace: v.Controller.Namespace, labels: v.Controller.Labels, name: "the controller's Pods"})
	}
	return list
}

func podParty(p *corev1.Pod) party {
	addr, _ := netip.ParseAddr(p.Status.PodIP) // zero when there is none
	return party{p.Namespace, p.Labels, addr, p, podName(p)}
}

// backendParty is who an address of the backend belongs to: a Pod, or what the Service selects,
// or somebody outside.
func (w *walk) backendParty(host string) party {
	addr, _ := netip.ParseAddr(host)
	for _, p := range w.report.selected {
		if p.Status.PodIP == host {
			return podParty(p)
		}
	}
	if len(w.report.selected) == 1 {
		p := podParty(w.report.selected[0])
		p.addr = addr
		return p
	}
	if len(w.service.Spec.Selector) > 0 {
		return party{w.key.Namespace, w.service.Spec.Selector, addr, nil, "the Pods of " + w.serviceName()}
	}
	return party{addr: addr, name: host}
}

// networkPolicy says whether NetworkPolicies let the controller reach the backend, clients reach
// the controller, and both reach DNS.
func (w *walk) networkPolicy() finding {
	if w.around.Unread["NetworkPolicy"] != nil {
		return skip("NetworkPoliciesNotRead", "NetworkPolicies could not be read: "+w.around.Unread["NetworkPolicy"].Error())
	}
	if len(w.around.NetworkPolicies) == 0 {
		return fine("NoNetworkPolicy", "there are no NetworkPolicies")
	}
	var list []finding
	if w.service != nil && len(w.to.Addresses) > 0 && w.service.Spec.Type != corev1.ServiceTypeExternalName {
		list = append(list, w.admitsController())
	}
	list = append(list, w.admitsClients(), w.admitsDNS())
	f := worst(append([]finding{fine("Admitted", "the NetworkPolicies admit the way of the request")}, list...)...)
	if f.verdict == Broken && w.backendAnswers() {
		status := http.StatusGatewayTimeout
		if w.service.Spec.Type == corev1.ServiceTypeExternalName {
			status = http.StatusBadGateway
		}
		w.settle(status)
	}
	return f
}

// admitsController judges the way from each of the controller's Pods to each endpoint.
func (w *walk) admitsController() finding {
	var stopped, total int
	var first finding
	unsure := false
	for _, c := range w.controllers() {
		if c.pod != nil && c.pod.Spec.HostNetwork {
			unsure = true
			continue
		}
		for _, a := range w.to.Addresses {
			total++
			b := w.backendParty(a.Host)
			if b.namespace != "" {
				got, by := w.admit(netv1.PolicyTypeIngress, b, c, int32(a.Port), corev1.ProtocolTCP)
				if got == unknown {
					unsure = true
				} else if got == refused {
					stopped++
					first = orFirst(first, refusal("IngressNotAdmitted", by, fmt.Sprintf("%s does not admit %s of namespace %s on port %d", policyNames(by), c.name, c.namespace, a.Port),
						fmt.Sprintf("admit namespace %s with a namespaceSelector", c.namespace), b))
					continue
				}
			}
			got, by := w.admit(netv1.PolicyTypeEgress, c, b, int32(a.Port), corev1.ProtocolTCP)
			if got == unknown {
				unsure = true
			} else if got == refused {
				stopped++
				first = orFirst(first, refusal("EgressNotAdmitted", by, fmt.Sprintf("%s does not let %s connect to %s on port %d", policyNames(by), c.name, a, a.Port),
					"admit it with an egress rule", b))
			}
		}
	}
	switch {
	case stopped > 0 && stopped < total:
		first.verdict = Warning
		return first
	case stopped > 0:
		return first
	case unsure:
		return warn("AdmissionUnknown", "whether NetworkPolicies admit the controller depends on addresses that are not known here", "see them: kubectl get networkpolicies -A")
	}
	return fine("Admitted", "NetworkPolicies admit the controller")
}

func orFirst(f, otherwise finding) finding {
	if f.verdict != "" {
		return f
	}
	return otherwise
}

func refusal(r Reason, by []*netv1.NetworkPolicy, detail, remedy string, b party) finding {
	objects := make([]string, 0, len(by)+1)
	for _, p := range by {
		objects = append(objects, "NetworkPolicy "+p.Namespace+"/"+p.Name)
	}
	if b.pod != nil {
		objects = append(objects, podName(b.pod))
	}
	return broken(r, detail, remedy+": "+kubectl(by[0].Namespace, "edit networkpolicy "+by[0].Name), objects...)
}

func policyNames(by []*netv1.NetworkPolicy) string {
	names := make([]string, len(by))
	for i, p := range by {
		names[i] = p.Namespace + "/" + p.Name
	}
	return "NetworkPolicy " + strings.Join(some(names, 3), ", ")
}

// admitsClients judges the way from the client to the controller.
func (w *walk) admitsClients() finding {
	port := int32(80)
	if w.q.URL.Scheme == "https" {
		port = 443
	}
	for _, c := range w.controllers() {
		if c.pod != nil && c.pod.Spec.HostNetwork {
			continue
		}
		p := port
		if c.pod != nil {
			for _, container := range c.pod.Spec.Containers {
				for _, cp := range container.Ports {
					if cp.Name == w.q.URL.Scheme {
						p = cp.ContainerPort
					}
				}
			}
		}
		if got, by := w.admit(netv1.PolicyTypeIngress, c, party{addr: w.q.ClientIP, name: "clients"}, p, corev1.ProtocolTCP); got == refused {
			f := refusal("ClientsNotAdmitted", by, fmt.Sprintf("%s does not admit clients to %s on port %d", policyNames(by), c.name, p), "admit them", c)
			f.verdict = Warning
			return f
		}
	}
	return fine("Admitted", "NetworkPolicies admit clients")
}

// admitsDNS judges the ways to the cluster's DNS: that of the controller decides when the
// backend is a name, and that of the backend's Pods is theirs to need.
func (w *walk) admitsDNS() finding {
	judge := func(from party) (finding, bool) {
		protocol, by := w.refusesDNS(from)
		if len(by) == 0 {
			return finding{}, false
		}
		f := refusal("DNSNotAdmitted", by, fmt.Sprintf("%s does not let %s ask DNS over %s port 53", policyNames(by), from.name, protocol), "admit port 53 of namespace kube-system", from)
		f.verdict = Warning
		return f, true
	}
	for _, c := range w.controllers() {
		if f, bad := judge(c); bad {
			if w.external() {
				f.verdict = Broken
			}
			return f
		}
	}
	if w.service != nil && len(w.to.Addresses) > 0 && !w.external() {
		if f, bad := judge(w.backendParty(w.to.Addresses[0].Host)); bad {
			return f
		}
	}
	return fine("Admitted", "NetworkPolicies admit DNS")
}

// refusesDNS returns the NetworkPolicies that keep a Pod from the cluster's DNS, and over which
// protocol; none when it may ask.
func (v *View) refusesDNS(from party) (corev1.Protocol, []*netv1.NetworkPolicy) {
	if from.namespace == "" {
		return "", nil
	}
	server := party{namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}, name: "DNS"}
	for _, p := range v.pods["kube-system"] {
		if p.Labels["k8s-app"] == "kube-dns" {
			server = podParty(p)
			break
		}
	}
	for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		if got, by := v.admit(netv1.PolicyTypeEgress, from, server, 53, protocol); got == refused {
			return protocol, by
		}
	}
	return "", nil
}
