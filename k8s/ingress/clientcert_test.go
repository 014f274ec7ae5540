package ingress

import (
	"slices"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// A rule of another Ingress is no way around what its host demands of clients, whatever else its
// own policies are; other hosts are as they were.
func TestClientCertificatesAreOfHosts(t *testing.T) {
	first, second := &policy.ClientCert{CA: "first"}, &policy.ClientCert{CA: "second"}
	rules := []*proxy.Rule{
		{Host: "a.example", Path: "/1"},
		{Host: "a.example", Path: "/2", Policies: &policy.Set{ClientCert: first}},
		{Host: "a.example", Path: "/3", Policies: &policy.Set{ClientCert: second, HSTS: "x"}},
		{Host: "a.example", Path: "/4", Policies: &policy.Set{HSTS: "y"}},
		{Host: "b.example", Path: "/"},
		{Host: "*.a.example", Path: "/", Policies: &policy.Set{ClientCert: second}},
	}
	got := slices.Concat(guardHost(rules[:4]), guardHost(rules[4:5]), guardHost(rules[5:]))
	for i, want := range []*policy.ClientCert{first, first, first, first, nil, second} {
		var have *policy.ClientCert
		if got[i].Policies != nil {
			have = got[i].Policies.ClientCert
		}
		if have != want {
			t.Errorf("rule %d: %+v, want %+v", i, have, want)
		}
	}
	if got[2].Policies.HSTS != "x" || got[3].Policies.HSTS != "y" || rules[2].Policies.ClientCert != second || rules[0].Policies != nil {
		t.Error("other policies are lost, or the rules were changed in place")
	}
	if got[1] != rules[1] || got[4] != rules[4] || got[5] != rules[5] {
		t.Error("rules that stay as they are were copied")
	}
	plain := rules[4:5]
	if again := guardHost(plain); &again[0] != &plain[0] {
		t.Error("without demands the list was copied")
	}
}
