package k8s

import (
	"slices"
	"sync"

	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// liveStatus is what the status of an Ingress says now.
type liveStatus struct {
	uid       types.UID
	version   string // the resource version that it was read at
	addresses []netv1.IngressLoadBalancerIngress
	// ours says that addresses were last written by our field manager, as the API server
	// keeps account: whoever writes the list later takes it over.
	ours bool
}

// statuses is what the Ingresses' status says. It is kept apart from the objects of Snapshots,
// since a change of status changes nothing that is served.
type statuses struct {
	manager string // our field manager

	mu     sync.Mutex
	live   map[types.NamespacedName]liveStatus
	listen func(types.NamespacedName, liveStatus) // nil for none; it must not block
}

// strip removes from an Ingress what nobody reads and keeps of its managedFields the one line
// that says whether we wrote the status.
func (s *statuses) strip(ing *netv1.Ingress) {
	var ours []metav1.ManagedFieldsEntry
	if s.wroteStatus(ing) {
		ours = []metav1.ManagedFieldsEntry{{Manager: s.manager, Subresource: "status"}}
	}
	stripIngress(ing)
	ing.ManagedFields = ours
}

func (s *statuses) wroteStatus(ing *netv1.Ingress) bool {
	return slices.ContainsFunc(ing.ManagedFields, func(f metav1.ManagedFieldsEntry) bool {
		return f.Subresource == "status" && f.Manager == s.manager
	})
}

// see notes a version of an Ingress.
func (s *statuses) see(ing *netv1.Ingress, gone bool) {
	name := keyOf(ing)
	live := liveStatus{
		uid: ing.UID, version: ing.ResourceVersion, addresses: ing.Status.LoadBalancer.Ingress, ours: s.wroteStatus(ing),
	}
	ing.ManagedFields = nil // nobody else reads them
	s.mu.Lock()
	if s.live == nil {
		s.live = make(map[types.NamespacedName]liveStatus)
	}
	if gone {
		delete(s.live, name)
	} else {
		s.live[name] = live
	}
	listen := s.listen
	s.mu.Unlock()
	if listen != nil && !gone {
		listen(name, live)
	}
}

// get returns the status of one Ingress.
func (s *statuses) get(name types.NamespacedName) (liveStatus, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.live[name]
	return l, ok
}

// each calls f for the status of each Ingress, with the lock held: f must not call methods of s.
func (s *statuses) each(f func(types.NamespacedName, liveStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, live := range s.live {
		f(name, live)
	}
}

// setListener has f told of every version of an Ingress that comes; nil for nobody.
func (s *statuses) setListener(f func(types.NamespacedName, liveStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen = f
}

// StatusAddresses returns the addresses that the status of an Ingress has now.
func (c *Cluster) StatusAddresses(name types.NamespacedName) []netv1.IngressLoadBalancerIngress {
	live, _ := c.statuses.get(name)
	return live.addresses
}
