package explain

import (
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// TestGrant: the command of the remedy asks for the right that is lacking, where it is needed.
// kubectl takes "events" to be those of the core group, and "ingresses/status" to be an Ingress
// with the name "status", so without their group and flag it would go on saying no, or yes.
func TestGrant(t *testing.T) {
	for _, c := range []struct{ right, only, want string }{
		{"list services", "", "kubectl auth can-i list services -A --as system:serviceaccount:edge:fairlead"},
		{"watch endpointslices", "", "kubectl auth can-i watch endpointslices.discovery.k8s.io -A --as system:serviceaccount:edge:fairlead"},
		{"patch ingresses/status", "", "kubectl auth can-i patch ingresses.networking.k8s.io --subresource=status -A --as system:serviceaccount:edge:fairlead"},
		{"create events", "shop", "kubectl auth can-i create events.events.k8s.io -n shop --as system:serviceaccount:edge:fairlead"},
	} {
		v := New(State{Snapshot: new(ingress.Snapshot), Controller: Controller{Namespace: "edge"}, OnlyNamespace: c.only})
		if got := v.grant(c.right); !strings.HasSuffix(got, ": "+c.want) || strings.Contains(got, "ClusterRole") != (c.only == "") {
			t.Errorf("%s in %q: %s", c.right, c.only, got)
		}
	}
}
