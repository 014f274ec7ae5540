package ingress_test

import (
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/router"
)

func TestConflictProblems(t *testing.T) {
	old := router.Origin{Namespace: "a", Name: "old", Created: time.Unix(1, 0)}
	young := router.Origin{Namespace: "b", Name: "young", Created: time.Unix(2, 0)}
	route := func(o router.Origin, host string, pathType router.PathType, target string) *router.Route {
		return &router.Route{Host: host, Path: "/", PathType: pathType, Origin: o, Target: target}
	}
	problems := func(a, b *router.Route) []string {
		_, conflicts := router.Build([]*router.Route{a, b})
		var got []string
		for _, p := range ingress.ConflictProblems(conflicts) {
			got = append(got, p.Severity.String()+" "+string(p.Reason)+" "+p.Object.String())
		}
		return got
	}
	for name, c := range map[string]struct {
		a, b *router.Route
		want []string
	}{
		"path":         {route(young, "a.example", router.Prefix, "x"), route(old, "a.example", router.Prefix, "y"), []string{"warning RouteContested Ingress a/old", "error RouteConflict Ingress b/young"}},
		"catch-all":    {route(young, "", router.Default, "x"), route(old, "", router.Default, "y"), []string{"warning RouteContested Ingress a/old", "error CatchAllConflict Ingress b/young"}},
		"host default": {route(young, "a.example", router.Default, "x"), route(old, "a.example", router.Default, "y"), []string{"warning RouteContested Ingress a/old", "error RouteConflict Ingress b/young"}},
		"one Ingress":  {route(old, "a.example", router.Prefix, "x"), route(old, "a.example", router.Prefix, "y"), []string{"error RouteConflict Ingress a/old"}},
		"none":         {route(old, "a.example", router.Prefix, "x"), route(old, "b.example", router.Prefix, "y"), nil},
	} {
		got := problems(c.a, c.b)
		if len(got) != len(c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: got %q, want %q", name, got, c.want)
			}
		}
	}
}
