package ingress

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

// on is an Ingress's rule of a host with these policies.
func on(name, path string, set *policy.Set) member {
	e := newEntry(&netv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}})
	return member{e, &part{rules: []*proxy.Rule{{Host: "a.example", Path: path, PathType: router.Prefix, Policies: set, Origin: e.origin}}}}
}

// TestPassedOn says where the connections of a host go: the first Ingress of the host decides.
func TestPassedOn(t *testing.T) {
	pass := &policy.Set{Passthrough: true}
	for name, tt := range map[string]struct {
		members []member
		to      string // the path of the rule that connections are passed on by; empty: TLS ends here
		refuse  bool
	}{
		"asked for":                    {[]member{on("a", "/", pass)}, "/", false},
		"not asked for":                {[]member{on("a", "/", nil)}, "", false},
		"by the younger one":           {[]member{on("a", "/", nil), on("b", "/b", pass)}, "", false},
		"/ is of the younger one":      {[]member{on("a", "/a", pass), on("b", "/", nil)}, "/", false},
		"no /":                         {[]member{on("a", "/a", pass)}, "/a", true},
		"the younger one has a demand": {[]member{on("a", "/", pass), on("b", "/b", &policy.Set{ClientCert: &policy.ClientCert{CA: "x"}})}, "/", true},
	} {
		h, _, problems := unite("a.example", tt.members)
		got := ""
		if h.Passthrough != nil {
			got = h.Passthrough.Rule.Path
		}
		if got != tt.to || h.Passthrough != nil && h.Passthrough.Refuse != tt.refuse {
			t.Errorf("%s: %+v, want %q, refused %t", name, h.Passthrough, tt.to, tt.refuse)
		}
		if tt.refuse && len(problems) == 0 {
			t.Errorf("%s: nobody is told", name)
		}
		if h.Passthrough != nil && h.Passthrough.Rule != h.Rules[0] && h.Passthrough.Rule != h.Rules[len(h.Rules)-1] {
			t.Errorf("%s: the rule is none of the host's", name)
		}
	}
	if h, _, _ := unite("", []member{on("a", "/", pass)}); h.Passthrough != nil {
		t.Error("connections without a server name are passed on")
	}
}

// TestProxyProtocolByFlag: the flag asks for the header where the ConfigMap does not, and what the
// ConfigMap says of it counts.
func TestProxyProtocolByFlag(t *testing.T) {
	if l := NewTranslator(Options{}).Translate(new(Snapshot)).Config.Listener; l.ProxyProtocol != nil {
		t.Errorf("by default %+v", l.ProxyProtocol)
	}
	name := types.NamespacedName{Namespace: "fairlead", Name: "settings"}
	tr := NewTranslator(Options{ProxyProtocol: true, ConfigMap: name})
	l := tr.Translate(new(Snapshot)).Config.Listener
	if l.ProxyProtocol == nil || len(l.ProxyProtocol.Trusted) == 0 {
		t.Fatalf("with the flag alone %+v", l.ProxyProtocol)
	}
	l = tr.Translate(&Snapshot{ConfigMaps: map[types.NamespacedName]*corev1.ConfigMap{name: {
		Data: map[string]string{"use-proxy-protocol": "true", "proxy-real-ip-cidr": "192.0.2.0/24"},
	}}}).Config.Listener
	if l.ProxyProtocol == nil || len(l.ProxyProtocol.Trusted) != 1 {
		t.Errorf("with both %+v", l.ProxyProtocol)
	}
}
