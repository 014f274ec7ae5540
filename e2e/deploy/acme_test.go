package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// component is the base with a component.
func component(t *testing.T, name string) map[string]Object {
	t.Helper()
	root, err := filepath.Abs(manifests)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	up, err := filepath.Rel(dir, root)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("namespace: fairlead\nresources: [%[1]s/base]\ncomponents: [%[1]s/components/%[2]s]\n", up, name)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	down, err := filepath.Rel(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	return kustomized(t, down)
}

// TestACMENamespaceElects: with the Role alone, as in a namespace that is not the controller's, the
// Lease can be made, and taken.
func TestACMENamespaceElects(t *testing.T) {
	want := []any{
		map[string]any{"apiGroups": []any{"coordination.k8s.io"}, "resources": []any{"leases"}, "verbs": []any{"create"}},
		map[string]any{"apiGroups": []any{"coordination.k8s.io"}, "resources": []any{"leases"}, "resourceNames": []any{"fairlead-acme"}, "verbs": []any{"get", "update"}},
	}
	for _, objects := range []map[string]Object{component(t, "acme"), helmed(t, `controller: {acme: {enabled: true}}`)} {
		var got []any
		for _, rule := range objects["Role fairlead-acme"].at("rules").([]any) {
			if fmt.Sprint(rule.(map[string]any)["resources"]) == "[leases]" {
				got = append(got, rule)
			}
		}
		same(t, "rights to Leases", want, got)
	}
}

// TestACME: the component and the chart give the same rights and flags, and the Lease is named as
// the controller does.
func TestACME(t *testing.T) {
	built, chart := component(t, "acme"), helmed(t, `controller: {acme: {enabled: true}}`)
	same(t, "Role", built["Role fairlead-acme"].at("rules"), chart["Role fairlead-acme"].at("rules"))
	same(t, "RoleBinding", built["RoleBinding fairlead-acme"].at("subjects"), chart["RoleBinding fairlead-acme"].at("subjects"))
	same(t, "Pod", built["Deployment fairlead"].at("spec", "template", "spec"), chart["Deployment fairlead"].at("spec", "template", "spec"))
	if _, ok := helmed(t, "{}")["Role fairlead-acme"]; ok {
		t.Error("the right to Secrets is given without controller.acme.enabled")
	}

	custom := helmed(t, `controller: {electionID: edge, acme: {enabled: true, directory: staging, email: ops@example.com, challenge: tls-alpn-01}}`)
	lease := custom["Role fairlead-acme"].at("rules").([]any)[2].(map[string]any)["resourceNames"]
	same(t, "Lease", []any{"edge-acme"}, lease)
	container := Object(custom["Deployment fairlead"].at("spec", "template", "spec", "containers").([]any)[0].(map[string]any))
	for _, want := range []string{"--acme", "--acme-directory=staging", "--acme-email=ops@example.com", "--acme-challenge=tls-alpn-01"} {
		if !slices.Contains(container["args"].([]any), any(want)) {
			t.Errorf("args %q lack %q", container["args"], want)
		}
	}
}
