package ingress_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// live is objects that a real proxy serves on loopback, in front of a backend that counts.
type live struct {
	t        *testing.T
	snapshot *ingress.Snapshot
	options  ingress.Options
	backend  *proxytest.Backend
	proxy    *proxy.Proxy
	problems []ingress.Problem
	server   *proxy.Server
	client   *http.Client
}

const liveClasses = `
kind: IngressClass
metadata: {name: spec}
spec: {controller: fairlead.dev/ingress-controller}
---
kind: IngressClass
metadata: {name: ingress-nginx}
spec: {controller: k8s.io/ingress-nginx}
---
kind: Service
metadata: {namespace: shop, name: web}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}
`

// liveConfig is the name of the controller's ConfigMap, if the objects have one.
var liveConfig = types.NamespacedName{Namespace: "fairlead", Name: "settings"}

// newLive serves nothing yet. objects is YAML beside the classes.
func newLive(t *testing.T, objects string, handler http.Handler) *live {
	t.Helper()
	s, err := k8stest.Parse([]byte(liveClasses + "---\n" + objects))
	if err != nil {
		t.Fatal(err)
	}
	l := &live{t: t, snapshot: s, backend: &proxytest.Backend{Handler: handler}}
	if s.ConfigMaps[liveConfig] != nil {
		l.options.ConfigMap = liveConfig
	}
	proxytest.Start(t, l.backend)
	pools := upstream.NewRegistry(upstream.Options{AllowLocal: true})
	l.proxy = proxy.New(pools)
	crt, key, err := k8stest.KeyPair("dns=a.example")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(crt, key)
	if err != nil {
		t.Fatal(err)
	}
	l.server = &proxy.Server{
		Proxy: l.proxy, HTTPAddress: "127.0.0.1:0", HTTPSAddress: "127.0.0.1:0", ShutdownDelay: -1, Engine: proxy.HTTP1,
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}},
	}
	if err := l.server.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- l.server.Serve() }()
	transport := &http.Transport{
		// Every host is ours, whatever its name.
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			name := "http"
			if strings.HasSuffix(address, ":443") {
				name = "https"
			}
			return new(net.Dialer).DialContext(ctx, "tcp", l.server.Addresses()[name].String())
		},
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, // which certificate is served is no matter here
		DisableCompression: true,
	}
	l.client = &http.Client{
		Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		l.server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		pools.Close()
	})
	return l
}

// add adds an Ingress of namespace shop with one rule for host and path; annotations are by key.
func (l *live) add(class, name, host, path string, annotations map[string]string) *netv1.Ingress {
	pathType := netv1.PathTypeImplementationSpecific
	ing := &netv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Annotations: map[string]string{}}}
	for k, v := range annotations {
		ing.Annotations[policy.NginxPrefix+k] = v
	}
	ing.Spec.IngressClassName = &class
	ing.Spec.Rules = []netv1.IngressRule{{Host: host, IngressRuleValue: netv1.IngressRuleValue{HTTP: &netv1.HTTPIngressRuleValue{
		Paths: []netv1.HTTPIngressPath{{
			Path: path, PathType: &pathType,
			Backend: netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: "web", Port: netv1.ServiceBackendPort{Number: 80}}},
		}},
	}}}}
	l.snapshot.Ingresses = append(l.snapshot.Ingresses, ing)
	return ing
}

// serve makes the objects live.
func (l *live) serve() {
	l.t.Helper()
	result := ingress.NewTranslator(l.options).Translate(l.snapshot)
	l.problems = result.Problems
	table, _ := l.proxy.Compile(result.Config)
	at := l.backend.Addr()
	for key := range table.Keys().All() {
		l.proxy.Pools.Pool(key).Set(upstream.Resolution{Addresses: []upstream.Address{{Host: at.Addr().String(), Port: at.Port()}}})
	}
	l.proxy.Swap(table)
}

// ask sends a request, with fields as "name: value", and returns the answer without its body.
func (l *live) ask(method, url string, body string, fields ...string) *http.Response {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Transfer-Encoding" {
			r.TransferEncoding = []string{value} // which Header cannot ask for
			continue
		}
		r.Header.Add(name, value)
	}
	resp, err := l.client.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		l.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}
