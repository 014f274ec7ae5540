package k8s

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	ingressPath = "apis/networking.k8s.io/v1/namespaces/default/ingresses/"
	classPath   = "apis/networking.k8s.io/v1/ingressclasses/"
	slicePath   = "apis/discovery.k8s.io/v1/namespaces/default/endpointslices/"
	servicePath = "api/v1/namespaces/default/services/"
	secretPath  = "api/v1/namespaces/default/secrets/"
)

// tlsSecret is a Secret of the given type. What is in it is of no matter to a Cluster.
func tlsSecret(name, secretType string) string {
	return fmt.Sprintf("{kind: Secret, metadata: {name: %s}, type: %s, data: {tls.crt: YQ==, tls.key: Yg==, note: Yw==}}\n---\n", name, secretType)
}

// naming is an Ingress that names a Secret.
func naming(name, secret string) string {
	return strings.Replace(app(name), "  rules:", "  tls: [{secretName: "+secret+"}]\n  rules:", 1)
}

// mirrored is a Cluster that runs, and what it notified of.
type mirrored struct {
	*Cluster
	mu    sync.Mutex
	notes []types.NamespacedName
}

func runCluster(t *testing.T, a *apiServer, o ClusterOptions) *mirrored {
	t.Helper()
	o.Client = a.client(t)
	m := &mirrored{Cluster: NewCluster(o)}
	m.run(t)
	return m
}

// run runs it until the test ends.
func (m *mirrored) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- m.Run(ctx, func(service types.NamespacedName) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.notes = append(m.notes, service)
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(deadline):
			t.Error("Run goes on after its context ended")
		}
	})
}

func (m *mirrored) loadedSoon(t *testing.T) {
	t.Helper()
	eventually(t, "everything is loaded", func() bool { return m.Snapshot() != nil })
}

// noted takes the notifications up to now.
func (m *mirrored) noted() []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	notes := m.notes
	m.notes = nil
	return notes
}

func TestClusterReadsEverything(t *testing.T) {
	for name, old := range map[string]bool{"watch that begins with a list": false, "list and watch": true} {
		t.Run(name, func(t *testing.T) {
			a := newAPIServer(t)
			a.noInitialEvents = old
			a.apply(t, class+naming("web", "web")+tlsSecret("web", "kubernetes.io/tls")+tlsSecret("other", "kubernetes.io/tls")+tlsSecret("password", "Opaque")+`
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
---
kind: EndpointSlice
metadata: {name: stray}
addressType: IPv4
endpoints: [{addresses: [10.0.0.2]}]
`)
			a.edit(ingressPath+"web", func(o map[string]any) {
				o["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{"manager": "kubectl", "operation": "Update"}}
				o["metadata"].(map[string]any)["annotations"] = map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
			})
			m := runCluster(t, a, ClusterOptions{})
			m.loadedSoon(t)
			s := m.Snapshot()
			if len(s.Ingresses) != 1 || len(s.Classes) != 1 || s.Services[service("web")] == nil || len(s.Slices) != 1 || len(s.Slices[service("web")]) != 1 {
				t.Errorf("snapshot %+v lacks something", s)
			}
			if ing := s.Ingresses[0]; ing.ManagedFields != nil || len(ing.Annotations) != 1 {
				t.Errorf("kept what nobody reads: %+v", ing.ObjectMeta)
			}
			if len(s.Secrets) != 2 || len(s.Secrets[service("web")].Data) != 2 {
				t.Errorf("secrets %v, want the two of type kubernetes.io/tls with their key pairs", s.Secrets)
			}
			if got := m.Service(service("web")); got.Services[service("web")] != s.Services[service("web")] || len(got.Slices[service("web")]) != 1 {
				t.Errorf("Service gives %+v", got)
			}
			if n := a.count("get secrets"); n != 0 {
				t.Errorf("%d Secrets were read by name, want none", n)
			}
			if s.LocalEndpoints {
				t.Error("a cluster allows endpoints on loopback")
			}
			eventually(t, "a notification", func() bool { return slices.Contains(m.noted(), everything()) })

			a.remove(slicePath + "web-1")
			eventually(t, "the slice is gone", func() bool { return len(m.Snapshot().Slices) == 0 })
			eventually(t, "its Service notified", func() bool { return slices.Equal(m.noted(), []types.NamespacedName{service("web")}) })
			a.remove(ingressPath + "web")
			eventually(t, "the Ingress is gone", func() bool { return len(m.Snapshot().Ingresses) == 0 })
		})
	}
}

// TestClusterNotifies says which changes are any of ours, and of what kind.
func TestClusterNotifies(t *testing.T) {
	objects := class + app("web") + tlsSecret("web", "kubernetes.io/tls") + `
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 80}]
endpoints: [{addresses: [10.0.0.1]}]
---
{kind: Service, metadata: {name: published}, spec: {ports: [{port: 80}]}}
`
	all, web := []types.NamespacedName{everything()}, []types.NamespacedName{service("web")}
	metadata := func(key string, value any) func(map[string]any) {
		return func(o map[string]any) { o["metadata"].(map[string]any)[key] = value }
	}
	spec := func(key string, value any) func(map[string]any) {
		return func(o map[string]any) { o["spec"].(map[string]any)[key] = value }
	}
	for _, test := range []struct {
		name, path string
		edit       func(map[string]any)
		want       []types.NamespacedName
	}{
		{"ingress: version", ingressPath + "web", func(map[string]any) {}, nil},
		{"ingress: status", ingressPath + "web", func(o map[string]any) {
			o["status"] = map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "192.0.2.1"}}}}
		}, nil},
		{"ingress: labels", ingressPath + "web", metadata("labels", map[string]any{"a": "b"}), nil},
		{"ingress: last applied", ingressPath + "web", metadata("annotations", map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "x"}), nil},
		{"ingress: annotation", ingressPath + "web", metadata("annotations", map[string]any{"a": "b"}), all},
		{"ingress: class", ingressPath + "web", spec("ingressClassName", "other"), all},
		{"class: controller", classPath + "fairlead", spec("controller", "example.com/x"), all},
		{"class: default", classPath + "fairlead", metadata("annotations", map[string]any{"ingressclass.kubernetes.io/is-default-class": "true"}), all},
		{"class: version", classPath + "fairlead", func(map[string]any) {}, nil},
		{"service: version", servicePath + "web", func(map[string]any) {}, nil},
		{"service: type", servicePath + "web", spec("type", "LoadBalancer"), web},
		{"service: published", servicePath + "published", spec("type", "LoadBalancer"), all},
		{"service: addresses", servicePath + "web", func(o map[string]any) {
			o["status"] = map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "192.0.2.1"}}}}
		}, web},
		{"service: conditions", servicePath + "web", func(o map[string]any) {
			o["status"] = map[string]any{"conditions": []any{map[string]any{"type": "X", "status": "True"}}}
		}, nil},
		{"secret: other data", secretPath + "web", func(o map[string]any) { o["data"].(map[string]any)["note"] = "eA==" }, nil},
		{"secret: key", secretPath + "web", func(o map[string]any) { o["data"].(map[string]any)["tls.key"] = "eA==" }, all},
		{"slice: version", slicePath + "web-1", func(map[string]any) {}, nil},
		{"slice: endpoint", slicePath + "web-1", func(o map[string]any) { o["endpoints"] = []any{map[string]any{"addresses": []any{"10.0.0.2"}}} }, web},
		{"slice: port", slicePath + "web-1", func(o map[string]any) { o["ports"] = []any{map[string]any{"name": "", "port": 81}} }, web},
		{"slice: trigger time", slicePath + "web-1", metadata("annotations", map[string]any{"endpoints.kubernetes.io/last-change-trigger-time": "x"}), nil},
		{"slice: to another Service", slicePath + "web-1", metadata("labels", map[string]any{"kubernetes.io/service-name": "b"}), []types.NamespacedName{service("web"), service("b")}},
		{"slice: to none", slicePath + "web-1", metadata("labels", map[string]any{}), web},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAPIServer(t)
			a.apply(t, objects)
			m := runCluster(t, a, ClusterOptions{PublishService: service("published")})
			m.loadedSoon(t)
			eventually(t, "the notification of the load", func() bool { return len(m.noted()) > 0 })
			before := m.Snapshot()
			a.edit(test.path, test.edit)
			// Another change of the same kind of object shows that the first was read.
			resource := strings.Split(strings.TrimPrefix(test.path, "api"), "/")
			marks := map[string]string{
				"ingresses": app("mark"), "ingressclasses": "{kind: IngressClass, metadata: {name: mark}, spec: {controller: x}}", "services": app("mark"),
				"secrets": tlsSecret("mark", "kubernetes.io/tls"), "endpointslices": "{kind: EndpointSlice, metadata: {name: mark, labels: {kubernetes.io/service-name: mark}}, addressType: IPv4}",
			}
			for _, r := range resource {
				if mark := marks[r]; mark != "" {
					a.apply(t, strings.Split(mark, "---\n")[map[bool]int{true: 1}[r == "services"]])
				}
			}
			mark := everything()
			if strings.HasPrefix(test.path, slicePath) || strings.HasPrefix(test.path, servicePath) {
				mark = service("mark")
			}
			var notes []types.NamespacedName
			eventually(t, "the mark", func() bool {
				notes = append(notes, m.noted()...)
				return len(notes) > len(test.want) && notes[len(notes)-1] == mark
			})
			if got := notes[:len(notes)-1]; !slices.Equal(got, test.want) {
				t.Errorf("notified of %v, want %v", got, test.want)
			}
			if after := m.Snapshot(); test.want == nil {
				same := len(before.Ingresses) == 0 || slices.Contains(after.Ingresses, before.Ingresses[0])
				same = same && after.Services[service("web")] == before.Services[service("web")] && after.Secrets[service("web")] == before.Secrets[service("web")]
				if !same || after.Slices[service("web")][0] != before.Slices[service("web")][0] || !slices.Contains(after.Classes, before.Classes[0]) {
					t.Error("an object that is the same is another pointer")
				}
			}
		})
	}
}

// TestSnapshotIsNotChanged: what was handed out stays as it is.
func TestSnapshotIsNotChanged(t *testing.T) {
	a := newAPIServer(t)
	slice := func(name string) string {
		return "{kind: EndpointSlice, metadata: {name: " + name + ", labels: {kubernetes.io/service-name: web}}, addressType: IPv4}\n---\n"
	}
	a.apply(t, class+app("web")+slice("one")+slice("two"))
	m := runCluster(t, a, ClusterOptions{})
	m.loadedSoon(t)
	first := m.Snapshot()
	list := first.Slices[service("web")]
	copied := slices.Clone(list)
	if m.Snapshot() != first {
		t.Error("another Snapshot though nothing changed")
	}
	a.remove(slicePath + "one")
	a.apply(t, slice("three")+app("b"))
	eventually(t, "the changes", func() bool {
		s := m.Snapshot()
		return len(s.Slices[service("web")]) == 2 && len(s.Services) == 2 && len(s.Ingresses) == 2
	})
	if !slices.Equal(list, copied) || len(first.Services) != 1 || len(first.Ingresses) != 1 {
		t.Error("the first Snapshot changed")
	}
}

// TestExpiredWatches has the server forget all versions, so that every watch that ends means
// a new list. What was deleted meanwhile is gone, and what stayed is the same pointer.
func TestExpiredWatches(t *testing.T) {
	a := newAPIServer(t)
	text := class
	for i := range 50 {
		text += app(fmt.Sprintf("site-%d", i))
	}
	a.apply(t, text)
	m := runCluster(t, a, ClusterOptions{})
	m.loadedSoon(t)
	first := m.Snapshot()
	pointers := make(map[string]*netv1.Ingress)
	for _, ing := range first.Ingresses {
		pointers[ing.Name] = ing
	}
	a.set(func() { a.forgetful = true })
	eventually(t, "the notification of the load", func() bool { return len(m.noted()) > 0 })
	for round := range 3 {
		// The Reflector resumes only a watch that brought something.
		a.touch(ingressPath + "site-49")
		version := at(a.get(ingressPath+"site-49"), "metadata", "resourceVersion")
		eventually(t, "the event", func() bool {
			live, _ := m.statuses.get(service("site-49"))
			return live.version == version
		})
		watches := a.count("watch ingresses")
		m.noted()
		a.dropWatches()
		gone := fmt.Sprintf("site-%d", round)
		a.remove(ingressPath + gone)
		eventually(t, gone+" is gone", func() bool { return len(m.Snapshot().Ingresses) == 49-round })
		if n := a.count("watch ingresses") - watches; n < 2 { // one that is refused as expired, one that begins with a list
			t.Errorf("round %d: %d watches, want another list", round, n)
		}
		eventually(t, "the notification", func() bool { return slices.Equal(m.noted(), []types.NamespacedName{everything()}) })
		for _, ing := range m.Snapshot().Ingresses {
			if ing != pointers[ing.Name] {
				t.Fatalf("round %d: %s is another pointer", round, ing.Name)
			}
		}
	}
}

// TestStorm is many updates that change nothing, as some API servers send after a restart.
func TestStorm(t *testing.T) {
	a := newAPIServer(t)
	text := class
	for i := range 100 {
		text += app(fmt.Sprintf("site-%d", i))
	}
	a.apply(t, text)
	m := runCluster(t, a, ClusterOptions{})
	m.loadedSoon(t)
	eventually(t, "the notification of the load", func() bool { return len(m.noted()) > 0 })
	first := m.Snapshot()
	for i := range 10_000 {
		a.touch(fmt.Sprintf("%ssite-%d", ingressPath, i%100))
	}
	if m.Snapshot() != first {
		t.Error("another Snapshot though nothing changed")
	}
	a.edit(ingressPath+"site-0", func(o map[string]any) { o["spec"].(map[string]any)["ingressClassName"] = "other" })
	eventually(t, "the change", func() bool { return m.Snapshot() != first })
	eventually(t, "the notification", func() bool { return slices.Equal(m.noted(), []types.NamespacedName{everything()}) })
}

func TestServerAwayAtFirst(t *testing.T) {
	a := newAPIServer(t)
	a.refuse = func(string, string, string) int { return http.StatusServiceUnavailable }
	a.apply(t, class+app("web"))
	m := runCluster(t, a, ClusterOptions{})
	eventually(t, "several tries", func() bool { return a.count("list ingresses") >= 3 })
	if m.Snapshot() != nil || m.Service(service("web")) != nil {
		t.Fatal("something was loaded")
	}
	a.set(func() { a.refuse = nil })
	m.loadedSoon(t)
}

// TestServerNeverThere: nothing listens, and Run ends with its context all the same.
func TestServerNeverThere(t *testing.T) {
	a := newAPIServer(t)
	a.Close()
	m := runCluster(t, a, ClusterOptions{})
	if m.Snapshot() != nil {
		t.Error("something was loaded")
	}
}

func TestServerAwayLater(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("web"))
	m := runCluster(t, a, ClusterOptions{})
	m.loadedSoon(t)
	first := m.Snapshot()
	m.noted()
	a.set(func() { a.refuse = func(string, string, string) int { return http.StatusServiceUnavailable } })
	n := a.count("list ingresses") + a.count("watch ingresses")
	a.dropWatches()
	eventually(t, "several tries", func() bool { return a.count("list ingresses")+a.count("watch ingresses") >= n+3 })
	if m.Snapshot() != first || len(m.noted()) > 0 {
		t.Error("losing the server changed something")
	}
	a.set(func() { a.refuse = nil })
	a.apply(t, app("b"))
	eventually(t, "the change", func() bool { return len(m.Snapshot().Ingresses) == 2 })
}

// forbid refuses what the words of a request begin with.
func forbid(what ...string) func(verb, resource, name string) int {
	return func(verb, resource, name string) int {
		request := strings.TrimSpace(verb + " " + resource + " " + name)
		for _, w := range what {
			if request == w || strings.HasPrefix(request, w+" ") || w == resource {
				return http.StatusForbidden
			}
		}
		return 0
	}
}

func TestClassesMayNotBeRead(t *testing.T) {
	foreign := strings.Replace(app("foreign"), "ingressClassName: fairlead", "ingressClassName: other", 1)
	a := newAPIServer(t)
	a.refuse = forbid("ingressclasses")
	a.apply(t, class+app("web")+foreign)

	must := runCluster(t, a, ClusterOptions{})
	assumed := &netv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "fairlead"}, Spec: netv1.IngressClassSpec{Controller: ControllerClass}}
	m := runCluster(t, a, ClusterOptions{AssumedClass: assumed})
	m.loadedSoon(t)
	controllers := func() map[string]string {
		found := make(map[string]string)
		for _, c := range m.Snapshot().Classes {
			found[c.Name] = c.Spec.Controller
		}
		return found
	}
	if got := controllers(); len(got) != 2 || got["fairlead"] != ControllerClass || got["other"] != "" {
		t.Errorf("classes %v, want ours and one of somebody", got)
	}
	a.apply(t, strings.ReplaceAll(foreign, "name: foreign", "name: third")+strings.Replace(app("fourth"), "ingressClassName: fairlead", "ingressClassName: yet-another", 1))
	eventually(t, "the class of a new Ingress", func() bool { _, ok := controllers()["yet-another"]; return ok })
	if must.Snapshot() != nil {
		t.Error("loaded without the classes though none is assumed")
	}
	a.set(func() { a.refuse = nil })
	must.loadedSoon(t)
}

// TestNamedSecrets reads by name what the watch on TLS Secrets does not have.
func TestNamedSecrets(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+naming("tls", "tls")+tlsSecret("tls", "kubernetes.io/tls")+naming("opaque", "opaque")+tlsSecret("opaque", "Opaque")+naming("missing", "missing"))
	m := runCluster(t, a, ClusterOptions{DefaultCertificate: types.NamespacedName{Namespace: "other", Name: "default"}})
	m.loadedSoon(t)
	secret := func(name string) string {
		s := m.Snapshot().Secrets[service(name)]
		if s == nil {
			return "none"
		}
		return string(s.Type)
	}
	// At the first Snapshot all that is named was looked for.
	for name, want := range map[string]string{"tls": "kubernetes.io/tls", "opaque": "Opaque", "missing": "none"} {
		if got := secret(name); got != want {
			t.Errorf("Secret %s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]int{"tls": 0, "opaque": 1, "missing": 1, "default": 1} {
		if got := a.count("get secrets " + name); got != want {
			t.Errorf("Secret %s was read by name %d times, want %d", name, got, want)
		}
	}
	a.apply(t, tlsSecret("missing", "Opaque"))
	eventually(t, "missing appears", func() bool { return secret("missing") == "Opaque" })
	a.remove(secretPath + "missing")
	a.apply(t, tlsSecret("missing", "kubernetes.io/tls"))
	eventually(t, "missing is of the right type", func() bool { return secret("missing") == "kubernetes.io/tls" })
	a.remove(secretPath + "opaque")
	eventually(t, "opaque is gone", func() bool { return secret("opaque") == "none" })
	// Nobody names it any more: nobody reads it any more.
	a.remove(ingressPath + "opaque")
	eventually(t, "no reader", func() bool {
		m.Cluster.mu.Lock()
		defer m.Cluster.mu.Unlock()
		return m.named.readers[service("opaque")] == nil && m.named.readers[service("missing")] == nil
	})
}

func TestSecretsMayNotBeListed(t *testing.T) {
	for name, refused := range map[string][]string{
		"get and watch": {"list secrets", "watch secrets"},
		"get alone":     {"list secrets", "watch secrets", "watch secrets tls"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPIServer(t)
			refuse := forbid(refused...)
			a.refuse = func(verb, resource, name string) int {
				if verb == "watch" && name == "tls" && len(refused) == 2 {
					return 0
				}
				if name == "secret" { // no right to this one
					return http.StatusForbidden
				}
				return refuse(verb, resource, name)
			}
			a.apply(t, class+naming("web", "tls")+tlsSecret("tls", "kubernetes.io/tls")+naming("b", "secret")+tlsSecret("secret", "kubernetes.io/tls"))
			m := runCluster(t, a, ClusterOptions{})
			m.loadedSoon(t)
			s := m.Snapshot()
			if len(s.Secrets) != 1 || len(s.Secrets[service("tls")].Data) != 2 {
				t.Errorf("secrets %v, want tls alone", s.Secrets)
			}
			if len(refused) == 2 {
				a.edit(secretPath+"tls", func(o map[string]any) { o["data"].(map[string]any)["tls.crt"] = "eA==" })
				eventually(t, "the new certificate", func() bool { return string(m.Snapshot().Secrets[service("tls")].Data["tls.crt"]) == "x" })
			}
		})
	}
}

// TestImpossibleSecretNames: an Ingress may name anything; a name that no Secret can have must
// not keep the rest from being loaded.
func TestImpossibleSecretNames(t *testing.T) {
	a := newAPIServer(t)
	text := class
	for i, name := range []string{"a/b", "..", "%", "A", strings.Repeat("x", 300), "a b", "a?watch=1"} {
		text += naming(fmt.Sprintf("site-%d", i), fmt.Sprintf("%q", name))
	}
	a.apply(t, text)
	m := runCluster(t, a, ClusterOptions{})
	m.loadedSoon(t)
	if n := a.count("get secrets") + a.count("get"); n != 0 {
		t.Errorf("%d requests for them", n)
	}
}

// TestSecretIsKept when the right to read it is lost, as all other objects are.
func TestSecretIsKept(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+naming("a", "opaque")+tlsSecret("opaque", "Opaque"))
	m := runCluster(t, a, ClusterOptions{})
	m.loadedSoon(t)
	eventually(t, "the watch", func() bool { return a.count("watch secrets opaque") == 1 })
	a.set(func() { a.refuse = forbid("secrets") })
	n := a.count("get secrets opaque")
	a.dropWatches()
	eventually(t, "a refusal", func() bool { return a.count("get secrets opaque") > n })
	a.apply(t, app("mark"))
	eventually(t, "another change", func() bool { return len(m.Snapshot().Ingresses) == 2 })
	if m.Snapshot().Secrets[service("opaque")] == nil {
		t.Error("the Secret is gone")
	}
}

// TestOneNamespace reads that namespace, and the single Services outside of it that it was told of.
func TestOneNamespace(t *testing.T) {
	in := func(namespace, text string) string {
		return strings.ReplaceAll(text, "metadata: {name:", "metadata: {namespace: "+namespace+", name:")
	}
	slice := func(service string) string {
		return "{kind: EndpointSlice, metadata: {name: " + service + "-1, labels: {kubernetes.io/service-name: " + service + "}}, addressType: IPv4}\n---\n"
	}
	a := newAPIServer(t)
	a.apply(t, class+in("team", app("web")+slice("web"))+in("infra", app("lb")+slice("lb")+app("fallback")+slice("fallback")+app("other")+slice("other")))
	m := runCluster(t, a, ClusterOptions{
		Namespace: "team", PublishService: types.NamespacedName{Namespace: "infra", Name: "lb"}, DefaultBackend: types.NamespacedName{Namespace: "infra", Name: "fallback"},
	})
	m.loadedSoon(t)
	s := m.Snapshot()
	if len(s.Ingresses) != 1 || s.Ingresses[0].Namespace != "team" {
		t.Errorf("%d Ingresses, want the one of the namespace", len(s.Ingresses))
	}
	names := func(m map[types.NamespacedName]bool) []string {
		var list []string
		for n := range m {
			list = append(list, n.String())
		}
		slices.Sort(list)
		return list
	}
	services, withSlices := make(map[types.NamespacedName]bool), make(map[types.NamespacedName]bool)
	for n := range s.Services {
		services[n] = true
	}
	for n := range s.Slices {
		withSlices[n] = true
	}
	if got, want := names(services), []string{"infra/fallback", "infra/lb", "team/web"}; !slices.Equal(got, want) {
		t.Errorf("services %v, want %v", got, want)
	}
	if got, want := names(withSlices), []string{"infra/fallback", "team/web"}; !slices.Equal(got, want) {
		t.Errorf("EndpointSlices of %v, want of %v", got, want)
	}
}

// The ConfigMaps of the controller's namespace are read, and those alone. While they may not be,
// nothing is loaded, as one of them may guard access.
func TestConfigMaps(t *testing.T) {
	configMap := func(namespace, name, value string) string {
		return "{kind: ConfigMap, metadata: {namespace: " + namespace + ", name: " + name + "}, data: {hsts: '" + value + "'}}\n---\n"
	}
	a := newAPIServer(t)
	a.refuse = forbid("configmaps")
	a.apply(t, class+app("web")+configMap("fairlead", "settings", "true")+configMap("default", "other", "true"))
	name := types.NamespacedName{Namespace: "fairlead", Name: "settings"}
	without := runCluster(t, a, ClusterOptions{})
	without.loadedSoon(t)
	if got := without.Snapshot().ConfigMaps; len(got) > 0 {
		t.Errorf("%d ConfigMaps read, and none is configured", len(got))
	}
	m := runCluster(t, a, ClusterOptions{ConfigMap: name})
	eventually(t, "the ConfigMaps are asked for", func() bool { return a.count("list configmaps") > 0 })
	if m.Snapshot() != nil {
		t.Error("loaded without the ConfigMaps")
	}
	a.set(func() { a.refuse = nil })
	m.loadedSoon(t)
	first := m.Snapshot()
	if len(first.ConfigMaps) != 1 || first.ConfigMaps[name].Data["hsts"] != "true" {
		t.Errorf("ConfigMaps %v, want the one of the namespace", first.ConfigMaps)
	}
	m.noted()
	a.apply(t, configMap("fairlead", "settings", "false"))
	eventually(t, "the change", func() bool { return m.Snapshot().ConfigMaps[name].Data["hsts"] == "false" })
	eventually(t, "the notice", func() bool { return len(m.noted()) > 0 })
	if first.ConfigMaps[name].Data["hsts"] != "true" {
		t.Error("a Snapshot changed after it was made")
	}
}
