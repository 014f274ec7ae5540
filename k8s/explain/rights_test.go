package explain

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// TestAccount: the controller's Pods say which account they run as; those of others say nothing.
func TestAccount(t *testing.T) {
	pod := func(namespace, app, account string) *corev1.Pod {
		p := new(corev1.Pod)
		p.Namespace, p.Labels, p.Spec.ServiceAccountName = namespace, map[string]string{"app.kubernetes.io/name": app}, account
		return p
	}
	pods := []*corev1.Pod{pod("shop", "fairlead", "x"), pod("edge", "web", "y"), pod("edge", "fairlead", ""), pod("edge", "fairlead", "edge-fairlead")}
	c := Controller{Namespace: "edge"}
	if got, want := c.Account(pods), "system:serviceaccount:edge:edge-fairlead"; got != want {
		t.Errorf("by its Pods: %s, want %s", got, want)
	}
	if got, want := c.Account(pods[:2]), "system:serviceaccount:edge:fairlead"; got != want {
		t.Errorf("without Pods: %s, want %s", got, want)
	}
	v := New(State{Snapshot: &ingress.Snapshot{Around: &ingress.Surroundings{Pods: pods}}, Controller: c})
	if got := v.grant("list services"); !strings.HasSuffix(got, " --as system:serviceaccount:edge:edge-fairlead") {
		t.Errorf("remedy %q, want the account of the Pods in it", got)
	}
}

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
