package ingress

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Snapshot is one consistent read of the API objects. Neither it nor its objects change once
// it was made; an object that is the same in the next Snapshot is the same pointer, which is
// what results are cached by. A list or map of which nothing changed may be the same memory,
// which is the quickest way to see it. The order of the slices has no meaning, but to keep it from
// one Snapshot to the next makes it quicker to see what changed. No object is in it twice.
type Snapshot struct {
	Ingresses []*netv1.Ingress
	Classes   []*netv1.IngressClass
	Services  map[types.NamespacedName]*corev1.Service
	// Slices are the EndpointSlices of each Service, found by the label
	// kubernetes.io/service-name and the namespace.
	Slices map[types.NamespacedName][]*discoveryv1.EndpointSlice
	// Secrets are those of type kubernetes.io/tls and those that an Ingress names. One that
	// an Ingress names and that is not here does not exist or may not be read.
	Secrets map[types.NamespacedName]*corev1.Secret
	// ConfigMaps has at least the controller's, if it exists, those of its namespace, and those
	// that an Ingress names. One of these that is not here does not exist or may not be read.
	ConfigMaps map[types.NamespacedName]*corev1.ConfigMap
	// LocalEndpoints allows endpoint addresses on the loopback interface: true for a
	// directory of manifests, never for a cluster.
	LocalEndpoints bool
	// Around is what explanations look at beyond what is served; nil where nothing of it was
	// read. It has no influence on what is served.
	Around *Surroundings
}

// Surroundings are the objects around those that are served. They may be older than the rest
// of a Snapshot.
type Surroundings struct {
	Pods            []*corev1.Pod
	NetworkPolicies []*netv1.NetworkPolicy
	Namespaces      []*corev1.Namespace
	Nodes           []*corev1.Node
	ConfigMaps      []*corev1.ConfigMap
	Leases          []*coordinationv1.Lease
	// Unread says of each kind that could not be read why, by its name ("Pod"). The list of
	// such a kind is empty, which means nothing.
	Unread map[string]error
	// Refused are the rights that the controller needs and lacks, as "verb resource" ("list
	// services"); nil when that was not asked.
	Refused []string
}
