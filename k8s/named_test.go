package k8s

import (
	"fmt"
	"slices"
	"strings"
	"sync"
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

// TestNamedObjectsAreShared: who names more objects than are read takes nothing from other
// namespaces, all replicas read the same ones, and there is room again when they are no longer named.
func TestNamedObjectsAreShared(t *testing.T) {
	const most = 8
	in := func(namespace, text string) string {
		return strings.ReplaceAll(text, "metadata: {name: ", "metadata: {namespace: "+namespace+", name: ")
	}
	secrets := func(ingress, namespace string, names ...string) string {
		var list, objects string
		for _, name := range names {
			list += "{secretName: " + name + "},"
			objects += in(namespace, tlsSecret(name, "Opaque"))
		}
		return objects + in(namespace, strings.Replace(app(ingress), "  rules:", "  tls: ["+list+"]\n  rules:", 1))
	}
	greedy := make([]string, 3*most)
	for i := range greedy {
		greedy[i] = fmt.Sprintf("s-%02d", i)
	}
	orders := [][]string{
		{secrets("hog", "greedy", greedy...), secrets("web", "modest", "a", "b"), secrets("web", "small", "c")},
		{secrets("web", "small", "c"), secrets("web", "modest", "a", "b"), secrets("hog", "greedy", greedy...)},
	}
	want := []string{"greedy/s-00", "greedy/s-01", "greedy/s-02", "greedy/s-03", "greedy/s-04", "modest/a", "modest/b", "small/c"}
	for i, order := range orders {
		a := newAPIServer(t)
		a.apply(t, class)
		m := &mirrored{Cluster: NewCluster(ClusterOptions{Client: a.client(t)})}
		m.named.most = most
		m.run(t)
		m.loadedSoon(t)
		read := func() []string {
			var names []string
			for name := range m.Snapshot().Secrets {
				names = append(names, name.String())
			}
			slices.Sort(names)
			return names
		}
		for _, objects := range order {
			a.apply(t, objects)
		}
		eventually(t, fmt.Sprintf("order %d: %v are read", i, want), func() bool { return slices.Equal(read(), want) })
		a.remove("apis/networking.k8s.io/v1/namespaces/small/ingresses/web")
		eventually(t, "another one has its place", func() bool { return slices.Contains(read(), "greedy/s-05") && len(read()) == most })
		a.remove("apis/networking.k8s.io/v1/namespaces/greedy/ingresses/hog")
		eventually(t, "none of those is read", func() bool { return slices.Equal(read(), []string{"modest/a", "modest/b"}) })
		a.apply(t, secrets("web", "small", "c"))
		eventually(t, "there is room again", func() bool { return slices.Equal(read(), []string{"modest/a", "modest/b", "small/c"}) })
	}
}

// TestNamedObjectGoesWhileReadingBegins: a Secret that is deleted between the requests that reading it
// begins with is gone, and not there until the watch ends, which may be an hour later.
func TestNamedObjectGoesWhileReadingBegins(t *testing.T) {
	for _, when := range []string{"watch", "get"} {
		t.Run("before the "+when, func(t *testing.T) {
			a := newAPIServer(t)
			a.apply(t, class+naming("a", "opaque")+tlsSecret("opaque", "Opaque"))
			var once sync.Once
			a.refuse = func(verb, resource, name string) int {
				if verb == when && resource == "secrets" && name == "opaque" {
					once.Do(func() { a.remove(secretPath + "opaque") })
				}
				return 0
			}
			m := runCluster(t, a, ClusterOptions{})
			m.loadedSoon(t)
			eventually(t, "the Secret is gone", func() bool { return len(m.Snapshot().Secrets) == 0 })
			a.apply(t, tlsSecret("opaque", "Opaque"))
			eventually(t, "the Secret is there again", func() bool { return len(m.Snapshot().Secrets) == 1 })
		})
	}
}
