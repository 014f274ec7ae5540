package k8s

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Stripping an Ingress changes nothing of what it says, and what it says several times is there once.
func TestStripIngress(t *testing.T) {
	path := func(path, service string, kind netv1.PathType) netv1.HTTPIngressPath {
		return netv1.HTTPIngressPath{Path: path, PathType: &kind, Backend: netv1.IngressBackend{
			Service: &netv1.IngressServiceBackend{Name: service, Port: netv1.ServiceBackendPort{Number: 80}},
		}}
	}
	ing := &netv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"k": "v"}, Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "x", "a": "b"}},
		Spec: netv1.IngressSpec{Rules: []netv1.IngressRule{
			{Host: "a.example", IngressRuleValue: netv1.IngressRuleValue{HTTP: &netv1.HTTPIngressRuleValue{Paths: []netv1.HTTPIngressPath{
				path("/", "web", netv1.PathTypePrefix), path("/a", "web", netv1.PathTypePrefix), path("/b", "api", netv1.PathTypeExact),
				{Path: "/nothing"},
				path("/c", "api", netv1.PathTypePrefix),
			}}}},
			{Host: "b.example"},
		}},
	}
	want := ing.Spec.DeepCopy()
	stripIngress(ing)
	if !reflect.DeepEqual(&ing.Spec, want) {
		t.Errorf("the spec is another one:\n%+v\nwant\n%+v", ing.Spec, want)
	}
	if ing.Labels != nil || len(ing.Annotations) != 1 {
		t.Errorf("kept what nobody reads: %+v", ing.ObjectMeta)
	}
	only := &netv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "x"}}}
	if stripIngress(only); only.Annotations != nil {
		t.Errorf("kept an empty map of annotations: %v", only.Annotations)
	}
	paths := ing.Spec.Rules[0].HTTP.Paths
	if paths[0].Backend.Service != paths[1].Backend.Service || paths[2].Backend.Service != paths[4].Backend.Service || paths[0].PathType != paths[1].PathType {
		t.Error("equal parts are several")
	}
}

func TestStripSlice(t *testing.T) {
	node, ready := "node-1", true
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{discoveryv1.LabelServiceName: "web", "other": "x"}, Annotations: map[string]string{"a": "b"}},
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"10.0.0.1"}, NodeName: &node, Zone: &node, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "web-1"},
		}},
	}
	want := discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, Conditions: slice.Endpoints[0].Conditions, TargetRef: slice.Endpoints[0].TargetRef}
	stripSlice(slice)
	if !reflect.DeepEqual(slice.Endpoints[0], want) {
		t.Errorf("endpoint %+v, want %+v", slice.Endpoints[0], want)
	}
	if serviceOf(slice).Name != "web" || len(slice.Labels) != 1 || slice.Annotations != nil {
		t.Errorf("metadata %+v, want the label of the Service alone", slice.ObjectMeta)
	}
	foreign := &discoveryv1.EndpointSlice{}
	if stripSlice(foreign); foreign.Labels != nil {
		t.Errorf("labels %v of a slice without any", foreign.Labels)
	}
}
