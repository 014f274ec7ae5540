package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// dns compares the answer of DNS with the address that the Ingress's status tells the world.
func (w *walk) dns() finding {
	host := w.q.URL.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return skip("AddressInURL", host+" is an address")
	}
	look := kubectl("", "get ingress -A")
	var addresses, names []string
	if w.ing != nil {
		look = kubectl(w.ing.Namespace, "get ingress "+w.ing.Name)
		for _, a := range w.statusOf(w.ing) {
			if a.IP != "" {
				addresses = append(addresses, a.IP)
			} else if a.Hostname != "" {
				names = append(names, a.Hostname)
			}
		}
	}
	a := w.q.Answer
	switch {
	case a != nil && a.Silent:
		if f, told := w.nameService(host); told && !w.external() {
			return f
		}
		return broken("DNSSilent", fmt.Sprintf("no DNS server answered for %s: %v", host, a.Err),
			"see whether the cluster's DNS runs: kubectl -n kube-system get pods -l k8s-app=kube-dns")
	case a != nil && len(a.Addresses) == 0:
		return broken("NameNotFound", fmt.Sprintf("DNS has no address for %s: %v", host, a.Err),
			fmt.Sprintf("create a record for %s that leads to the address of the Ingress: %s", host, look), ingressName(w.ing))
	}
	got := ""
	if a != nil {
		texts := make([]string, len(a.Addresses))
		for i, addr := range a.Addresses {
			texts[i] = addr.String()
		}
		got = strings.Join(texts, ", ")
	}
	switch {
	case w.ing == nil && a == nil:
		return skip("NotLookedUp", "DNS was not asked, and no Ingress answers to compare with")
	case w.ing == nil:
		return fine("Answers", host+" is "+got+"; no Ingress answers to compare with")
	case len(addresses)+len(names) == 0:
		return warn("NoStatusAddress", ingressName(w.ing)+" has no address in its status",
			"set --publish-service or --publish-status-address of the controller, and look again: "+look, ingressName(w.ing))
	case a == nil:
		return skip("NotLookedUp", "DNS was not asked; it should answer "+strings.Join(append(addresses, names...), ", "), ingressName(w.ing))
	case len(addresses) == 0:
		return fine("StatusIsName", fmt.Sprintf("%s is %s; the status has the name %s", host, got, strings.Join(names, ", ")), ingressName(w.ing))
	}
	for _, text := range addresses {
		if addr, err := netip.ParseAddr(text); err == nil && slices.Contains(a.Addresses, addr) {
			return fine("AddressMatches", host+" is "+got+", as the status says", ingressName(w.ing))
		}
	}
	return warn("AddressDiffers", fmt.Sprintf("%s is %s, and the status of %s says %s", host, got, ingressName(w.ing), strings.Join(addresses, ", ")),
		"correct the record, unless something else stands in front: "+look, ingressName(w.ing))
}

// listener compares the port of the URL with what is known to be open: the ports of a running
// proxy, and the Service that leads to it.
func (w *walk) listener() finding {
	if w.decision.Reason == "too-many-fields" {
		return broken("TooManyFields", "the request has too many header fields", "send fewer; the limit is in the documentation: kubectl explain ingress")
	}
	scheme, port := w.q.URL.Scheme, w.q.port()
	open := false
	for _, l := range w.Listeners {
		open = open || l.Scheme == scheme
	}
	if w.Listeners != nil && !open {
		return broken("ListenerDisabled", "the proxy does not listen for "+scheme,
			fmt.Sprintf("set --%s-address: %s", scheme, kubectl(w.Controller.Namespace, "edit deployment fairlead")))
	}
	tried, were := w.fronts()
	if f, known := w.front(port); known {
		if were {
			return worst(f, tried)
		}
		return f
	}
	if were {
		return tried
	}
	for _, l := range w.Listeners {
		if l.Scheme == scheme && strconv.Itoa(int(l.Port)) == port {
			return fine("Listening", "the proxy listens on port "+port+" for "+scheme)
		}
	}
	look := kubectl(w.Controller.Namespace, "get services")
	if w.q.URL.Port() != "" && w.q.URL.Port() != map[string]string{"http": "80", "https": "443"}[scheme] {
		return warn("PortUnknown", "port "+port+" is not known to lead to the proxy", "see which ports the Service of the controller has: "+look)
	}
	return fine("ListenerAssumed", "port "+port+" is assumed to lead to the proxy")
}

// front judges by the Services of the controller, when there is any.
func (w *walk) front(port string) (finding, bool) {
	services := w.frontServices()
	if len(services) == 0 {
		return finding{}, false
	}
	var list []finding
	for _, s := range services {
		f := w.frontService(s, port)
		if f.verdict == OK {
			return f, true
		}
		list = append(list, f)
	}
	// Of several ways in the least bad counts.
	slices.SortStableFunc(list, func(a, b finding) int {
		return strings.Compare(string(b.verdict), string(a.verdict)) // "warning" before "broken"
	})
	return list[0], true
}

// frontServices are the Services that select the controller's Pods, sorted by name.
func (v *View) frontServices() []*corev1.Service {
	var list []*corev1.Service
	for name, s := range v.Snapshot.Services {
		if name.Namespace == v.Controller.Namespace && len(s.Spec.Selector) > 0 && s.Spec.Type != corev1.ServiceTypeExternalName &&
			labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(v.Controller.Labels)) && servesHTTP(s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *corev1.Service) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// servesHTTP leaves out Services for metrics and webhooks.
func servesHTTP(s *corev1.Service) bool {
	return slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Port == 80 || p.Port == 443 || p.Name == "http" || p.Name == "https"
	})
}

func (w *walk) frontService(s *corev1.Service, port string) finding {
	name, look := "Service "+s.Namespace+"/"+s.Name, kubectl(s.Namespace, "get service "+s.Name)
	if ready, known := w.readyBehind(s); known && ready == 0 {
		return broken("ControllerNotReady", "no Pod behind "+name+" is ready",
			"see why: "+kubectl(s.Namespace, "get pods -l "+labels.Set(s.Spec.Selector).String()), name)
	}
	reached := func(addr string) bool {
		a, err := netip.ParseAddr(addr)
		return err == nil && w.q.Answer != nil && slices.Contains(w.q.Answer.Addresses, a)
	}
	hasPort, nodePort := false, []string{}
	for _, p := range s.Spec.Ports {
		hasPort = hasPort || strconv.Itoa(int(p.Port)) == port
		if p.NodePort != 0 {
			nodePort = append(nodePort, strconv.Itoa(int(p.NodePort)))
		}
	}
	switch {
	case slices.Contains(nodePort, port):
		return fine("Listening", name+" has node port "+port, name)
	case hasPort && (slices.ContainsFunc(s.Spec.ExternalIPs, func(string) bool { return true }) || reached(s.Spec.ClusterIP)):
		return fine("Listening", name+" has port "+port, name)
	case s.Spec.Type == corev1.ServiceTypeNodePort:
		return warn("NodePortOnly", fmt.Sprintf("%s is of type NodePort: from outside it is port %s of the nodes, and port %s needs something in front", name, strings.Join(nodePort, ", "), port),
			"use the node port, and open it in the firewall: "+look, name)
	case s.Spec.Type != corev1.ServiceTypeLoadBalancer:
		return broken("ServiceNotExposed", name+" is of type ClusterIP: it cannot be reached from outside of the cluster",
			"make it a LoadBalancer: "+kubectl(s.Namespace, `patch service `+s.Name+` -p '{"spec":{"type":"LoadBalancer"}}'`), name)
	case len(s.Status.LoadBalancer.Ingress) == 0:
		return broken("LoadBalancerPending", name+" of type LoadBalancer has no address: nothing in the cluster gives it one, or that is not done yet",
			"install a load balancer such as MetalLB, and see the Service's events: "+kubectl(s.Namespace, "describe service "+s.Name), name)
	case !hasPort:
		return broken("PortNotExposed", name+" has no port "+port, "add it, or ask for another port: "+kubectl(s.Namespace, "edit service "+s.Name), name)
	}
	return fine("Listening", name+" has port "+port, name)
}

// readyBehind counts the ready endpoints of a Service; known is false when there are no
// EndpointSlices to count in.
func (v *View) readyBehind(s *corev1.Service) (ready int, known bool) {
	list := v.Snapshot.Slices[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}]
	for _, slice := range list {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				ready++
			}
		}
	}
	return ready, len(list) > 0
}
