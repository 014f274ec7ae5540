package k8s

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is how long a test waits for what must come.
const deadline = 20 * time.Second

// eventually fails the test unless ok becomes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	until := time.Now().Add(deadline)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(until) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
		<-tick.C
	}
}

// handSource is a Source whose Snapshot the test sets.
type handSource struct {
	mu       sync.Mutex
	snapshot *ingress.Snapshot
	notify   func(types.NamespacedName)
	running  chan struct{} // closed when Run was called
	end      chan error    // makes Run end by itself
}

func newHandSource() *handSource {
	return &handSource{running: make(chan struct{}), end: make(chan error)}
}

func (s *handSource) Run(ctx context.Context, notify func(types.NamespacedName)) error {
	s.notify = notify
	close(s.running)
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.end:
		return err
	}
}

func (s *handSource) Snapshot() *ingress.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot
}

// set makes snapshot the present one and notifies of service, zero for everything.
func (s *handSource) set(snapshot *ingress.Snapshot, service types.NamespacedName) {
	s.mu.Lock()
	s.snapshot = snapshot
	s.mu.Unlock()
	<-s.running
	s.notify(service)
}

// bench is a Controller under test with all that it drives.
type bench struct {
	*Controller
	source *handSource
	front  *httptest.Server
	logs   *observer.ObservedLogs

	mu      sync.Mutex
	updates []Update
}

// newBench returns a Controller that does not run yet.
func newBench(t *testing.T) *bench {
	t.Helper()
	pools := upstream.NewRegistry(upstream.Options{AllowLocal: true})
	t.Cleanup(pools.Close)
	core, logs := observer.New(zap.DebugLevel)
	b := &bench{source: newHandSource(), logs: logs}
	b.Controller = &Controller{
		Source: b.source, Translator: ingress.NewTranslator(ingress.Options{}), Proxy: proxy.New(pools), Pools: pools,
		Certs: new(certs.Store), Log: zap.New(core),
		OnUpdate: func(u Update) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.updates = append(b.updates, u)
		},
	}
	b.front = httptest.NewServer(b.Proxy)
	t.Cleanup(b.front.Close)
	return b
}

// start runs the Controller until the test ends.
func (b *bench) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// Ready also waits for the first update to be told, which is a little after the first table is live.
func (b *bench) Ready() bool { return b.Controller.Ready() && len(b.seen()) > 0 }

// seen returns the updates up to now.
func (b *bench) seen() []Update {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.updates)
}

// get asks the proxy and returns the status and the name of the backend.
func (b *bench) get(t testing.TB, host string) (status int, backend string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, b.front.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := b.front.Client().Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	return resp.StatusCode, resp.Header.Get("Backend-Name")
}

// parse makes a Snapshot in which loopback endpoints are allowed.
func parse(t testing.TB, text string) *ingress.Snapshot {
	t.Helper()
	s, err := k8stest.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s.LocalEndpoints = true
	for i, ing := range s.Ingresses {
		ing.UID = types.UID(fmt.Sprintf("uid-%s-%d", ing.Name, i))
	}
	return s
}

const class = `
kind: IngressClass
metadata: {name: fairlead}
spec: {controller: fairlead.dev/ingress-controller}
---
`

// app is an Ingress for host "NAME.example" with its Service.
func app(name string) string {
	return fmt.Sprintf(`
kind: Ingress
metadata: {name: %[1]s}
spec:
  ingressClassName: fairlead
  rules: [{host: %[1]s.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %[1]s, port: {number: 80}}}}]}}]
---
kind: Service
metadata: {name: %[1]s}
spec: {ports: [{port: 80}]}
---
`, name)
}

// endpoints is an EndpointSlice of the Service with one endpoint at a backend; none if nil.
func endpoints(service string, b *proxytest.Backend) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf(`
kind: EndpointSlice
metadata: {name: %[1]s-1, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
ports: [{name: "", port: %[2]d}]
endpoints: [{addresses: [127.0.0.1]}]
---
`, service, b.Addr().Port())
}

func service(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "default", Name: name}
}

func everything() types.NamespacedName { return types.NamespacedName{} }

func backend(name string) *proxytest.Backend {
	return &proxytest.Backend{Handler: proxytest.Echo(name)}
}
