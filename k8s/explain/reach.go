package explain

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Front is where a client comes in: an address and port that lead to the controller from outside.
type Front struct {
	Address  string // "host:port"
	NodePort bool   // of a node, behind what stands in front
	// Known says that the cluster names the address, in contrast to one that only DNS does.
	Known bool
}

// FrontAttempt is one connection to a Front that was tried.
type FrontAttempt struct {
	Front
	Tried bool
	Fault Reason // why it failed; empty when it was made
	Err   error
}

// maxNodes bounds the nodes whose node ports are tried.
const maxNodes = 3

// Fronts returns where a client of q connects to by the answer of DNS, and the node ports behind.
func (v *View) Fronts(q Question) []Front {
	if q.Answer == nil {
		return nil
	}
	port := q.port()
	known := make(map[string]bool)
	var nodes []string
	for _, n := range v.around.Nodes {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
				known[a.Address] = true
				nodes = append(nodes, a.Address)
			}
		}
	}
	for _, ing := range v.Snapshot.Ingresses {
		for _, a := range v.statusOf(ing) {
			known[a.IP] = true
		}
	}
	var nodePorts []string
	for _, s := range v.frontServices() {
		known[s.Spec.ClusterIP] = true
		for _, ip := range s.Spec.ExternalIPs {
			known[ip] = true
		}
		for _, a := range s.Status.LoadBalancer.Ingress {
			known[a.IP] = true
		}
		for _, p := range s.Spec.Ports {
			if n := strconv.Itoa(int(p.NodePort)); p.NodePort != 0 && (strconv.Itoa(int(p.Port)) == port || n == port) {
				nodePorts = append(nodePorts, n)
			}
		}
	}
	var list []Front
	seen := make(map[string]bool)
	add := func(f Front) {
		if !seen[f.Address] {
			seen[f.Address] = true
			list = append(list, f)
		}
	}
	for _, a := range q.Answer.Addresses {
		add(Front{Address: net.JoinHostPort(a.String(), port), Known: known[a.String()]})
	}
	for _, n := range nodes[:min(len(nodes), maxNodes)] {
		for _, p := range nodePorts {
			add(Front{Address: net.JoinHostPort(n, p), NodePort: true, Known: true})
		}
	}
	return list
}

// fronts judges the connections to the way in. ok is false when none was tried.
func (w *walk) fronts() (f finding, ok bool) {
	var failed, made, behind []string
	var fault Reason
	for _, a := range w.q.Fronts {
		switch {
		case !a.Tried:
		case a.NodePort && a.Fault == "":
			behind = append(behind, a.Address)
		case a.NodePort:
		case a.Fault == "":
			made = append(made, a.Address)
		default:
			failed = append(failed, fmt.Sprintf("%s: %v", a.Address, a.Err))
			fault = a.Fault
		}
	}
	if len(made)+len(failed) == 0 {
		return finding{}, false
	}
	if len(failed) == 0 {
		return fine("Listening", strings.Join(some(made, 3), ", ")+" takes connections"), true
	}
	detail := strings.Join(some(failed, 3), "; ")
	look := "see its ports: " + kubectl(w.Controller.Namespace, "get services -o wide")
	if len(behind) > 0 {
		detail += "; node port " + strings.Join(some(behind, 3), ", ") + " takes connections, so what stands in front of it does not lead there"
	}
	switch fault {
	case "ConnectTimeout":
		f = broken("FrontDropped", detail+"; packets are dropped on the way: a firewall is closed, or the address leads nowhere", "open port "+w.q.port()+" in the firewall in front, and "+look)
	case "ConnectionRefused":
		f = broken("FrontRefused", detail+"; nothing listens there: the load balancer or the node port does not lead to the controller", "correct the ports of the Service or of what stands in front: "+kubectl(w.Controller.Namespace, "get services -o wide"))
	default:
		f = broken("FrontNoRoute", detail+"; the address cannot be reached from here", "see whether the address is right: "+kubectl(w.Controller.Namespace, "get services -o wide"))
	}
	if w.q.Inside || len(made) > 0 {
		// A load balancer may not lead back to those behind it.
		f.verdict = Warning
	}
	return f, true
}

// node is the name of the node that the Pod with an address runs on, and the addresses of the
// node. Both are empty when that is not known.
func (w *walk) node(host string) (name string, addresses []netip.Addr) {
	for _, p := range w.report.selected {
		if p.Status.PodIP == host {
			name = p.Spec.NodeName
		}
	}
	for _, n := range w.around.Nodes {
		if n.Name != name {
			continue
		}
		for _, a := range n.Status.Addresses {
			if addr, err := netip.ParseAddr(a.Address); err == nil {
				addresses = append(addresses, addr)
			}
		}
	}
	return name, addresses
}

// overlap says that the address of an endpoint is also one of this machine's networks, which
// are not those of the Pod's node.
func (w *walk) overlap(a *Attempt) (finding, bool) {
	host, _, _ := net.SplitHostPort(a.Target)
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return finding{}, false
	}
	fix := "the Pods' network overlaps with another: change one of them: kubectl get nodes -o custom-columns=NAME:.metadata.name,PODS:.spec.podCIDR"
	name, addresses := w.node(host)
	if name == "" || len(addresses) == 0 {
		return finding{}, false
	}
	for _, local := range w.q.Local {
		if slices.Contains(addresses, local.Addr()) {
			return finding{}, false // this is the Pod's node
		}
	}
	for _, local := range w.q.Local {
		switch {
		case local.Addr() == addr:
			return broken("AddressConflict", fmt.Sprintf("address %s of a Pod on Node %s is that of this machine itself", addr, name), fix, w.serviceName(), "Node "+name), true
		case a.Fault != "" && !local.IsSingleIP() && local.Contains(addr) && !slices.ContainsFunc(addresses, local.Contains):
			return broken("AddressConflict", fmt.Sprintf("address %s of a Pod on Node %s lies in %s, another network of this machine, and does not answer there", addr, name, local.Masked()), fix, w.serviceName(), "Node "+name), true
		}
	}
	return finding{}, false
}

// where says on which nodes the endpoints are that failed, when others answered.
func (w *walk) where(failed, reached []string) string {
	bad, good := w.nodesOf(failed), w.nodesOf(reached)
	if len(bad) == 0 {
		return ""
	}
	if slices.ContainsFunc(bad, func(n string) bool { return slices.Contains(good, n) }) {
		return ""
	}
	text := "; those that fail are on Node " + strings.Join(some(bad, 3), ", ")
	if len(good) > 0 {
		text += ", those that answer on " + strings.Join(some(good, 3), ", ")
	}
	return text
}

func (w *walk) nodesOf(targets []string) (names []string) {
	for _, t := range targets {
		host, _, _ := net.SplitHostPort(t)
		if name, _ := w.node(host); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
