package observe

import "maps"

// Count is what was counted with the labels of one Ingress and Service, up to now. All labels
// are empty for what no rule matched.
type Count struct {
	Namespace, Ingress, Service string
	Requests                    uint64
	ClientErrors, ServerErrors  uint64 // answered 4xx and 5xx
}

// Counts returns what fairlead_requests_total shows, in no order. What was never asked for is not
// in it. A count begins anew when its rules went away and came back.
func (m *Metrics) Counts() []Count {
	// A copy: requests wait for the lock.
	m.mu.Lock()
	routes := maps.Clone(m.routes)
	m.mu.Unlock()
	counts := make([]Count, 0, len(routes))
	for k, s := range routes {
		c := Count{Namespace: k.namespace, Ingress: k.ingress, Service: k.service}
		for i := range s.requests {
			n := s.requests[i].Load()
			c.Requests += n
			switch classLabels[i] {
			case "4xx":
				c.ClientErrors = n
			case "5xx":
				c.ServerErrors = n
			}
		}
		counts = append(counts, c)
	}
	return counts
}
