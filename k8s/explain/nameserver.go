package explain

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Lookup is what one DNS server said of a name.
type Lookup struct {
	// Server is its address as "host:port"; empty for those that the machine is set up to ask.
	Server    string
	ClusterIP bool // Server is the address of the cluster's DNS Service and of no Pod
	Found     bool
	Silent    bool // it did not answer
	Err       error
}

// NameServer is a DNS server of the cluster.
type NameServer struct {
	Address   string // "host:port"
	ClusterIP bool
}

// maxNameServers bounds how many Pods of the cluster's DNS are asked.
const maxNameServers = 4

// NameServers returns the address of the cluster's DNS Service, and those of the Pods behind it.
func (v *View) NameServers() []NameServer {
	s := v.Snapshot.Services[types.NamespacedName{Namespace: "kube-system", Name: "kube-dns"}]
	if s == nil {
		return nil
	}
	var list []NameServer
	if addr, err := netip.ParseAddr(s.Spec.ClusterIP); err == nil {
		list = append(list, NameServer{netip.AddrPortFrom(addr, 53).String(), true})
	}
	for _, slice := range v.Snapshot.Slices[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}] {
		for _, p := range slice.Ports {
			if p.Port == nil || p.Protocol == nil || *p.Protocol != corev1.ProtocolUDP {
				continue
			}
			for _, e := range slice.Endpoints {
				if len(e.Addresses) > 0 && len(list) <= maxNameServers {
					list = append(list, NameServer{Address: net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*p.Port)))})
				}
			}
		}
	}
	return list
}

// ExternalName is the DNS name that q's backend is looked up by; empty when it is none.
func (v *View) ExternalName(q Question) string {
	w := &walk{View: v, q: q, decision: v.Proxy.Decide(v.Table, q.request())}
	w.locate()
	if !w.external() || len(w.to.Addresses) == 0 {
		return ""
	}
	if _, err := netip.ParseAddr(w.to.Addresses[0].Host); err == nil {
		return ""
	}
	return w.to.Addresses[0].Host
}

func (w *walk) external() bool {
	return w.service != nil && w.service.Spec.Type == corev1.ServiceTypeExternalName
}

// nameService says why name was not found, by what the servers said of it. ok is false when it
// was found, or when nobody was asked.
func (w *walk) nameService(name string) (f finding, ok bool) {
	if len(w.q.Lookups) == 0 || w.q.Lookups[0].Found {
		return finding{}, false
	}
	own := w.q.Lookups[0]
	var said []string
	var service, pods, servicesAsked, podsAsked, heard bool
	for _, l := range w.q.Lookups {
		who := "the resolver of this machine"
		switch {
		case l.ClusterIP:
			who, servicesAsked, service = "the DNS Service "+l.Server, true, service || l.Found
		case l.Server != "":
			who, podsAsked, pods = "the DNS Pod "+l.Server, true, pods || l.Found
		}
		what := "knows it"
		switch {
		case l.Silent:
			what = "does not answer"
		case !l.Found:
			what = "says that there is no such name"
		}
		said = append(said, who+" "+what)
		heard = heard || l.Server != "" && !l.Silent
	}
	detail := name + ": " + strings.Join(some(said, 5), ", ")
	look := "see the cluster's DNS: kubectl -n kube-system get pods,service -l k8s-app=kube-dns"
	if own.Err != nil {
		detail += fmt.Sprintf(" (%v)", own.Err)
	}
	if by := w.dnsRefused(); len(by) > 0 {
		return broken("DNSNotAdmitted", policyNames(by)+" does not let the controller ask DNS; "+detail,
			"admit port 53 of namespace kube-system: "+kubectl(by[0].Namespace, "edit networkpolicy "+by[0].Name), "NetworkPolicy "+by[0].Namespace+"/"+by[0].Name), true
	}
	if f, dead := w.dnsPods(); dead && !pods {
		f.detail += "; " + detail
		return f, true
	}
	switch {
	case service:
		return broken("DNSMisconfigured", detail+": /etc/resolv.conf here leads to another server than the cluster's",
			"correct dnsPolicy and dnsConfig of the Pod, or clusterDNS of the kubelet: "+kubectl(w.Controller.Namespace, "get pods -o yaml")), true
	case pods && servicesAsked:
		return broken("DNSServiceUnreachable", detail+": kube-proxy does not lead to the Pods",
			"see whether it runs: kubectl -n kube-system get pods -l k8s-app=kube-proxy"), true
	case pods:
		return broken("DNSMisconfigured", detail, look), true
	case own.Silent && podsAsked:
		return broken("DNSSilent", detail+": the cluster's DNS is down, or packets to it are dropped", look), true
	case own.Silent:
		return broken("DNSSilent", detail, look), true
	}
	if (servicesAsked || podsAsked) && !heard {
		return warn("NameNotFound", detail+": the cluster's DNS cannot be asked from here", look), true
	}
	return broken("NameNotFound", detail, "correct the name, or create it: "+kubectl("", "get services -A")), true
}

// dnsPods reports that no Pod of the cluster's DNS is ready.
func (v *View) dnsPods() (finding, bool) {
	if v.around.Unread["Pod"] != nil {
		return finding{}, false
	}
	pods, text := 0, ""
	var objects []string
	for _, p := range v.pods["kube-system"] {
		if p.Labels["k8s-app"] != "kube-dns" {
			continue
		}
		reason, why := diagnose(p)
		if reason == "" || reason == "PodStatusUnknown" {
			return finding{}, false
		}
		pods++
		text = "; " + podName(p) + ": " + why
		objects = append(objects, podName(p))
	}
	if pods == 0 {
		return finding{}, false
	}
	return broken("DNSPodsNotReady", "none of the "+plural(pods, "Pod")+" of the cluster's DNS is ready"+text,
		"see why: kubectl -n kube-system describe pods -l k8s-app=kube-dns", objects...), true
}

// dnsRefused returns the NetworkPolicies that keep the controller from asking DNS.
func (w *walk) dnsRefused() []*netv1.NetworkPolicy {
	for _, c := range w.controllers() {
		if _, by := w.refusesDNS(c); len(by) > 0 {
			return by
		}
	}
	return nil
}
