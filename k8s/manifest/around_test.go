package manifest

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const aroundObjects = `apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: a}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
---
apiVersion: v1
kind: Namespace
metadata: {name: default}
---
apiVersion: v1
kind: Node
metadata: {name: node-1}
`

func TestAroundIsLoaded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.yaml", aroundObjects)
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := m.Snapshot().Around
	if len(m.Problems()) > 0 || len(a.Pods) != 1 || len(a.NetworkPolicies) != 1 || len(a.Namespaces) != 1 || len(a.Nodes) != 1 {
		t.Errorf("%+v, problems:\n%s", a, problemList(m.Problems()))
	}
}

// A change around what is served is seen, but concerns nothing that is served: nobody is told
// and all else is the same memory.
func TestRunSeesSurroundings(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.yaml", service("a"))
	f := follow(t, Options{Dir: dir, Rescan: time.Hour})
	first := f.Snapshot()
	write(t, dir+"/b.yaml", aroundObjects)
	waitFor(t, "the Pod", func() bool { return len(f.Snapshot().Around.Pods) == 1 })
	if s, other := diff(first, f.Snapshot()); len(s) > 0 || other {
		t.Errorf("differs: %v %v", s, other)
	}
	if told := f.takeTold(); len(told) > 0 {
		t.Errorf("notified of %v", told)
	}
}

// A ConfigMap may be the controller's, so a change of it is told.
func TestRunTellsOfConfigMaps(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.yaml", service("a"))
	f := follow(t, Options{Dir: dir, Rescan: time.Hour})
	write(t, dir+"/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: v}\n")
	name := types.NamespacedName{Namespace: "default", Name: "c"}
	waitFor(t, "the ConfigMap", func() bool { return f.Snapshot().ConfigMaps[name] != nil })
	waitFor(t, "the notice", func() bool { return len(f.takeTold()) > 0 })
	if c := f.Snapshot().ConfigMaps[name]; c.Data["k"] != "v" {
		t.Errorf("data = %v", c.Data)
	}
}
