package cluster

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// fleetNamespaces are where a Fleet is: a tenth of a hundred teams.
const fleetNamespaces = 10

// Fleet is Ingresses with four paths each, as charts make them, that lead to Services of their own. EndpointSlices made
// through the API stand for Pods: each has one endpoint, which is one of two backends.
type Fleet struct {
	Client   kubernetes.Interface
	Backends [2]*net.TCPAddr
	size     int
}

// name is that of the Ingress, the Service and the EndpointSlice i.
func (f *Fleet) name(i int) (namespace, name string) {
	return fmt.Sprintf("team-%d", i%fleetNamespaces), fmt.Sprintf("site-%d", i)
}

// Host is that of Ingress i.
func (f *Fleet) Host(i int) string { return fmt.Sprintf("site-%d.example", i) }

// Grow makes Ingresses until there are size of them. Endpoints are those of the first backend.
func (f *Fleet) Grow(t testing.TB, size int) {
	t.Helper()
	if f.size == 0 {
		for i := range fleetNamespaces {
			namespace, _ := f.name(i)
			_, err := f.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
		}
	}
	const workers = 32
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := f.size + w; i < size; i += workers {
				if err := f.create(t.Context(), i); err != nil {
					t.Errorf("fleet: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	f.size = size
}

func (f *Fleet) create(ctx context.Context, i int) error {
	namespace, name := f.name(i)
	meta := fleetMeta(name)
	service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}
	if _, err := f.Client.CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := f.Client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, f.slice(i, 0), metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := f.Client.NetworkingV1().Ingresses(namespace).Create(ctx, f.ingress(i, i), metav1.CreateOptions{})
	return err
}

// fleetMeta has the labels and the annotation that objects have in practice, and that nobody reads.
func fleetMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			"app.kubernetes.io/name": name, "app.kubernetes.io/instance": name + "-production", "app.kubernetes.io/managed-by": "Helm",
			"app.kubernetes.io/version": "1.27.3", "helm.sh/chart": "site-4.11.2",
		},
		Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: fmt.Sprintf(`{"apiVersion":"v1","kind":"Any","metadata":{"name":%q},"filler":"%0800d"}`, name, 0)},
	}
}

// slice is the endpoint of Service i, which is that backend.
func (f *Fleet) slice(i, backend int) *discoveryv1.EndpointSlice {
	_, name := f.name(i)
	port, portName := int32(f.Backends[backend].Port), "http"
	meta := fleetMeta(name)
	meta.Labels[discoveryv1.LabelServiceName] = name
	return &discoveryv1.EndpointSlice{
		ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4,
		Ports:     []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{f.Backends[backend].IP.String()}}},
	}
}

// ingress is Ingress i with the Service of to as its backend; both must be of one namespace.
func (f *Fleet) ingress(i, to int) *netv1.Ingress {
	_, name := f.name(i)
	_, service := f.name(to)
	class, prefix := "fairlead", netv1.PathTypePrefix
	backend := netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: service, Port: netv1.ServiceBackendPort{Number: 80}}}
	var paths []netv1.HTTPIngressPath
	for _, path := range []string{"/", "/api", "/static", "/healthz"} {
		paths = append(paths, netv1.HTTPIngressPath{Path: path, PathType: &prefix, Backend: backend})
	}
	return &netv1.Ingress{ObjectMeta: fleetMeta(name), Spec: netv1.IngressSpec{IngressClassName: &class, Rules: []netv1.IngressRule{{
		Host: f.Host(i), IngressRuleValue: netv1.IngressRuleValue{HTTP: &netv1.HTTPIngressRuleValue{Paths: paths}},
	}}}}
}

// Lead changes Ingress i so that it leads to the Service of to.
func (f *Fleet) Lead(ctx context.Context, i, to int) error {
	namespace, _ := f.name(i)
	_, err := f.Client.NetworkingV1().Ingresses(namespace).Update(ctx, f.ingress(i, to), metav1.UpdateOptions{})
	return err
}

// Move makes a backend the endpoint of Service i.
func (f *Fleet) Move(ctx context.Context, i, backend int) error {
	namespace, _ := f.name(i)
	_, err := f.Client.DiscoveryV1().EndpointSlices(namespace).Update(ctx, f.slice(i, backend), metav1.UpdateOptions{})
	return err
}

// reset makes Ingress i and its endpoint what they were at first.
func (f *Fleet) reset(ctx context.Context, i int) error {
	if err := f.Lead(ctx, i, i); err != nil {
		return err
	}
	return f.Move(ctx, i, 0)
}
