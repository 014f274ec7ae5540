package ingress_test

import (
	"testing"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// What is asked of one object is what translation of all gives.
func TestRulesAndResolveAreTranslate(t *testing.T) {
	s, err := k8stest.Fleet(20)
	if err != nil {
		t.Fatal(err)
	}
	r := ingress.NewTranslator(ingress.Options{}).Translate(s)
	var rules int
	for _, ing := range s.Ingresses {
		own, problems := ingress.Rules(ingress.Options{}, ing)
		rules += len(own)
		if len(problems) > 0 {
			t.Errorf("%s: %v", ing.Name, problems)
		}
		for _, rule := range own {
			got, problems := ingress.Resolve(ingress.Options{}, s, rule.Backend)
			want, _ := r.Resolutions.Get(rule.Backend)
			if len(got.Addresses) != 2 || len(want.Addresses) != 2 || got.Addresses[0] != want.Addresses[0] || len(problems) > 0 {
				t.Errorf("%s: got %v, want %v; %v", rule.Backend, got, want, problems)
			}
		}
	}
	if rules != len(r.Config.Rules()) {
		t.Errorf("got %d rules, want %d", rules, len(r.Config.Rules()))
	}
	if _, problems := ingress.Resolve(ingress.Options{}, s, upstream.Key{Namespace: "team-0", Service: "none", Port: "80"}); len(problems) != 1 || problems[0].Reason != ingress.ServiceNotFound {
		t.Errorf("%v", problems)
	}
}

func TestClaim(t *testing.T) {
	s := parse(t, `
kind: IngressClass
metadata: {name: ours}
spec: {controller: fairlead.dev/ingress-controller}
---
kind: IngressClass
metadata: {name: parameters}
spec: {controller: fairlead.dev/ingress-controller, parameters: {kind: K, name: n}}
---
kind: IngressClass
metadata: {name: foreign}
spec: {controller: example.com/other}
---
kind: Ingress
metadata: {name: ours}
spec: {ingressClassName: ours}
---
kind: Ingress
metadata: {name: parameters}
spec: {ingressClassName: parameters}
---
kind: Ingress
metadata: {name: foreign}
spec: {ingressClassName: foreign}
---
kind: Ingress
metadata: {name: missing}
spec: {ingressClassName: missing}
---
kind: Ingress
metadata: {name: none}
---
kind: Ingress
metadata: {name: annotated, annotations: {kubernetes.io/ingress.class: fairlead}}
---
kind: Ingress
metadata: {name: annotated-foreign, annotations: {kubernetes.io/ingress.class: nginx}}
`)
	want := map[string]ingress.Whose{
		"ours": ingress.Ours, "parameters": ingress.OursUnusable, "foreign": ingress.Foreign, "missing": ingress.NobodyKnown,
		"none": ingress.Classless, "annotated": ingress.Ours, "annotated-foreign": ingress.Foreign,
	}
	classes := ingress.NewClasses(ingress.Options{}, s.Classes)
	for _, ing := range s.Ingresses {
		if got := classes.Claim(ing); got.Whose != want[ing.Name] || (got.Class == "") != (ing.Name == "none") {
			t.Errorf("%s: %+v, want %d", ing.Name, got, want[ing.Name])
		}
	}
}
