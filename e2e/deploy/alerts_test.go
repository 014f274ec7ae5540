package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// TestAlerts has Prometheus' own code check the rules, as promtool does: expressions, durations, templates.
func TestAlerts(t *testing.T) {
	spec := kustomized(t, "overlays/production")["PrometheusRule fairlead"].at("spec")
	groups, err := yaml.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	rules, errs := rulefmt.Parse(groups)
	for _, err := range errs {
		t.Error(err)
	}
	alerts := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			alerts++
			if r.Alert.Value == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("alert %q: want a severity, a summary and a description", r.Alert.Value)
			}
		}
	}
	if alerts < 8 {
		t.Errorf("%d alerts", alerts)
	}
}

// TestDashboardQueries parses those of the dashboard, with values for what Grafana puts in.
func TestDashboardQueries(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(manifests, "components", "monitoring", "fairlead.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := 0
	var visit func(any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if query, ok := v["expr"].(string); ok {
				queries++
				if _, err := parser.ParseExpr(strings.ReplaceAll(query, "$__rate_interval", "5m")); err != nil {
					t.Errorf("%s: %v", query, err)
				}
			}
			for _, value := range v {
				visit(value)
			}
		case []any:
			for _, value := range v {
				visit(value)
			}
		}
	}
	visit(dashboard)
	if queries < 20 {
		t.Errorf("%d queries", queries)
	}
}
