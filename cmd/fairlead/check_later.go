package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// assumeClasses returns base with the classes that its Ingresses name and that go without saying,
// and a warning for each: manifests of an application have no IngressClass, which is the cluster's. It
// returns base itself where it has IngressClasses, as those that are missing are then mistakes.
func assumeClasses(base *ingress.Snapshot, s settings) (*ingress.Snapshot, []ingress.Problem) {
	if len(base.Classes) > 0 {
		return base, nil
	}
	known := map[string]string{s.ingressClass: s.controllerClass()}
	if len(s.controllerClasses) == 0 || slices.Contains(s.controllerClasses, ingress.NginxController) {
		known["nginx"] = ingress.NginxController
	}
	with := *base
	var problems []ingress.Problem
	classes := ingress.NewClasses(s.translation(), nil)
	for _, ing := range base.Ingresses {
		claim := classes.Claim(ing)
		controller, ok := known[claim.Class]
		if !ok || claim.Whose == ingress.Ours {
			continue
		}
		delete(known, claim.Class) // one warning for all of its Ingresses
		with.Classes = append(with.Classes, &netv1.IngressClass{
			ObjectMeta: metav1.ObjectMeta{Name: claim.Class}, Spec: netv1.IngressClassSpec{Controller: controller},
		})
		field := "spec.ingressClassName"
		if claim.Annotated {
			field = "metadata.annotations[kubernetes.io/ingress.class]"
		}
		problems = append(problems, ingress.Problem{
			Object: ingress.Object{Kind: "Ingress", Namespace: ing.Namespace, Name: ing.Name, UID: ing.UID},
			Reason: ingress.ClassNotFound, Field: field,
			Err: fmt.Errorf("IngressClass %s is not among the manifests: checked as if it were there, with the controller %s", claim.Class, controller),
		})
	}
	return &with, problems
}

// later makes warnings of those of problems, which base has, that a cluster mends by itself when the manifests are
// applied: it makes the EndpointSlices of Services with a selector, and cert-manager makes Secrets. live is what is
// there already, or nil. Manifests that have EndpointSlices are taken to have all of them.
func later(problems []ingress.Problem, base, live *ingress.Snapshot, find func(*ingress.Snapshot) []ingress.Problem) {
	awaited := func(name types.NamespacedName) bool {
		if live == nil {
			return len(base.Slices) == 0
		}
		_, there := live.Services[name]
		return !there
	}
	with := *base
	with.Slices = maps.Clone(base.Slices)
	if with.Slices == nil {
		with.Slices = make(map[types.NamespacedName][]*discoveryv1.EndpointSlice)
	}
	for name, service := range base.Services {
		if len(service.Spec.Selector) > 0 && len(base.Slices[name]) == 0 && awaited(name) {
			with.Slices[name] = []*discoveryv1.EndpointSlice{standIn(service)}
		}
	}
	// What is no Problem any more once there are endpoints was one for their lack alone.
	remains := make(map[string]bool)
	for _, p := range find(&with) {
		remains[sameProblem(p)] = true
	}
	ordered := make(map[types.NamespacedName]bool)
	for _, ing := range base.Ingresses {
		if ordersSecret(ing) {
			ordered[types.NamespacedName{Namespace: ing.Namespace, Name: ing.Name}] = true
		}
	}
	for i := range problems {
		p := &problems[i]
		switch {
		case p.Reason == ingress.NoEndpoints && !remains[sameProblem(*p)]:
			p.Severity, p.Err = ingress.Warning, fmt.Errorf("%w: a cluster makes them of the Pods that its selector finds", p.Err)
		case p.Reason == ingress.SecretNotFound && strings.HasPrefix(p.Field, "spec.tls") &&
			ordered[types.NamespacedName{Namespace: p.Object.Namespace, Name: p.Object.Name}]:
			p.Severity, p.Err = ingress.Warning, fmt.Errorf("%w: cert-manager makes it, as the annotations of the Ingress ask", p.Err)
		}
	}
}

func sameProblem(p ingress.Problem) string {
	return strings.Join([]string{p.Object.String(), string(p.Reason), p.Field, p.Err.Error()}, "\n")
}

// standIn is an EndpointSlice such as a cluster makes for a Service whose Pods are ready.
func standIn(service *corev1.Service) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Name},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}}},
	}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{
			Name: &port.Name, Port: &port.Port, Protocol: &port.Protocol, AppProtocol: port.AppProtocol,
		})
	}
	return slice
}

// ordersSecret says whether cert-manager makes the Secrets that the TLS sections of ing name.
func ordersSecret(ing *netv1.Ingress) bool {
	a := ing.Annotations
	return a["cert-manager.io/issuer"] != "" || a["cert-manager.io/cluster-issuer"] != "" || a["kubernetes.io/tls-acme"] == "true"
}
