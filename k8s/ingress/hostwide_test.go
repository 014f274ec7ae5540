package ingress

import (
	"net/netip"
	"slices"
	"testing"
	"time"

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
		"/ is of the younger one":      {[]member{on("a", "/a", pass), on("b", "/", nil)}, "/a", true},
		"no /":                         {[]member{on("a", "/a", pass)}, "/a", true},
		"beside others":                {[]member{on("a", "/", pass), on("b", "/b", &policy.Set{Passthrough: true})}, "/", false},
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

// TestPassedOnByNoGuard: connections that are not decrypted could ask for any path of the host, so
// they are closed where a rule of anybody has a guard that is not asked of them.
func TestPassedOnByNoGuard(t *testing.T) {
	list := func(s string) *policy.Access { return &policy.Access{Allow: []netip.Prefix{netip.MustParsePrefix(s)}} }
	for name, tt := range map[string]struct {
		first, second policy.Set
		refuse        bool
	}{
		"auth-url":                       {second: policy.Set{Auth: &policy.ExternalAuth{}}, refuse: true},
		"a password":                     {second: policy.Set{BasicAuth: &policy.BasicAuth{Realm: "x"}}, refuse: true},
		"one that cannot be honoured":    {second: policy.Set{Refused: []string{"x"}}, refuse: true},
		"another list of addresses":      {second: policy.Set{Access: list("10.0.0.0/8")}, refuse: true},
		"the same list of addresses":     {first: policy.Set{Access: list("10.0.0.0/8")}, second: policy.Set{Access: list("10.0.0.0/8")}},
		"no list of addresses":           {first: policy.Set{Access: list("10.0.0.0/8")}},
		"a password of the first":        {first: policy.Set{BasicAuth: &policy.BasicAuth{Realm: "x"}}, refuse: true},
		"the first cannot be honoured":   {first: policy.Set{Refused: []string{"x"}}, refuse: true},
		"the first leads nowhere":        {first: policy.Set{Unroutable: true}, refuse: true},
		"the second one's leads nowhere": {second: policy.Set{Unroutable: true}},
	} {
		tt.first.Passthrough = true
		h, _, problems := unite("a.example", []member{on("a", "/", &tt.first), on("b", "/b", &tt.second)})
		if h.Passthrough == nil || h.Passthrough.Rule != h.Rules[0] || h.Passthrough.Refuse != tt.refuse {
			t.Errorf("%s: %+v, want refused %t", name, h.Passthrough, tt.refuse)
		}
		told := map[string]bool{}
		for _, p := range problems {
			told[p.Object.Name] = true
		}
		if reported := len(tt.first.Refused) > 0 || tt.first.Unroutable; !told["b"] || told["a"] != (tt.refuse && !reported) {
			t.Errorf("%s: told %v", name, problems)
		}
	}
}

// TestAliasOfPassedOn: what is served as another host is passed on as that is, by a rule of its own,
// as the proxy finds the rule among those of the host.
func TestAliasOfPassedOn(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		of, _, _ := unite("a.example", []member{on("a", "/a", &policy.Set{Passthrough: true}), on("a", "/", &policy.Set{Passthrough: true})})
		of.Passthrough.Refuse = refuse
		hs := newHosts()
		hs.at("a.example").rules = of
		alias := hs.at("b.example")
		alias.members = []member{{on("a", "/", nil).entry, &part{host: "b.example", aliasOf: "a.example"}}}
		made, _ := hs.alias(alias, nil)
		i := slices.Index(of.Rules, of.Passthrough.Rule)
		if p := made.Passthrough; p == nil || p.Rule != made.Rules[i] || p.Rule.Host != "b.example" || p.Refuse != refuse {
			t.Errorf("refused %t: %+v", refuse, p)
		}
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
	for why, tt := range map[string]struct {
		data    map[string]string
		trusted int
		timeout time.Duration
	}{
		"with both":            {map[string]string{"use-proxy-protocol": "true", "proxy-real-ip-cidr": "192.0.2.0/24"}, 1, 5 * time.Second},
		"without the key":      {map[string]string{"proxy-real-ip-cidr": "192.0.2.0/24", "proxy-protocol-header-timeout": "2s"}, 1, 2 * time.Second},
		"with the key off":     {map[string]string{"use-proxy-protocol": "false", "proxy-real-ip-cidr": "192.0.2.0/24"}, 1, 5 * time.Second},
		"a list with mistakes": {map[string]string{"proxy-real-ip-cidr": "192.0.2.0/24, lan"}, 0, 5 * time.Second},
		"a list of commas":     {map[string]string{"proxy-real-ip-cidr": ","}, 0, 5 * time.Second},
		"the time alone":       {map[string]string{"proxy-protocol-header-timeout": "2s"}, len(l.ProxyProtocol.Trusted), 2 * time.Second},
	} {
		p := tr.Translate(&Snapshot{ConfigMaps: map[types.NamespacedName]*corev1.ConfigMap{name: {Data: tt.data}}}).Config.Listener.ProxyProtocol
		if p == nil || len(p.Trusted) != tt.trusted || p.Timeout != tt.timeout {
			t.Errorf("%s: %+v, want %d trusted and %s", why, p, tt.trusted, tt.timeout)
		}
	}
}
