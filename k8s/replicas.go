package k8s

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Replicas is how the live replicas of this controller are found: they are the ready endpoints
// of the Service that leads to them. The zero value finds none.
type Replicas struct {
	Service types.NamespacedName
	// Pod is the name of our own, in the namespace of Service. While no endpoint is ours, ready or
	// not, the Service leads elsewhere as far as we know and the number is not known.
	Pod string
}

// count returns the number of replicas that are ready, and 0 when it is not known.
func (r Replicas) count(s *ingress.Snapshot) int {
	if s == nil || r.Service.Name == "" {
		return 0
	}
	list := s.Slices[r.Service]
	for _, slice := range list {
		for _, e := range slice.Endpoints {
			if e.TargetRef != nil && e.TargetRef.Kind == "Pod" && e.TargetRef.Name == r.Pod {
				return readyEndpoints(list)
			}
		}
	}
	return 0
}

// readyEndpoints counts what is behind a Service and ready. A Pod with addresses of both families
// is one, as is one that two EndpointSlices show.
func readyEndpoints(list []*discoveryv1.EndpointSlice) int {
	ready := make(map[string]struct{})
	for _, slice := range list {
		for _, e := range slice.Endpoints {
			if e.TargetRef != nil && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				ready[e.TargetRef.Name] = struct{}{}
			}
		}
	}
	return len(ready)
}

// countReplicas tells the Proxy of the replicas that s shows.
func (c *Controller) countReplicas(s *ingress.Snapshot) { c.Proxy.SetReplicas(c.Replicas.count(s)) }
