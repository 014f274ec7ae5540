package manifest

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// classAnnotation chose the class before spec.ingressClassName did.
const classAnnotation = "kubernetes.io/ingress.class"

// builder collects documents in the order that decides between duplicates.
type builder struct {
	places   map[ingress.Object]place
	accepted []place
	problems []Problem
}

// add adds a document that begins at a line of a file.
func (b *builder) add(file string, line int, d *document) {
	for _, p := range d.problems {
		if p.problem.Object == (ingress.Object{}) {
			p.problem.Object = ingress.Object{Kind: "File", Name: file}
		}
		b.problems = append(b.problems, Problem{file, line + p.line - 1, p.problem})
	}
	for _, o := range d.objects {
		at := place{file, line, d, o}
		if first, ok := b.places[o.id]; ok {
			b.report(at, ingress.Error, DuplicateObject, "", fmt.Errorf("not used: %s:%d has an object of the same kind, namespace and name", first.file, first.objectLine()))
			continue
		}
		b.places[o.id] = at
		b.accepted = append(b.accepted, at)
	}
}

func (p place) objectLine() int { return p.line + p.obj.line - 1 }

func (b *builder) report(p place, s ingress.Severity, r ingress.Reason, field string, err error) {
	b.problems = append(b.problems, Problem{p.file, p.objectLine(), ingress.Problem{
		Object: p.obj.id, Severity: s, Reason: r, Field: field, Err: err,
	}})
}

// build makes the Manifests. Ingresses without a class get the default class, as at creation
// in a cluster. These are copies; classed maps the originals to those made before, and the
// returned map to those in use, so that what has not changed stays the same object.
func (b *builder) build(classed map[*netv1.Ingress]*netv1.Ingress) (*Manifests, map[*netv1.Ingress]*netv1.Ingress) {
	s := &ingress.Snapshot{
		Services:       make(map[types.NamespacedName]*corev1.Service),
		Slices:         make(map[types.NamespacedName][]*discoveryv1.EndpointSlice),
		Secrets:        make(map[types.NamespacedName]*corev1.Secret),
		ConfigMaps:     make(map[types.NamespacedName]*corev1.ConfigMap),
		LocalEndpoints: true,
		Around:         new(ingress.Surroundings),
	}
	for _, p := range b.accepted {
		name := types.NamespacedName{Namespace: p.obj.id.Namespace, Name: p.obj.id.Name}
		switch o := p.obj.content.object.(type) {
		case *netv1.Ingress:
			s.Ingresses = append(s.Ingresses, o)
		case *netv1.IngressClass:
			s.Classes = append(s.Classes, o)
		case *corev1.Service:
			s.Services[name] = o
		case *corev1.Secret:
			s.Secrets[name] = o
		case *discoveryv1.EndpointSlice:
			name.Name = o.Labels[discoveryv1.LabelServiceName]
			if name.Name == "" {
				b.report(p, ingress.Warning, SliceWithoutService, "metadata.labels",
					errors.New("wanted the label "+discoveryv1.LabelServiceName+" with the name of a Service; without it the endpoints are not used"))
				continue
			}
			s.Slices[name] = append(s.Slices[name], o)
		case *corev1.Pod:
			s.Around.Pods = append(s.Around.Pods, o)
		case *netv1.NetworkPolicy:
			s.Around.NetworkPolicies = append(s.Around.NetworkPolicies, o)
		case *corev1.Namespace:
			s.Around.Namespaces = append(s.Around.Namespaces, o)
		case *corev1.Node:
			s.Around.Nodes = append(s.Around.Nodes, o)
		case *corev1.ConfigMap:
			s.Around.ConfigMaps = append(s.Around.ConfigMaps, o)
			s.ConfigMaps[name] = o
		}
	}
	used := make(map[*netv1.Ingress]*netv1.Ingress)
	// Translation reports that there are several defaults.
	if class, _ := ingress.DefaultClass(s.Classes); class != nil {
		for i, ing := range s.Ingresses {
			if ing.Spec.IngressClassName != nil || ing.Annotations[classAnnotation] != "" {
				continue
			}
			with := classed[ing]
			if with == nil || *with.Spec.IngressClassName != class.Name {
				with = new(*ing)
				with.Spec.IngressClassName = new(class.Name)
			}
			used[ing] = with
			s.Ingresses[i] = with
		}
	}
	slices.SortFunc(b.problems, comparePlace)
	return &Manifests{snapshot: s, problems: b.problems, places: b.places}, used
}
