package k8s

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// shown is a list of addresses as "ADDRESS[80=error,443]".
func shown(list []netv1.IngressLoadBalancerIngress) string {
	var all []string
	for _, a := range list {
		text := a.IP + a.Hostname
		if a.Ports != nil {
			var ports []string
			for _, p := range a.Ports {
				port := fmt.Sprint(p.Port)
				if p.Error != nil {
					port += "=" + *p.Error
				}
				ports = append(ports, port)
			}
			text += "[" + strings.Join(ports, ",") + "]"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestServiceAddresses(t *testing.T) {
	lb := func(entries ...corev1.LoadBalancerIngress) corev1.ServiceStatus {
		return corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: entries}}
	}
	external := []string{"198.51.100.2", "198.51.100.1"}
	for _, test := range []struct {
		name   string
		spec   corev1.ServiceSpec
		status corev1.ServiceStatus
		want   string
	}{
		{"LoadBalancer", corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.0.0.1"}, lb(corev1.LoadBalancerIngress{IP: "192.0.2.1"}, corev1.LoadBalancerIngress{Hostname: "lb.example"}), "192.0.2.1 lb.example"},
		{"LoadBalancer with external IPs", corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalIPs: external}, lb(corev1.LoadBalancerIngress{IP: "198.51.100.1"}), "198.51.100.1 198.51.100.2"},
		{"LoadBalancer without addresses yet", corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.0.0.1"}, lb(), ""},
		{"LoadBalancer with an empty entry", corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}, lb(corev1.LoadBalancerIngress{}), ""},
		{"ClusterIP", corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.1"}, lb(), "10.0.0.1"},
		{"headless", corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "None"}, lb(), ""},
		{"NodePort", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.1"}, lb(), "10.0.0.1"},
		{"NodePort with external IPs", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.1", ExternalIPs: external}, lb(), "198.51.100.1 198.51.100.2"},
		{"ExternalName", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "LB.example."}, lb(), "lb.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := types.NamespacedName{Namespace: "infra", Name: "lb"}
			s := &ingress.Snapshot{Services: map[types.NamespacedName]*corev1.Service{name: {Spec: test.spec, Status: test.status}}}
			got, ok := Addresses{Service: name}.resolve(s)
			if !ok || shown(got) != test.want {
				t.Errorf("got %q, known %t; want %q", shown(got), ok, test.want)
			}
		})
	}
}

func TestFixedAddresses(t *testing.T) {
	a := Addresses{Fixed: ParseAddresses("192.0.2.2, lb.example,192.0.2.1 2001:DB8::1,192.0.2.2"), Service: types.NamespacedName{Name: "not looked at"}}
	got, ok := a.resolve(&ingress.Snapshot{})
	if want := "192.0.2.1 192.0.2.2 2001:db8::1 lb.example"; !ok || shown(got) != want {
		t.Errorf("got %q, want %q", shown(got), want)
	}
	for _, none := range []Addresses{{}, {Service: types.NamespacedName{Namespace: "a", Name: "missing"}}} {
		if got, ok := none.resolve(&ingress.Snapshot{}); ok {
			t.Errorf("%+v gives %q, want nothing known", none, shown(got))
		}
	}
}

func TestWantedStatus(t *testing.T) {
	ing := func(name string) *netv1.Ingress {
		return &netv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)}}
	}
	problem := func(severity ingress.Severity, kind, name, reason, field string) ingress.Problem {
		return ingress.Problem{
			Object: ingress.Object{Kind: kind, Namespace: "default", Name: name}, Severity: severity, Reason: ingress.Reason(reason), Field: field, Err: errors.New("x"),
		}
	}
	u := &Update{
		Snapshot: &ingress.Snapshot{},
		Owned:    []*netv1.Ingress{ing("fine"), ing("warned"), ing("backend"), ing("tls"), ing("both"), ing("field")},
		Problems: []ingress.Problem{
			problem(ingress.Warning, "Ingress", "warned", "AnnotationUnknown", ""),
			problem(ingress.Error, "Ingress", "backend", "ServiceNotFound", "spec.rules[0]"),
			problem(ingress.Error, "Ingress", "backend", "ZzzLater", "spec.rules[1]"),
			problem(ingress.Error, "Service", "fine", "ServiceNotFound", ""),
			problem(ingress.Error, "Ingress", "tls", "SecretNotFound", "spec.tls[0]"),
			problem(ingress.Error, "Ingress", "both", "CertificateExpired", "spec.tls[0]"),
			problem(ingress.Error, "Ingress", "both", "NoEndpoints", "spec.rules[0]"),
			problem(ingress.Error, "Ingress", "field", "Whatever", "spec.tls[0].secretName"),
			problem(ingress.Error, "Ingress", "foreign", "NoEndpoints", ""),
		},
	}
	w := want(Addresses{Fixed: []string{"192.0.2.1", "lb.example"}}, u)
	each := func(suffix string) string { return "192.0.2.1" + suffix + " lb.example" + suffix }
	for name, want := range map[string]string{
		"fine": each(""), "warned": each(""),
		"backend": each("[80=fairlead.dev/ServiceNotFound,443=fairlead.dev/ServiceNotFound]"),
		"tls":     each("[80,443=fairlead.dev/SecretNotFound]"),
		"both":    each("[80=fairlead.dev/NoEndpoints,443=fairlead.dev/CertificateExpired]"),
		"field":   each("[80,443=fairlead.dev/Whatever]"),
	} {
		live := liveStatus{uid: types.UID("uid-" + name)}
		got, differs := w.of(service(name), live)
		if shown(got) != want || !differs {
			t.Errorf("%s: %q, differs %t; want %q", name, shown(got), differs, want)
		}
		live.addresses = slices.Clone(got)
		slices.Reverse(live.addresses) // the order of the list has no meaning
		if _, differs := w.of(service(name), live); differs {
			t.Errorf("%s: what is wanted differs from itself", name)
		}
	}
	theirs := []netv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
	for name, test := range map[string]struct {
		live liveStatus
		want bool
	}{
		"foreign, written by others": {liveStatus{uid: "uid-foreign", addresses: theirs}, false},
		"foreign, written by us":     {liveStatus{uid: "uid-foreign", addresses: theirs, ours: true}, true},
		"foreign, empty":             {liveStatus{uid: "uid-foreign", ours: true}, false},
	} {
		if got, differs := w.of(service("foreign"), test.live); differs != test.want || got != nil {
			t.Errorf("%s: %q, differs %t; want %t and nothing", name, shown(got), differs, test.want)
		}
	}
	// Another object of a name that was ours is not ours before it was translated.
	if _, differs := w.of(service("fine"), liveStatus{uid: "another"}); differs {
		t.Error("an object that was not translated is written")
	}
}

func TestLastReplica(t *testing.T) {
	name := types.NamespacedName{Namespace: "infra", Name: "lb"}
	no := false
	endpoint := func(pod string, ready *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Name: pod}, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
	}
	for _, test := range []struct {
		name   string
		slices [][]discoveryv1.Endpoint
		want   bool
	}{
		{"unknown", nil, false},
		{"none", [][]discoveryv1.Endpoint{{}}, true},
		{"this one", [][]discoveryv1.Endpoint{{endpoint("a", nil)}}, true},
		{"this one, of both families", [][]discoveryv1.Endpoint{{endpoint("a", nil)}, {endpoint("a", nil)}}, true},
		{"another is ready", [][]discoveryv1.Endpoint{{endpoint("a", nil), endpoint("b", nil)}}, false},
		{"another is not ready", [][]discoveryv1.Endpoint{{endpoint("a", nil), endpoint("b", &no)}}, true},
	} {
		s := &ingress.Snapshot{Slices: make(map[types.NamespacedName][]*discoveryv1.EndpointSlice)}
		for _, endpoints := range test.slices {
			s.Slices[name] = append(s.Slices[name], &discoveryv1.EndpointSlice{Endpoints: endpoints})
		}
		if got := (Addresses{Service: name}).lastReplica(s); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}
