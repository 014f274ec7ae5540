package k8s

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// neighbourhood makes objects that have much to do with each other: few names, hosts and
// Services, and every annotation by which Ingresses of a host have an influence on one another.
type neighbourhood struct {
	*rand.Rand
	pairs [2][2][]byte // certificate and key
	made  int
}

func (n *neighbourhood) one(of ...string) string { return of[n.IntN(len(of))] }

func (n *neighbourhood) meta() metav1.ObjectMeta {
	n.made++
	return metav1.ObjectMeta{
		Namespace: n.one("shop", "other"), Name: n.one("a", "b", "c", "d", "e"), UID: types.UID(fmt.Sprint(n.made)),
		CreationTimestamp: metav1.NewTime(time.Unix(int64(n.IntN(4)), 0)),
	}
}

func (n *neighbourhood) ingress() *netv1.Ingress {
	ing := &netv1.Ingress{ObjectMeta: n.meta()}
	if class := n.one("spec", "nginx", "nginx", "foreign", ""); class != "" {
		ing.Spec.IngressClassName = &class
	}
	set := func(key, value string) {
		if ing.Annotations == nil {
			ing.Annotations = make(map[string]string)
		}
		ing.Annotations["fairlead.dev/"+key] = value
	}
	for range n.IntN(3) {
		switch n.IntN(17) {
		case 15, 16:
			set("acme", n.one("true", "true", "false"))
		case 0, 10, 11:
			set("canary", "true")
			set("canary-weight", n.one("10", "20"))
			if n.IntN(3) == 0 {
				set("backend-protocol", "AUTO_HTTP")
			}
		case 1:
			set("from-to-www-redirect", "true")
		case 2:
			set("use-regex", "true")
		case 3:
			set("rewrite-target", n.one("/$1", "/x"))
		case 4:
			set("auth-tls-secret", ing.Namespace+"/"+n.one("one", "two"))
		case 5:
			set("auth-type", "basic")
			set("auth-secret", "passwords")
		case 6:
			set("allowlist-source-range", n.one("10.0.0.0/8", "nonsense"))
		case 7:
			set("ssl-redirect", n.one("true", "false"))
		case 8:
			set("app-root", "/app")
		case 12:
			set("server-alias", n.one("a.example", "b.example", "alias.example", "alias.example,www.a.example"))
		case 13:
			set("default-backend", n.one("a", "gone"))
		case 14:
			set("auth-tls-secret", ing.Namespace+"/one")
			set("ssl-ciphers", "ECDHE-RSA-AES128-GCM-SHA256")
		case 9:
			set("backend-protocol", n.one("AUTO_HTTP", "HTTPS"))
		}
	}
	for range n.IntN(3) {
		prefix := netv1.PathType(n.one("Prefix", "Exact", "ImplementationSpecific"))
		rule := netv1.IngressRule{Host: n.one("a.example", "www.a.example", "b.example", "*.example", "B.example", "")}
		rule.HTTP = &netv1.HTTPIngressRuleValue{}
		for range n.IntN(3) {
			rule.HTTP.Paths = append(rule.HTTP.Paths, netv1.HTTPIngressPath{Path: n.one("/", "/x", "/(.*)"), PathType: &prefix, Backend: n.backend()})
		}
		ing.Spec.Rules = append(ing.Spec.Rules, rule)
	}
	if n.IntN(4) == 0 {
		b := n.backend()
		ing.Spec.DefaultBackend = &b
	}
	if n.IntN(2) == 0 {
		item := netv1.IngressTLS{SecretName: n.one("one", "two", "none")}
		if n.IntN(2) == 0 {
			item.Hosts = []string{n.one("a.example", "b.example")}
		}
		ing.Spec.TLS = append(ing.Spec.TLS, item)
	}
	return ing
}

func (n *neighbourhood) backend() netv1.IngressBackend {
	return netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: n.one("a", "b", "gone"), Port: netv1.ServiceBackendPort{Number: 80}}}
}

// change does one thing to the objects of c, as the API server would tell it.
func (n *neighbourhood) change(c *Cluster) {
	m := n.meta()
	switch n.IntN(10) {
	case 9:
		kind, host := n.one(ingress.IssuedCertificate, ingress.IssuedOrder), n.one("a.example", "b.example")
		m.Namespace, m.Name = "shop", ingress.IssuedName(kind, host)
		m.Labels, m.Annotations = map[string]string{issuedKindLabel: kind}, map[string]string{issuedNameNote: host}
		pair := n.pairs[n.IntN(2)]
		record := &corev1.Secret{ObjectMeta: m, Data: map[string][]byte{
			corev1.TLSCertKey: pair[0], corev1.TLSPrivateKeyKey: pair[1], "directory": []byte("ca"), "status": []byte(n.one("waits", "refused")),
		}}
		if n.IntN(2) == 0 {
			record.Data["failures"] = []byte("1")
		}
		if n.IntN(2) == 0 {
			_ = c.issued.Delete(record)
		} else {
			_ = c.issued.Update(record)
		}
	case 0, 1, 2, 3:
		ing := n.ingress()
		if n.IntN(3) == 0 {
			_ = c.ingresses.Delete(ing)
		} else {
			_ = c.ingresses.Update(ing)
		}
	case 4:
		class := &netv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: n.one("spec", "nginx")}}
		if n.IntN(4) == 0 {
			class.Annotations = map[string]string{"fairlead.dev/acme": "true"}
		}
		class.Spec.Controller = n.one(ingress.Controller, ingress.NginxController, "somebody.else/x")
		_ = c.classes.Update(class)
	case 5:
		svc := &corev1.Service{ObjectMeta: m, Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1", Ports: []corev1.ServicePort{{Port: 80}}}}
		if n.IntN(3) == 0 {
			_ = c.services[0].Delete(svc)
		} else {
			_ = c.services[0].Update(svc)
		}
	case 6, 7:
		port := int32(8000 + n.IntN(2))
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta: m, AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Port: &port}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{n.one("10.1.0.1", "10.1.0.2")}}},
		}
		slice.Labels = map[string]string{discoveryv1.LabelServiceName: n.one("a", "b")}
		_ = c.slices[0].Update(slice)
	case 8:
		m.Name = n.one("one", "two", "passwords")
		pair := n.pairs[n.IntN(2)]
		secret := &corev1.Secret{ObjectMeta: m, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
			corev1.TLSCertKey: pair[0], corev1.TLSPrivateKeyKey: pair[1], "ca.crt": pair[0], "auth": []byte("user:{SHA}x"),
		}}
		if n.IntN(3) == 0 {
			_ = c.tls.Delete(secret)
		} else {
			_ = c.tls.Update(secret)
		}
	}
}

// live is all that a Controller has made live, as text, but for the number of the table.
func live(t *testing.T, c *Controller) string {
	t.Helper()
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	var table strings.Builder
	if _, err := c.Proxy.Table().WriteTo(&table); err != nil {
		t.Fatal(err)
	}
	_, routes, _ := strings.Cut(table.String(), "\n")
	line("%s", routes)
	line("%d routes", c.Proxy.Table().Len())
	for _, r := range c.Proxy.Table().Rules() {
		line("%s %s policies %v", r.Host, r.Path, proxy.PolicyNames(r))
	}
	var backends []string
	for k := range c.Proxy.Table().Keys().All() {
		r, _ := c.filled.given.Get(k)
		if len(r.Addresses) == 0 && r.Reason == "" {
			t.Errorf("%+v was not resolved", k)
		}
		backends = append(backends, fmt.Sprintf("%+v leads to %+v", k, r))
	}
	for _, p := range c.Pools.Pools() {
		for _, e := range p.Endpoints() {
			backends = append(backends, fmt.Sprintf("%+v has %s", p.Key(), e.Address()))
		}
	}
	slices.Sort(backends)
	line("%s", strings.Join(backends, "\n"))
	for _, b := range c.Certs.Set().Bindings() {
		line("%s %q %q", b.Host, b.Source, b.Reason)
		for _, cert := range b.Certificates {
			line("%x", cert.Leaf.SerialNumber)
		}
	}
	for _, p := range c.Problems() {
		line("%v %s %s %s: %v", p.Object, p.Object.UID, p.Reason, p.Field, p.Err)
	}
	for _, ing := range c.plan.result.Owned {
		line("owns %s/%s %s", ing.Namespace, ing.Name, ing.UID)
	}
	for _, i := range c.plan.result.Issues {
		line("issue %s %t %s %t", i.Host, i.Certificate != nil, i.Directory, i.Failed)
	}
	line("until %v", c.plan.result.Until)
	return s.String()
}

// signs are what of the influences on one another must come up.
var signs = []string{
	"alias.example", "+shop/", "CanaryNotServed", "RouteConflict", "CatchAllConflict", " Regexp ", "[client certificate", "policy-refused", "[redirect to www",
	"CertificateConflict", "CertificatePending", "CertificateNotIssued", "CertificateNotRenewed", "issue ", "CertificateNameMismatch", "ClassNotFound", "|", "service-not-found", "no-endpoints", "has 10.1.0.1",
}

// What is live is a function of the objects alone: after any changes it is what a controller that
// has just been started makes of the same objects. The steps that were saved make no difference.
func TestLiveIsWhatIsMadeFromScratch(t *testing.T) {
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "127.0.0.1:1", QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	controller := func(source Source) *Controller {
		pools := upstream.NewRegistry(upstream.Options{})
		t.Cleanup(pools.Close)
		c := &Controller{
			Source: source, Translator: ingress.NewTranslator(ingress.Options{ACMENamespace: "shop", Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}),
			Proxy: proxy.New(pools), Pools: pools, Certs: new(certs.Store),
			OnUpdate: func(u Update) {
				if u.Err != nil {
					t.Error(u.Err)
				}
			},
		}
		c.begin()
		return c
	}
	step := func(c *Controller) {
		for range 10 { // an update may ask for another one
			c.holdUntil = time.Time{}
			c.step()
			if !c.changes.wantsFull() {
				return
			}
		}
		t.Fatal("updates without end")
	}
	seen := make(map[string]int)
	for seed := range uint64(10) {
		n := &neighbourhood{Rand: rand.New(rand.NewPCG(seed, 7))}
		for i := range n.pairs {
			if n.pairs[i][0], n.pairs[i][1], err = k8stest.KeyPair("dns=a.example,b.example"); err != nil {
				t.Fatal(err)
			}
		}
		source := NewCluster(ClusterOptions{Client: client, Issued: &IssuedOptions{Namespace: "shop"}})
		used := controller(source)
		source.notify, source.named.ctx, source.ownConfigMaps.ctx = used.changes.notify, t.Context(), t.Context()
		source.ownConfigMaps.start()
		for _, load := range []func([]any, string) error{
			source.classes.Replace, source.services[0].Replace, source.tls.Replace, source.issued.Replace, source.slices[0].Replace, source.ingresses.Replace,
		} {
			_ = load(nil, "1")
		}
		used.changes.notify(types.NamespacedName{})
		step(used)
		if !used.Ready() {
			t.Fatal("not ready")
		}
		for i := range 600 {
			for range 1 + n.IntN(3) {
				n.change(source)
			}
			step(used)
			fresh := controller(source)
			fresh.changes.notify(types.NamespacedName{})
			step(fresh)
			if d := cmp.Diff(live(t, fresh), live(t, used)); d != "" {
				t.Fatalf("seed %d, step %d: - from scratch, + after the changes:\n%s", seed, i, d)
			}
			for line := range strings.Lines(live(t, used)) {
				for _, sign := range signs {
					if strings.Contains(line, sign) {
						seen[sign]++
					}
				}
			}
			if !reflect.DeepEqual(fresh.plan.result.Config, used.plan.result.Config) {
				t.Fatalf("seed %d, step %d: the configurations differ, though their dumps do not", seed, i)
			}
		}
	}
	for _, sign := range signs {
		if seen[sign] < 10 {
			t.Errorf("%q came up %d times: the objects do not test what they should", sign, seen[sign])
		}
	}
}
