package explain

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// Attempt is one connection that was tried from where the question is asked.
type Attempt struct {
	// Target is the address, as "host:port".
	Target string
	// ClusterIP says that the target is the Service's own address and no endpoint.
	ClusterIP bool
	// Fault is why it failed, one of the reasons of the step; empty when a response came.
	Fault Reason
	Err   error
	// Status is that of the response.
	Status int
	// LargeLost says that a small request was answered and a large one was not.
	LargeLost bool
}

// probe sums up the connections that were tried.
func (w *walk) probe() finding {
	if len(w.q.Probes) == 0 {
		return skip("NotProbed", "no connection was tried; --probe does")
	}
	var failed, reached []string
	failedVIP := false
	var first *Attempt
	var lines []string
	for i := range w.q.Probes {
		a := &w.q.Probes[i]
		line := fmt.Sprintf("%s answers %d", a.Target, a.Status)
		if a.Fault != "" {
			line = fmt.Sprintf("%s: %v", a.Target, a.Err)
		}
		lines = append(lines, line)
		switch {
		case a.ClusterIP:
			failedVIP = failedVIP || a.Fault != ""
			continue
		case a.Fault != "":
			failed = append(failed, a.Target)
			if first == nil {
				first = a
			}
		default:
			reached = append(reached, a.Target)
		}
		if f, both := w.overlap(a); both {
			f.detail += "; " + line
			if len(w.to.Addresses) > 1 {
				f.verdict = Warning // the others may answer
			} else {
				w.failing(first)
			}
			return f
		}
		if a.LargeLost {
			return broken("LargeRequestLost", a.Target+" answers small requests and not large ones: packets of full size are lost on the way",
				"lower the MTU of the Pods' network: kubectl -n kube-system get pods -o wide", w.serviceName())
		}
	}
	detail := strings.Join(some(lines, 5), "; ")
	switch {
	case first == nil && failedVIP:
		return warn("ClusterIPUnreachable", detail+"; the Pods can be reached and the Service's address cannot: kube-proxy is at fault, which this proxy does not need",
			"see whether it runs: kubectl -n kube-system get pods -l k8s-app=kube-proxy", w.serviceName())
	case first == nil:
		return fine("Reachable", detail, w.serviceName())
	case len(reached) > 0:
		return warn("SomeUnreachable", detail+w.where(failed, reached), w.networkRemedy(first.Fault), w.serviceName())
	}
	w.failing(first)
	return broken(first.Fault, detail+w.where(failed, reached), w.networkRemedy(first.Fault), w.serviceName())
}

// failing settles the status of a request whose endpoints all fail as a does; nil fails not.
func (w *walk) failing(a *Attempt) {
	if a == nil || !w.backendAnswers() {
		return
	}
	status := http.StatusBadGateway
	if a.Fault == "ConnectTimeout" || a.Fault == "ResponseTimeout" {
		status = http.StatusGatewayTimeout
	}
	w.settle(status)
}

// networkRemedy is what to do about a fault of connections.
func (w *walk) networkRemedy(fault Reason) string {
	switch fault {
	case "NoRoute":
		return "the network plugin has no route to the Pods here, see its Pods: kubectl -n kube-system get pods -o wide"
	case "ConnectTimeout":
		return "a firewall or a NetworkPolicy drops the packets, let those between the nodes through: kubectl get nodes -o wide"
	case "ConnectionRefused":
		return "see on which port and address the container listens: " + kubectl(w.key.Namespace, "get endpointslices -l kubernetes.io/service-name="+w.key.Service)
	}
	return "look at the network from a Pod of the controller's: " + kubectl(w.Controller.Namespace, "get pods -o wide")
}

// Target is where a connection can be tried to see whether a Question's backend answers.
type Target struct {
	Address    string // "host:port"
	ClusterIP  bool
	TLS, H2C   bool
	Host, Path string // of the request
}

// Targets returns the endpoints that q leads to, and the Service's own address.
func (v *View) Targets(q Question) []Target {
	w := &walk{View: v, q: q, decision: v.Proxy.Decide(v.Table, q.request())}
	w.locate()
	var list []Target
	add := func(address string, clusterIP bool) {
		list = append(list, Target{
			Address: address, ClusterIP: clusterIP, TLS: w.to.Protocol.TLS(), H2C: w.to.Protocol == upstream.H2C,
			Host: q.URL.Host, Path: q.URL.RequestURI(),
		})
	}
	for _, a := range w.to.Addresses {
		add(a.String(), false)
	}
	if w.service != nil && w.hasPort && len(list) > 0 {
		if addr, err := netip.ParseAddr(w.service.Spec.ClusterIP); err == nil {
			add(netip.AddrPortFrom(addr, uint16(w.port.Port)).String(), true)
		}
	}
	return list
}
