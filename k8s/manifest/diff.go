package manifest

import (
	"maps"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// diff returns the Services whose EndpointSlices differ between two Snapshots, and whether
// anything else does. Objects that are the same are the same pointer.
func diff(a, b *ingress.Snapshot) (services []types.NamespacedName, other bool) {
	for name, slices := range b.Slices {
		if !sameSet(a.Slices[name], slices) {
			services = append(services, name)
		}
	}
	for name := range a.Slices {
		if _, ok := b.Slices[name]; !ok {
			services = append(services, name)
		}
	}
	return services, !sameSet(a.Ingresses, b.Ingresses) || !sameSet(a.Classes, b.Classes) ||
		!maps.Equal(a.Services, b.Services) || !maps.Equal(a.ConfigMaps, b.ConfigMaps) || !maps.Equal(a.Secrets, b.Secrets)
}

// sameAround reports whether two Snapshots have the same objects around what is served.
func sameAround(a, b *ingress.Surroundings) bool {
	return sameSet(a.Pods, b.Pods) && sameSet(a.NetworkPolicies, b.NetworkPolicies) && sameSet(a.Namespaces, b.Namespaces) &&
		sameSet(a.Nodes, b.Nodes) && sameSet(a.ConfigMaps, b.ConfigMaps)
}

// sameSet reports whether two lists without repetitions hold the same pointers.
func sameSet[T any](a, b []*T) bool {
	if len(a) != len(b) {
		return false
	}
	in := make(map[*T]struct{}, len(a))
	for _, p := range a {
		in[p] = struct{}{}
	}
	for _, p := range b {
		if _, ok := in[p]; !ok {
			return false
		}
	}
	return true
}
