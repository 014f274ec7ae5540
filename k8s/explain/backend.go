package explain

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

const noBackend = "there is no backend"

// serviceStep says whether the Service is there, and where one that leads outside leads.
func (w *walk) serviceStep() finding {
	if w.key == (upstream.Key{}) {
		return skip("NoBackend", noBackend)
	}
	name, ns := w.serviceName(), w.key.Namespace
	edit := kubectl(ns, "get services")
	if w.decision.Rule != nil {
		edit = editIngress(w.decision.Rule.Origin)
	}
	if w.service == nil {
		var same, elsewhere []string
		for n := range w.Snapshot.Services {
			if n.Namespace == ns {
				same = append(same, n.Name)
			} else if n.Name == w.key.Service {
				elsewhere = append(elsewhere, n.Namespace)
			}
		}
		sortStrings(same, elsewhere)
		detail, objects := name+" does not exist", []string{name, originName(w.decision.Rule)}
		if near := nearest(w.key.Service, same); near != "" {
			detail += "; there is Service " + ns + "/" + near
			objects = append(objects, "Service "+ns+"/"+near)
		}
		if len(elsewhere) > 0 {
			detail += "; namespace " + strings.Join(some(elsewhere, 3), ", ") + " has one of that name, and an Ingress leads to its own namespace only"
		}
		return broken(Reason(ingress.ServiceNotFound), detail, "create the Service, or name another: "+edit, objects...)
	}
	if w.service.Spec.Type != corev1.ServiceTypeExternalName {
		kind := string(w.service.Spec.Type)
		if kind == "" {
			kind = string(corev1.ServiceTypeClusterIP)
		}
		if w.service.Spec.ClusterIP == corev1.ClusterIPNone {
			kind = "headless"
		}
		return fine("ServiceFound", name+" ("+kind+") exists", name)
	}
	change := kubectl(ns, "edit service "+w.key.Service)
	if p, bad := w.complaint(ingress.ExternalNameDenied, ingress.ExternalNameDisabled, ingress.ExternalNameInvalid); bad {
		return broken(problemReason(p), p.Err.Error(), "let it lead to a name that may be proxied to: "+change, name)
	}
	external := w.service.Spec.ExternalName
	if target, in := inCluster(external); in && w.Snapshot.Services[target] == nil {
		f := broken("ExternalNameNotFound", fmt.Sprintf("%s leads to %s, and there is no Service %s", name, external, target), "correct spec.externalName: "+change, name, "Service "+target.String())
		if w.OnlyNamespace != "" && w.OnlyNamespace != target.Namespace {
			f.verdict = Warning
		} else if w.backendAnswers() {
			w.settle(http.StatusBadGateway)
		}
		return f
	}
	return fine("ExternalName", name+" leads to "+external, name)
}

// inCluster returns the Service that a DNS name of the cluster stands for.
func inCluster(name string) (types.NamespacedName, bool) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	rest, ok := strings.CutSuffix(name, ".svc.cluster.local")
	if !ok {
		return types.NamespacedName{}, false
	}
	service, namespace, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(namespace, ".") {
		return types.NamespacedName{}, false // of a Pod
	}
	return types.NamespacedName{Namespace: namespace, Name: service}, true
}

// portStep says which port of the Service is meant.
func (w *walk) portStep() finding {
	if r := w.decision.Rule; r != nil && r.Answer.Reason == "port-not-found" || w.service != nil && !w.hasPort && w.key.Port == "" {
		return broken(Reason(ingress.PortNotFound), "the backend names no port of "+w.serviceName(), "name one: "+editIngress(w.decision.Rule.Origin), originName(w.decision.Rule), w.serviceName())
	}
	if w.service == nil {
		return skip("NoBackend", "there is no Service")
	}
	name := w.serviceName()
	edit := kubectl(w.key.Namespace, "get service "+w.key.Service+" -o yaml")
	if w.decision.Rule != nil {
		edit = editIngress(w.decision.Rule.Origin)
	}
	if p, bad := w.complaint(ingress.PortNotFound, ingress.ServicePortProtocol); bad {
		detail, remedy := p.Err.Error(), "name a port that it has: "+edit
		var names []string
		for _, sp := range w.service.Spec.Ports {
			names = append(names, sp.Name, strconv.Itoa(int(sp.Port)))
			if sp.TargetPort.String() == w.key.Port {
				detail += fmt.Sprintf(" (an Ingress names the Service's port, %d, and not the Pods')", sp.Port)
				remedy = fmt.Sprintf("name port %d: %s", sp.Port, edit)
			}
		}
		if near := nearest(w.key.Port, names); near != "" && !strings.Contains(detail, "targetPort") {
			detail += "; was " + near + " meant?"
		}
		if p.Reason == ingress.ServicePortProtocol {
			remedy = "name a TCP port, or make it one: " + kubectl(w.key.Namespace, "edit service "+w.key.Service)
		}
		return broken(problemReason(p), detail, remedy, name, originName(w.decision.Rule))
	}
	if p, named := w.complaint(ingress.TargetPortNamed); named {
		return warn(problemReason(p), p.Err.Error(), fmt.Sprintf("name port %d: %s", w.port.Port, edit), name, originName(w.decision.Rule))
	}
	if !w.hasPort || len(w.service.Spec.Ports) == 0 {
		return fine("PortIsNumber", "port "+w.key.Port+" is that of the endpoints", name)
	}
	target := w.port.TargetPort.String()
	if w.port.TargetPort.IntVal == 0 && w.port.TargetPort.StrVal == "" {
		target = strconv.Itoa(int(w.port.Port))
	}
	detail := fmt.Sprintf("port %d of %s is port %s of its Pods, over %s", w.port.Port, name, target, w.to.Protocol)
	if want, why := w.suspectProtocol(); want != "" {
		return warn("ProtocolSuspect", detail+"; "+why+" suggests "+want,
			"say it with appProtocol: "+kubectl(w.key.Namespace, "edit service "+w.key.Service), name)
	}
	return fine("PortFound", detail, name)
}

// suspectProtocol says what protocol the port's names and numbers suggest, when it is another
// than is spoken.
func (w *walk) suspectProtocol() (want, why string) {
	words := []string{w.port.Name, w.port.TargetPort.StrVal}
	for _, p := range w.report.selected {
		for _, c := range p.Spec.Containers {
			for _, cp := range c.Ports {
				if cp.ContainerPort == w.port.TargetPort.IntVal || cp.Name != "" && cp.Name == w.port.TargetPort.StrVal {
					words = append(words, cp.Name)
				}
			}
		}
	}
	for _, word := range words {
		first, _, _ := strings.Cut(word, "-")
		switch {
		case (first == "https" || first == "tls") && !w.to.Protocol.TLS():
			return "https", "the name " + word
		case (first == "grpc" || first == "h2c") && w.to.Protocol == upstream.HTTP:
			return "h2c", "the name " + word
		case first == "http" && w.to.Protocol.TLS():
			return "http", "the name " + word
		}
	}
	if n := w.port.TargetPort.IntVal; w.to.Protocol == upstream.HTTP && (n == 443 || n == 8443) {
		return "https", "the number " + strconv.Itoa(int(n))
	}
	return "", ""
}
