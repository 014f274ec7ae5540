package k8stest

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Fleet returns a Snapshot with n Ingresses of the class "fairlead", in namespaces of one
// hundred. Each has a host of its own, four paths, a Service with two endpoints, and a TLS
// section with a Secret that a namespace shares.
func Fleet(n int) (*ingress.Snapshot, error) {
	s := &ingress.Snapshot{
		Classes:  []*netv1.IngressClass{{ObjectMeta: metav1.ObjectMeta{Name: "fairlead"}, Spec: netv1.IngressClassSpec{Controller: ingress.Controller}}},
		Services: make(map[types.NamespacedName]*corev1.Service, n),
		Slices:   make(map[types.NamespacedName][]*discoveryv1.EndpointSlice, n),
		Secrets:  make(map[types.NamespacedName]*corev1.Secret),
	}
	for i := range n {
		meta := metav1.ObjectMeta{
			Namespace:         fmt.Sprintf("team-%d", i/100),
			Name:              fmt.Sprintf("app-%d", i),
			UID:               types.UID(strconv.Itoa(i)),
			CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 1, 0, 0, i*7919%n, 0, time.UTC)),
		}
		name := types.NamespacedName{Namespace: meta.Namespace, Name: meta.Name}
		s.Ingresses = append(s.Ingresses, fleetIngress(meta))
		s.Services[name] = &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
			ClusterIP: "10.0.0.1",
			Ports:     []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("web"), Protocol: corev1.ProtocolTCP}},
		}}
		s.Slices[name] = []*discoveryv1.EndpointSlice{fleetSlice(meta, i)}
		secret := types.NamespacedName{Namespace: meta.Namespace, Name: "wildcard"}
		if s.Secrets[secret] == nil {
			crt, key, err := KeyPair("dns=*." + meta.Namespace + ".example")
			if err != nil {
				return nil, err
			}
			s.Secrets[secret] = &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name},
				Type:       corev1.SecretTypeTLS,
				Data:       map[string][]byte{corev1.TLSCertKey: crt, corev1.TLSPrivateKeyKey: key},
			}
		}
	}
	return s, nil
}

func fleetIngress(meta metav1.ObjectMeta) *netv1.Ingress {
	class, prefix := "fairlead", netv1.PathTypePrefix
	host := meta.Name + "." + meta.Namespace + ".example"
	backend := netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: meta.Name, Port: netv1.ServiceBackendPort{Number: 80}}}
	var paths []netv1.HTTPIngressPath
	for _, path := range []string{"/", "/api", "/static", "/healthz"} {
		paths = append(paths, netv1.HTTPIngressPath{Path: path, PathType: &prefix, Backend: backend})
	}
	return &netv1.Ingress{ObjectMeta: meta, Spec: netv1.IngressSpec{
		IngressClassName: &class,
		TLS:              []netv1.IngressTLS{{Hosts: []string{host}, SecretName: "wildcard"}},
		Rules: []netv1.IngressRule{{Host: host, IngressRuleValue: netv1.IngressRuleValue{
			HTTP: &netv1.HTTPIngressRuleValue{Paths: paths},
		}}},
	}}
}

func fleetSlice(meta metav1.ObjectMeta, i int) *discoveryv1.EndpointSlice {
	name, port := "http", int32(8080)
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  meta,
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
	}
	for j := range 2 {
		address := fmt.Sprintf("10.%d.%d.%d", 1+i>>15, i>>7&255, i<<1&255|j)
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
	}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: meta.Name}
	return slice
}
