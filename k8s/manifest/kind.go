package manifest

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// kind is what is known of a kind of objects.
type kind struct {
	name       string
	group      string
	version    string
	old        []string // groups and versions that this kind had once, such as "extensions/v1beta1"
	clustered  bool     // has no namespace
	served     bool     // decides what is served; others are for explanations
	labelNames bool     // names are DNS labels, not DNS names

	new func() metav1.Object
	// check fills in what the API server would, and returns what it would refuse.
	check func(metav1.Object) field.ErrorList
}

func (k kind) apiVersion() string {
	if k.group == "" {
		return k.version
	}
	return k.group + "/" + k.version
}

// of makes the functions of a kind whose Go type is T.
func of[T any, P interface {
	*T
	metav1.Object
}](k kind, check func(P) field.ErrorList) kind {
	k.new = func() metav1.Object { return P(new(T)) }
	k.check = func(o metav1.Object) field.ErrorList {
		if check == nil {
			return nil
		}
		return check(o.(P))
	}
	return k
}

// kindNamed returns the kind of that name.
func kindNamed(name string) (kind, bool) {
	k := kind{name: name, version: "v1"}
	switch name {
	case "Ingress":
		k.group, k.served = netv1.GroupName, true
		k.old = []string{"extensions/v1beta1", "networking.k8s.io/v1beta1"}
		return of(k, checkIngress), true
	case "IngressClass":
		k.group, k.served, k.clustered = netv1.GroupName, true, true
		k.old = []string{"networking.k8s.io/v1beta1"}
		return of(k, checkIngressClass), true
	case "Service":
		k.served, k.labelNames = true, true
		return of(k, checkService), true
	case "EndpointSlice":
		k.group, k.served = discoveryv1.GroupName, true
		k.old = []string{"discovery.k8s.io/v1alpha1", "discovery.k8s.io/v1beta1"}
		return of(k, checkEndpointSlice), true
	case "Secret":
		k.served = true
		return of(k, checkSecret), true
	case "ConfigMap":
		return of[corev1.ConfigMap](k, nil), true
	case "Namespace":
		k.clustered, k.labelNames = true, true
		return of[corev1.Namespace](k, nil), true
	case "Node":
		k.clustered = true
		return of[corev1.Node](k, nil), true
	case "Pod":
		return of[corev1.Pod](k, nil), true
	case "NetworkPolicy":
		k.group = netv1.GroupName
		k.old = []string{"extensions/v1beta1"}
		return of[netv1.NetworkPolicy](k, nil), true
	}
	return kind{}, false
}

// ofKubernetes says of a kind that is not read whether it is one of Kubernetes' own that stand beside an Ingress in
// most manifests, and so no mistake. Kinds of the groups that are read are told by name, as another one is misspelt.
func ofKubernetes(name, apiVersion string) bool {
	switch apiGroup(apiVersion) {
	case "apps", "batch", "autoscaling", "policy", "rbac.authorization.k8s.io", "storage.k8s.io", "scheduling.k8s.io",
		"coordination.k8s.io", "apiextensions.k8s.io", "admissionregistration.k8s.io", "apiregistration.k8s.io":
		return true
	case "":
		return apiVersion == "v1" && slices.Contains([]string{
			"ServiceAccount", "PersistentVolumeClaim", "PersistentVolume", "ResourceQuota", "LimitRange", "ReplicationController", "Event",
		}, name)
	}
	return false
}

// listOf returns the kind of the items of a list, "" when they say it themselves. ok is false
// for a kind that is no list.
func listOf(apiVersion, name string) (item string, ok bool) {
	item, ok = strings.CutSuffix(name, "List")
	if !ok || item == "" {
		return "", ok && apiVersion == "v1"
	}
	k, ok := kindNamed(item)
	return item, ok && k.apiVersion() == apiVersion
}
