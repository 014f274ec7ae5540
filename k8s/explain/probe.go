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
	look := "look at the network from a Pod of the controller's: " + kubectl(w.Controller.Namespace, "get pods -o wide")
	var endpoints, failed, failedVIP int
	var first *Attempt
	var lines []string
	for i := range w.q.Probes {
		a := &w.q.Probes[i]
		line := fmt.Sprintf("%s answers %d", a.Target, a.Status)
		if a.Fault != "" {
			line = fmt.Sprintf("%s: %v", a.Target, a.Err)
		}
		lines = append(lines, line)
		if a.ClusterIP {
			if a.Fault != "" {
				failedVIP++
			}
			continue
		}
		endpoints++
		if a.Fault != "" {
			failed++
			if first == nil {
				first = a
			}
		} else if a.LargeLost {
			return broken("LargeRequestLost", a.Target+" answers small requests and not large ones: packets of full size are lost on the way",
				"lower the MTU of the Pods' network: kubectl -n kube-system get pods -o wide", w.serviceName())
		}
	}
	detail := strings.Join(some(lines, 5), "; ")
	switch {
	case failed > 0 && failed == endpoints:
		if w.backendAnswers() {
			status := http.StatusBadGateway
			if first.Fault == "ConnectTimeout" || first.Fault == "ResponseTimeout" {
				status = http.StatusGatewayTimeout
			}
			w.settle(status)
		}
		return broken(first.Fault, detail, look, w.serviceName())
	case failed > 0:
		return warn("SomeUnreachable", detail, look, w.serviceName())
	case failedVIP > 0:
		return warn("ClusterIPUnreachable", detail+"; the Pods can be reached and the Service's address cannot: kube-proxy is at fault, which this proxy does not need",
			"see whether it runs: kubectl -n kube-system get pods -l k8s-app=kube-proxy", w.serviceName())
	}
	return fine("Reachable", detail, w.serviceName())
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
			Address: address, ClusterIP: clusterIP, TLS: w.to.Protocol == upstream.HTTPS, H2C: w.to.Protocol == upstream.H2C,
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
