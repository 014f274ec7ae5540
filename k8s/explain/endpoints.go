package explain

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// endpoints says where the request can be sent, and when it is nowhere, the cause that lies
// with the Pods.
func (w *walk) endpoints() finding {
	switch {
	case w.service == nil || !w.hasPort && len(w.service.Spec.Ports) > 0 && w.service.Spec.Type != corev1.ServiceTypeExternalName:
		return skip("NoBackend", "there is no Service port to have endpoints")
	case w.service.Spec.Type == corev1.ServiceTypeExternalName:
		if len(w.to.Addresses) == 0 {
			return skip("ExternalName", "the name is never proxied to")
		}
		if f, told := w.nameService(w.to.Addresses[0].Host); told {
			if w.backendAnswers() {
				w.settle(http.StatusBadGateway)
			}
			f.objects = append(f.objects, w.serviceName())
			return f
		}
		return fine("ExternalName", "the name "+w.to.Addresses[0].String()+" is looked up for each connection", w.serviceName())
	}
	name := w.serviceName()
	if len(w.to.Addresses) == 0 {
		return w.noEndpoints()
	}
	list := make([]string, len(w.to.Addresses))
	for i, a := range w.to.Addresses {
		list[i] = a.String()
	}
	detail := plural(len(list), "endpoint") + ": " + strings.Join(some(list, 5), ", ")
	findings := []finding{fine("EndpointsReady", detail, name)}
	look := "see them: " + kubectl(w.key.Namespace, "get endpointslices -l kubernetes.io/service-name="+w.key.Service)
	ready, serving, notReady := w.conditions()
	switch {
	case ready == 0 && serving > 0:
		findings = append(findings, warn("TerminatingEndpoints", "all endpoints that serve are shutting down", look, name))
	case notReady > 0:
		findings = append(findings, warn("SomeEndpointsNotReady", plural(notReady, "endpoint")+" not ready", look, name))
	}
	if p, some := w.complaint(ingress.EndpointAddressDenied, ingress.EndpointAddressType); some {
		findings = append(findings, warn(problemReason(p), p.Err.Error(), look, name))
	}
	if f, bad := w.ownListener(look); bad {
		findings = append(findings, f)
	}
	if f, bad := w.addressConflict(); bad {
		findings = append(findings, f)
	}
	if f, bad := w.stale(); bad {
		findings = append(findings, f)
	}
	f := worst(findings...)
	if f.verdict != OK {
		f.detail = detail + "; " + f.detail
	}
	return f
}

// ownListener repeats the Problem of a running instance that an endpoint is one of its own
// ports, which is never connected to.
func (w *walk) ownListener(look string) (finding, bool) {
	if w.ing == nil {
		return finding{}, false
	}
	problems := w.problemsOf("Ingress", w.ing.Namespace, w.ing.Name)
	if r := w.decision.Rule; r != nil && r.Canary != nil {
		problems = slices.Concat(problems, w.problemsOf("Ingress", r.Canary.Origin.Namespace, r.Canary.Origin.Name))
	}
	for _, p := range problems {
		if p.Reason != ingress.EndpointAddressDenied || p.Field != "" || !strings.Contains(p.Err.Error(), " "+w.serviceName()+" ") {
			continue
		}
		f := warn(problemReason(p), p.Err.Error(), look, w.serviceName())
		if len(w.to.Addresses) == 1 {
			f.verdict = Broken
			w.settle(http.StatusBadGateway)
		}
		return f, true
	}
	return finding{}, false
}

// conditions counts the endpoints of the Service's slices, over all ports.
func (w *walk) conditions() (ready, serving, notReady int) {
	for _, s := range w.Snapshot.Slices[types.NamespacedName{Namespace: w.key.Namespace, Name: w.key.Service}] {
		for _, e := range s.Endpoints {
			switch c := e.Conditions; {
			case c.Ready == nil || *c.Ready:
				ready++
			case c.Terminating != nil && *c.Terminating && (c.Serving == nil || *c.Serving):
				serving++
			default:
				notReady++
			}
		}
	}
	return ready, serving, notReady
}

// noEndpoints repeats the cause that the Pods show.
func (w *walk) noEndpoints() finding {
	p, _ := w.complaint(ingress.NoReadyEndpoints, ingress.NoEndpoints, ingress.EndpointAddressDenied, ingress.EndpointAddressType)
	reason, text := Reason(ingress.NoEndpoints), w.serviceName()+" has no endpoints"
	if p.Err != nil {
		reason, text = problemReason(p), p.Err.Error()
	}
	f := broken(reason, text, "see what it selects: "+kubectl(w.key.Namespace, "describe service "+w.key.Service), w.serviceName())
	if len(w.service.Spec.Selector) == 0 {
		f.detail += "; the Service has no selector, so that somebody has to write its EndpointSlices"
		f.remedy = "give it a selector, or write an EndpointSlice: " + kubectl(w.key.Namespace, "edit service "+w.key.Service)
		return f
	}
	if reason == Reason(ingress.EndpointAddressDenied) {
		f.remedy = "use another address: " + kubectl(w.key.Namespace, "get endpointslices -l kubernetes.io/service-name="+w.key.Service)
		return f
	}
	pods := w.podsStep()
	switch {
	case pods.verdict == Broken || pods.verdict == Warning:
		if pods.reason == "SelectorMatchesNothing" {
			f.reason = pods.reason
		}
		f.detail += "; " + pods.detail
		f.objects = append(f.objects, pods.objects...)
		f.remedy = pods.remedy
	case pods.verdict == OK && pods.reason == "PodsReady":
		f.detail += "; its Pods are ready, but no EndpointSlice has them: nobody makes EndpointSlices here, or with a delay"
		f.remedy = "see the EndpointSlices: " + kubectl(w.key.Namespace, "get endpointslices -l kubernetes.io/service-name="+w.key.Service)
	}
	return f
}

// addressConflict finds an endpoint whose address belongs to a node or to several Pods as well.
func (w *walk) addressConflict() (finding, bool) {
	owners := make(map[string][]string)
	for _, n := range w.around.Nodes {
		for _, a := range n.Status.Addresses {
			owners[a.Address] = append(owners[a.Address], "Node "+n.Name)
		}
	}
	hostNetwork := make(map[string]bool)
	for _, p := range w.around.Pods {
		if ended := p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded; p.Status.PodIP == "" || ended {
			continue
		}
		if p.Spec.HostNetwork {
			hostNetwork[p.Status.PodIP] = true
			continue
		}
		owners[p.Status.PodIP] = append(owners[p.Status.PodIP], podName(p))
	}
	for _, a := range w.to.Addresses {
		of := owners[a.Host]
		if len(of) > 1 && !(hostNetwork[a.Host] && len(of) == 1) {
			return warn("AddressConflict", fmt.Sprintf("address %s is that of %s", a.Host, strings.Join(some(of, 4), " and ")),
				"the Pods' network overlaps with another: kubectl get pods -A -o wide", append(of, w.serviceName())...), true
		}
	}
	return finding{}, false
}

// stale finds endpoints that are of no selected Pod, where Pods are known.
func (w *walk) stale() (finding, bool) {
	if len(w.report.selected) == 0 {
		return finding{}, false
	}
	known := make(map[string]bool)
	for _, p := range w.report.selected {
		if p.Status.PodIP == "" {
			return finding{}, false
		}
		known[p.Status.PodIP] = true
		for _, ip := range p.Status.PodIPs {
			known[ip.IP] = true
		}
	}
	var stray []string
	for _, a := range w.to.Addresses {
		if !known[a.Host] {
			stray = append(stray, a.String())
		}
	}
	if len(stray) == 0 {
		return finding{}, false
	}
	return warn("StaleEndpoints", "no Pod that the Service selects has the address "+strings.Join(some(stray, 3), ", "),
		"see who writes the EndpointSlices: "+kubectl(w.key.Namespace, "get endpointslices -l kubernetes.io/service-name="+w.key.Service+" -o yaml"), w.serviceName()), true
}
