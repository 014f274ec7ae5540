package ingress_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Rules that only redirect serve blocked clients nothing either.
func TestRedirectsOfRulesBlockToo(t *testing.T) {
	s := parse(t, `
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
kind: ConfigMap
metadata: {namespace: fairlead, name: settings}
data: {block-cidrs: 192.0.2.0/24}
---
kind: Ingress
metadata:
  namespace: shop
  name: a
  annotations:
    nginx.ingress.kubernetes.io/from-to-www-redirect: "true"
    nginx.ingress.kubernetes.io/app-root: /app
spec:
  ingressClassName: nginx
  rules: [{host: a.example, http: {paths: [{path: /x/, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}]}}]
`)
	r := ingress.NewTranslator(ingress.Options{
		ConfigMap: types.NamespacedName{Namespace: "fairlead", Name: "settings"}, ControllerClasses: []string{ingress.NginxController},
	}).Translate(s)
	seen := map[string]bool{}
	for _, rule := range r.Config.Rules() {
		seen[rule.Host+rule.Path] = true
		if rule.Policies == nil || rule.Policies.Blocking == nil {
			t.Errorf("%s%s blocks nobody: %+v", rule.Host, rule.Path, rule.Policies)
		}
	}
	for _, place := range []string{"a.example/", "a.example/x", "a.example/x/", "www.a.example/"} {
		if !seen[place] {
			t.Errorf("no rule for %s among %v, so the test shows nothing of it", place, seen)
		}
	}
}
