package k8s

import (
	"bytes"
	"maps"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// What follows decides which changes of an object are any of ours. A change of status, of
// labels nobody reads, of managedFields or of the resource version alone is none.

func sameMeta(old, now *metav1.ObjectMeta) bool {
	return old.UID == now.UID && old.CreationTimestamp.Equal(&now.CreationTimestamp) && maps.Equal(old.Annotations, now.Annotations)
}

func sameIngress(old, now *netv1.Ingress) bool {
	return sameMeta(&old.ObjectMeta, &now.ObjectMeta) && reflect.DeepEqual(&old.Spec, &now.Spec)
}

func sameClass(old, now *netv1.IngressClass) bool {
	return sameMeta(&old.ObjectMeta, &now.ObjectMeta) && reflect.DeepEqual(&old.Spec, &now.Spec)
}

// sameService looks at the load balancer's addresses too: they are published.
func sameService(old, now *corev1.Service) bool {
	return sameMeta(&old.ObjectMeta, &now.ObjectMeta) && reflect.DeepEqual(&old.Spec, &now.Spec) &&
		reflect.DeepEqual(&old.Status.LoadBalancer, &now.Status.LoadBalancer)
}

func sameSlice(old, now *discoveryv1.EndpointSlice) bool {
	return old.UID == now.UID && serviceOf(old) == serviceOf(now) && old.AddressType == now.AddressType &&
		reflect.DeepEqual(old.Ports, now.Ports) && reflect.DeepEqual(old.Endpoints, now.Endpoints)
}

func sameSecret(old, now *corev1.Secret) bool {
	return old.UID == now.UID && old.Type == now.Type && maps.EqualFunc(old.Data, now.Data, bytes.Equal)
}

// serviceOf is the Service that an EndpointSlice belongs to; zero for none, and of nil.
func serviceOf(s *discoveryv1.EndpointSlice) types.NamespacedName {
	if s == nil || s.Labels[discoveryv1.LabelServiceName] == "" {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
}

// secretNames are the Secrets that an Ingress names, repetitions included; none of nil.
func secretNames(ing *netv1.Ingress) []types.NamespacedName {
	if ing == nil {
		return nil
	}
	var names []types.NamespacedName
	for _, t := range ing.Spec.TLS {
		if t.SecretName != "" {
			names = append(names, types.NamespacedName{Namespace: ing.Namespace, Name: t.SecretName})
		}
	}
	return append(names, passwordNames(ing)...)
}

// passwordNames are those of secretNames that policies are made of; none of nil.
func passwordNames(ing *netv1.Ingress) []types.NamespacedName {
	if ing == nil {
		return nil
	}
	var names []types.NamespacedName
	if namespace, name := policy.AuthSecret(ing.Namespace, ing.Annotations); name != "" {
		names = append(names, types.NamespacedName{Namespace: namespace, Name: name})
	}
	for _, n := range policy.NamedSecrets(ing.Namespace, ing.Annotations) {
		names = append(names, types.NamespacedName{Namespace: n[0], Name: n[1]})
	}
	return names
}

// configMapNames are the ConfigMaps that an Ingress names; none of nil.
func configMapNames(ing *netv1.Ingress) []types.NamespacedName {
	if ing == nil {
		return nil
	}
	var names []types.NamespacedName
	for _, name := range policy.ConfigMaps(ing.Namespace, ing.Annotations) {
		names = append(names, types.NamespacedName{Namespace: ing.Namespace, Name: name})
	}
	return names
}

// What nobody reads is removed from each object before it is kept.

func stripMeta(m *metav1.ObjectMeta) {
	m.ManagedFields = nil
	m.OwnerReferences, m.Finalizers = nil, nil
	if delete(m.Annotations, corev1.LastAppliedConfigAnnotation); len(m.Annotations) == 0 {
		m.Annotations = nil // an empty map is larger than all else here
	}
}

// stripConfigMap keeps what settings are made of.
func stripConfigMap(c *corev1.ConfigMap) {
	stripMeta(&c.ObjectMeta)
	c.Labels, c.Annotations, c.BinaryData = nil, nil, nil
}

func sameConfigMap(old, now *corev1.ConfigMap) bool {
	return old.UID == now.UID && maps.Equal(old.Data, now.Data)
}

func stripClass(c *netv1.IngressClass) { stripMeta(&c.ObjectMeta) }

// stripIngress has equal parts of an Ingress be one, too: its paths lead to few Services.
func stripIngress(ing *netv1.Ingress) {
	stripMeta(&ing.ObjectMeta)
	ing.Labels = nil
	var last *netv1.IngressServiceBackend
	var lastType *netv1.PathType
	for i := range ing.Spec.Rules {
		http := ing.Spec.Rules[i].HTTP
		if http == nil {
			continue
		}
		for j := range http.Paths {
			p := &http.Paths[j]
			switch t := p.PathType; {
			case t != nil && lastType != nil && *t == *lastType:
				p.PathType = lastType
			case t != nil:
				lastType = t
			}
			switch s := p.Backend.Service; {
			case s != nil && last != nil && *s == *last:
				p.Backend.Service = last
			case s != nil:
				last = s
			}
		}
	}
}

func stripService(s *corev1.Service) {
	stripMeta(&s.ObjectMeta)
	s.Labels, s.Spec.ClusterIPs, s.Spec.IPFamilies, s.Spec.IPFamilyPolicy = nil, nil, nil, nil
	s.Spec.SessionAffinityConfig, s.Spec.InternalTrafficPolicy, s.Spec.AllocateLoadBalancerNodePorts = nil, nil, nil
	s.Status.Conditions = nil
}

func stripSlice(s *discoveryv1.EndpointSlice) {
	stripMeta(&s.ObjectMeta)
	service, labelled := s.Labels[discoveryv1.LabelServiceName]
	s.Labels, s.Annotations = nil, nil
	if labelled {
		s.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		e.NodeName, e.Zone, e.Hints, e.DeprecatedTopology = nil, nil, nil, nil
	}
}

// stripSecret keeps the key pair and the authorities of a TLS Secret, and of others nothing but what they are.
func stripSecret(s *corev1.Secret) {
	stripMeta(&s.ObjectMeta)
	s.Labels, s.Annotations, s.StringData = nil, nil, nil
	maps.DeleteFunc(s.Data, func(key string, _ []byte) bool {
		return s.Type != corev1.SecretTypeTLS || key != corev1.TLSCertKey && key != corev1.TLSPrivateKeyKey && key != "ca.crt" && key != "ca.crl"
	})
}
