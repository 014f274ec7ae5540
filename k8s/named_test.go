package k8s

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// The ConfigMaps that Ingresses name are read one by one, those of their own namespace alone, and
// what may not be read is not there.
func TestNamedConfigMaps(t *testing.T) {
	configMap := func(name, value string) string {
		return "{kind: ConfigMap, metadata: {namespace: default, name: " + name + "}, data: {X-Team: '" + value + "'}}\n---\n"
	}
	naming := func(name, annotation, value string) string {
		return strings.Replace(app(name), "name: "+name, "name: "+name+", annotations: {fairlead.dev/"+annotation+": "+value+"}", 1)
	}
	a := newAPIServer(t)
	a.refuse = forbid("get configmaps secret", "watch configmaps secret")
	a.apply(t, class+configMap("team", "blue")+configMap("gate", "x")+configMap("other", "x")+configMap("secret", "x")+
		naming("one", "custom-headers", "team")+naming("two", "auth-proxy-set-headers", "default/gate")+
		naming("three", "custom-headers", "ops/other")+naming("four", "custom-headers", "missing")+naming("five", "custom-headers", "secret")+naming("six", "custom-headers", "a b"))
	m := runCluster(t, a, ClusterOptions{ConfigMap: types.NamespacedName{Namespace: "fairlead", Name: "settings"}})
	m.loadedSoon(t)
	first := m.Snapshot().ConfigMaps
	if len(first) != 2 || first[service("team")].Data["X-Team"] != "blue" || first[service("gate")] == nil {
		t.Errorf("ConfigMaps %v, want team and gate", first)
	}
	m.noted()
	a.apply(t, configMap("team", "red"))
	eventually(t, "the change", func() bool { return m.Snapshot().ConfigMaps[service("team")].Data["X-Team"] == "red" })
	eventually(t, "the notice", func() bool { return len(m.noted()) > 0 })
	a.apply(t, configMap("missing", "x"))
	eventually(t, "missing appears", func() bool { return m.Snapshot().ConfigMaps[service("missing")] != nil })
	a.remove(ingressPath + "one")
	eventually(t, "nobody names it any more", func() bool { return m.Snapshot().ConfigMaps[service("team")] == nil })
}
