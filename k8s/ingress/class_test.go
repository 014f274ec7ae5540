package ingress_test

import (
	"testing"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// DefaultClass chooses as the API server's admission does: the newest, then by name.
func TestDefaultClass(t *testing.T) {
	const marked = `annotations: {ingressclass.kubernetes.io/is-default-class: "true"}`
	for name, c := range map[string]struct {
		classes  string
		want     string
		problems int
	}{
		"none":   {"kind: IngressClass\nmetadata: {name: a}", "", 0},
		"one":    {"kind: IngressClass\nmetadata: {name: a}\n---\nkind: IngressClass\nmetadata: {name: b, " + marked + "}", "b", 0},
		"newest": {"kind: IngressClass\nmetadata: {name: a, creationTimestamp: 2026-01-01T00:00:00Z, " + marked + "}\n---\nkind: IngressClass\nmetadata: {name: b, creationTimestamp: 2026-01-02T00:00:00Z, " + marked + "}", "b", 2},
		"tie":    {"kind: IngressClass\nmetadata: {name: b, " + marked + "}\n---\nkind: IngressClass\nmetadata: {name: a, " + marked + "}", "a", 2},
		"false":  {"kind: IngressClass\nmetadata: {name: a, annotations: {ingressclass.kubernetes.io/is-default-class: \"True\"}}", "", 0},
	} {
		class, problems := ingress.DefaultClass(parse(t, c.classes).Classes)
		got := ""
		if class != nil {
			got = class.Name
		}
		if got != c.want || len(problems) != c.problems {
			t.Errorf("%s: got %q and %d problems, want %q and %d", name, got, len(problems), c.want, c.problems)
		}
	}
}
