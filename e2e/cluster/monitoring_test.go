package cluster

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMonitoring applies what is for the Prometheus operator where its kinds are defined, as kustomize and the chart
// make it: an API server checks every field.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	crds := filepath.Join(moduleDir(), "testdata", "crds")
	for _, kind := range []string{"prometheusrules", "servicemonitors"} {
		c.Kubectl(t, "apply", "--server-side", "-f", filepath.Join(crds, kind+".yaml"))
		c.Kubectl(t, "wait", "--for=condition=Established", "crd/"+kind+".monitoring.coreos.com")
	}
	c.Kubectl(t, "apply", "-k", deployDir("overlays", "production"))
	c.Kubectl(t, "create", "namespace", "edge")
	c.Apply(t, helmTemplate(t, "edge", "edge", `
fullnameOverride: edge
controller:
  ingressClassResource: {name: edge, controllerValue: example.com/edge}
  controllerClasses: [example.com/edge]
  electionID: edge-leader
  config: {hsts: "false"}
  autoscaling: {enabled: true}
  networkPolicy: {enabled: true}
  metrics: {serviceMonitor: {enabled: true, additionalLabels: {release: monitoring}}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}
`))
	for _, name := range []string{"fairlead", "edge"} {
		got := c.Kubectl(t, "get", "servicemonitor,prometheusrule,horizontalpodautoscaler,networkpolicy,poddisruptionbudget", "-n", name, "-o", "name")
		if n := len(strings.Fields(got)); n != 5 {
			t.Errorf("in namespace %s there are\n%swant one of each kind", name, got)
		}
		// What it selects is there: the Service of the admin port.
		selector := c.Kubectl(t, "get", "servicemonitor", name, "-n", name, "-o", "go-template={{range $k, $v := .spec.selector.matchLabels}}{{$k}}={{$v}},{{end}}")
		services := strings.Fields(c.Kubectl(t, "get", "services", "-n", name, "-l", strings.TrimSuffix(selector, ","), "-o", "jsonpath={.items[*].spec.ports[*].name}"))
		port := c.Kubectl(t, "get", "servicemonitor", name, "-n", name, "-o", "jsonpath={.spec.endpoints[0].port}")
		if !slices.Contains(services, port) {
			t.Errorf("the ServiceMonitor of %s selects %s and port %q; the ports of such Services are %v", name, selector, port, services)
		}
	}
	// The definitions do check.
	if _, err := c.Try("patch", "prometheusrule", "fairlead", "-n", "fairlead", "--type=json", "-p", `[{"op": "replace", "path": "/spec/groups/0/rules/0/for", "value": "five minutes"}]`); err == nil {
		t.Error("a rule with `for: five minutes` is taken")
	}
}
