package explain_test

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// world is a random cluster. Its Services lead to one real backend, to nothing, or do not
// exist.
func world(r *rand.Rand, backend upstream.Address) *ingress.Snapshot {
	s := &ingress.Snapshot{
		Classes: []*netv1.IngressClass{
			{ObjectMeta: metav1.ObjectMeta{Name: "fairlead"}, Spec: netv1.IngressClassSpec{Controller: ingress.Controller}},
			{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: netv1.IngressClassSpec{Controller: "example.com/other"}},
		},
		Services: make(map[types.NamespacedName]*corev1.Service), Slices: make(map[types.NamespacedName][]*discoveryv1.EndpointSlice),
		LocalEndpoints: true, Around: new(ingress.Surroundings),
	}
	for _, name := range []string{"up", "empty"} {
		key := types.NamespacedName{Namespace: "n", Name: name}
		s.Services[key] = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "p", Port: 80}}}}
	}
	port, portName := int32(backend.Port), "p"
	up := types.NamespacedName{Namespace: "n", Name: "up"}
	s.Slices[up] = []*discoveryv1.EndpointSlice{{
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{backend.Host}}},
	}}
	for i := range 1 + r.IntN(6) {
		ing := &netv1.Ingress{ObjectMeta: metav1.ObjectMeta{
			Namespace: "n", Name: fmt.Sprint("i", i), CreationTimestamp: metav1.NewTime(time.Unix(int64(r.IntN(3)), 0)),
			Annotations: map[string]string{pick(r, "a", "a", "a", "fairlead.dev/auth-unheard-of", "fairlead.dev/permanent-redirect"): "https://elsewhere.example/"},
		}}
		class := pick(r, "fairlead", "fairlead", "fairlead", "other", "missing")
		ing.Spec.IngressClassName = &class
		target := func() netv1.IngressBackend {
			return netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: pick(r, "up", "up", "empty", "gone"), Port: pick(r,
				netv1.ServiceBackendPort{Number: 80}, netv1.ServiceBackendPort{Name: "p"}, netv1.ServiceBackendPort{Number: 81})}}
		}
		for range r.IntN(3) {
			rule := netv1.IngressRule{Host: pick(r, "", "a.example", "*.example", "b.example")}
			if r.IntN(5) > 0 {
				rule.HTTP = &netv1.HTTPIngressRuleValue{}
				for range 1 + r.IntN(3) {
					pathType := pick(r, netv1.PathTypeExact, netv1.PathTypePrefix, netv1.PathTypeImplementationSpecific)
					rule.HTTP.Paths = append(rule.HTTP.Paths, netv1.HTTPIngressPath{Path: pick(r, "/", "/x", "/x/", "/x/y"), PathType: &pathType, Backend: target()})
				}
			}
			ing.Spec.Rules = append(ing.Spec.Rules, rule)
		}
		if r.IntN(3) == 0 || len(ing.Spec.Rules) == 0 {
			b := target()
			ing.Spec.DefaultBackend = &b
		}
		s.Ingresses = append(s.Ingresses, ing)
	}
	return s
}

// Explanations and the data plane never disagree: random requests are sent through a proxy of
// random objects, and what comes back is compared.
func TestExplainIsWhatIsServed(t *testing.T) {
	backend := proxytest.Start(t, &proxytest.Backend{Handler: proxytest.Echo("up")})
	address := upstream.Address{Host: backend.Addr().Addr().String(), Port: backend.Addr().Port()}
	r := rand.New(rand.NewPCG(3, 5))
	served := 0
	for round := range 150 {
		s := world(r, address)
		o := ingress.Options{}
		if r.IntN(4) == 0 {
			o.DefaultBackend = upstream.Key{Namespace: "n", Service: pick(r, "up", "gone"), Port: "80"}
		}
		result := ingress.NewTranslator(o).Translate(s)
		pools := upstream.NewRegistry(upstream.Options{AllowLocal: true})
		seen := new(recorder)
		p := proxy.New(pools)
		p.Observer = seen
		table, conflicts := p.Compile(result.Config)
		for k := range table.Keys().All() {
			r, _ := result.Resolutions.Get(k)
			pools.Pool(k).Set(r)
		}
		p.Swap(table)
		v := explain.New(explain.State{
			Snapshot: s, Options: o, Proxy: p, Table: table, Certificates: certs.NewSet(result.Certificates, nil),
			Problems: append(result.Problems, ingress.ConflictProblems(conflicts)...),
		})
		for range 20 {
			u := &url.URL{Scheme: pick(r, "http", "https"), Host: pick(r, "a.example", "b.example", "c.example", "a.b.example", "example", "A.example.:81"), Path: pick(r, "/", "/x", "/x/", "/x/y", "/x/y/z", "/xy", "/X", "/x/../q")}
			method := pick(r, "GET", "GET", "HEAD", "POST", "TRACE")
			e := v.Explain(explain.Question{URL: u, Method: method})
			checkShape(t, e)

			req := httptest.NewRequest(method, u.String(), nil)
			req.RequestURI = u.RequestURI()
			if u.Scheme == "https" {
				req.TLS = new(tls.ConnectionState)
			} else {
				req.TLS = nil
			}
			w := httptest.NewRecorder()
			seen.rule = nil
			p.ServeHTTP(w, req)
			route := ""
			if seen.rule != nil {
				route = seen.rule.Origin.String()
			}
			told := ""
			if e.Route != nil {
				told = e.Route.Ingress
			}
			fail := func(what string) {
				t.Errorf("round %d, %s %s: %s; served %d %s by %q, explained %+v", round, method, u, what, w.Code, w.Header().Get(proxy.ReasonHeader), route, *e)
			}
			hostOnly := seen.rule != nil && e.Route == nil
			if told != route && !hostOnly {
				fail("another route")
			}
			fromBackend := w.Header().Get(proxy.ReasonHeader) == "" && w.Code == 200
			switch {
			case e.Status != nil && *e.Status != w.Code:
				fail("another status")
			case e.Status == nil && !fromBackend:
				fail("the backend did not decide")
			case e.Status == nil:
				served++
			case (*e.Status >= 500 || *e.Status == 404 || *e.Status == 400) != (e.Verdict == explain.Broken) && !(u.Scheme == "https" && e.Verdict == explain.Broken):
				fail("the verdict is wrong")
			}
		}
		pools.Close()
	}
	if served < 100 {
		t.Errorf("only %d requests were served", served)
	}
}

// recorder notes the rule of the last exchange.
type recorder struct{ rule *proxy.Rule }

func (r *recorder) Route(rule *proxy.Rule) proxy.Recorder {
	return func(*proxy.Exchange) { r.rule = rule }
}
