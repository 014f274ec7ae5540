package k8s

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

func TestReadyAfterFirstTable(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	b := newBench(t)
	b.start(t)
	<-b.source.running
	b.source.notify(everything()) // told of something before everything is loaded
	if b.Ready() {
		t.Fatal("ready without a Snapshot")
	}
	if status, _ := b.get(t, "a.example"); status != http.StatusServiceUnavailable {
		t.Fatalf("status %d before the first table, want 503", status)
	}
	b.source.set(parse(t, class+app("a")+endpoints("a", one)), everything())
	eventually(t, "ready", b.Ready)
	if status, backend := b.get(t, "a.example"); status != http.StatusOK || backend != "one" {
		t.Errorf("got %d from %q, want 200 from one", status, backend)
	}
	// A Source must not lose its Snapshot, but if it does nothing is lost here.
	b.source.set(nil, everything())
	b.source.set(nil, service("a"))
	if status, _ := b.get(t, "a.example"); status != http.StatusOK || !b.Ready() {
		t.Errorf("without a Snapshot: status %d, ready %t, want 200 and true", status, b.Ready())
	}
	b.source.set(parse(t, class+app("b")), everything())
	eventually(t, "the next table", func() bool { status, _ := b.get(t, "b.example"); return status == http.StatusServiceUnavailable })
}

func TestLoadedSourceNeedsNoNotification(t *testing.T) {
	b := newBench(t)
	b.source.snapshot = parse(t, class+app("a"))
	b.start(t)
	eventually(t, "ready", b.Ready)
}

func TestEndpointsAloneLeaveTheTable(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	two := proxytest.Start(t, backend("two"))
	b := newBench(t)
	b.HoldOff = time.Hour // a full update after the first would never come
	text := class + app("a") + app("b") + endpoints("b", one)
	b.source.snapshot = parse(t, text+endpoints("a", one))
	b.start(t)
	eventually(t, "ready", b.Ready)
	table := b.Proxy.Table()

	b.source.set(parse(t, text+endpoints("a", two)), service("a"))
	eventually(t, "served by two", func() bool { _, name := b.get(t, "a.example"); return name == "two" })
	if b.Proxy.Table() != table {
		t.Error("a change of endpoints made a new table")
	}
	if _, name := b.get(t, "b.example"); name != "one" {
		t.Errorf("the other Service is served by %q, want one", name)
	}
	last := b.seen()[len(b.seen())-1]
	if !last.Endpoints || last.Swapped || last.Since.IsZero() || last.Table != table || len(last.Owned) != 2 {
		t.Errorf("update %+v: want one of endpoints only, with the state as it is", last)
	}
}

// TestEndpointsOfNobody: most EndpointSlices of a cluster are of Services that no Ingress names.
func TestEndpointsOfNobody(t *testing.T) {
	b := newBench(t)
	b.source.snapshot = parse(t, class+app("a"))
	b.start(t)
	eventually(t, "ready", b.Ready)
	n := len(b.seen())
	b.source.set(b.source.Snapshot(), service("nobody"))
	eventually(t, "it was taken", func() bool {
		b.changes.mu.Lock()
		defer b.changes.mu.Unlock()
		return len(b.changes.services) == 0
	})
	b.source.set(b.source.Snapshot(), service("a"))
	eventually(t, "the update of a", func() bool { return len(b.seen()) > n })
	if u := b.seen(); len(u) != n+1 || !u[n].Endpoints {
		t.Errorf("%d updates, want the one of a", len(u)-n)
	}
}

// TestServiceAloneLeavesTheTable: its ports decide where the backends are, and nothing else.
func TestServiceAloneLeavesTheTable(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	b := newBench(t)
	b.HoldOff = time.Hour
	text := class + app("a") + endpoints("a", one)
	b.source.snapshot = parse(t, strings.Replace(text, "port: 80}]}", "port: 81}]}", 1)) // not the port that the Ingress names
	b.start(t)
	eventually(t, "ready", b.Ready)
	table := b.Proxy.Table()
	if status, _ := b.get(t, "a.example"); status != http.StatusServiceUnavailable {
		t.Fatalf("status %d, want 503", status)
	}
	b.source.set(parse(t, text), service("a"))
	eventually(t, "served", func() bool { _, name := b.get(t, "a.example"); return name == "one" })
	if b.Proxy.Table() != table {
		t.Error("a change of a Service made a new table")
	}
}

// TestEndpointProblems sees the Problems follow changes that are of endpoints alone.
func TestEndpointProblems(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	b := newBench(t)
	text := class + app("a")
	b.source.snapshot = parse(t, text+endpoints("a", one))
	b.start(t)
	eventually(t, "ready", b.Ready)
	if p := b.Problems(); len(p) > 0 {
		t.Fatalf("problems %v, want none", p)
	}
	b.source.set(parse(t, text), service("a"))
	eventually(t, "a Problem", func() bool { return len(b.Problems()) == 1 })
	if got := b.Problems()[0].Reason; got != ingress.NoEndpoints {
		t.Errorf("reason %s, want %s", got, ingress.NoEndpoints)
	}
	b.source.set(parse(t, text+endpoints("a", one)), service("a"))
	eventually(t, "no Problem", func() bool { return len(b.Problems()) == 0 })
	if g := b.Proxy.Table().Generation(); g != 1 {
		t.Errorf("generation %d, want 1: the table did not change", g)
	}
}

// An endpoint that is a port of the controller itself is answered 502, and somebody must say why.
func TestOwnListenerIsAProblem(t *testing.T) {
	b := newBench(t)
	own := proxytest.Start(t, backend("own"))
	b.Own = func(a upstream.Address) bool { return a.Port == own.Addr().Port() }
	b.start(t)
	told := func() bool {
		return slices.ContainsFunc(b.Problems(), func(p ingress.Problem) bool {
			return p.Reason == ingress.EndpointAddressDenied && p.Object.Name == "web" && strings.Contains(p.Err.Error(), own.Addr().String())
		})
	}
	b.source.set(parse(t, class+app("web")+endpoints("web", own)), everything())
	eventually(t, "it is told", told)
	b.source.set(parse(t, class+app("web")+endpoints("web", proxytest.Start(t, backend("other")))), service("web"))
	eventually(t, "it is gone with the endpoint", func() bool { return !told() })
	b.source.set(parse(t, class+app("web")+endpoints("web", own)), service("web"))
	eventually(t, "it comes back with the endpoint", told)
	b.source.set(parse(t, class+app("other")), everything())
	eventually(t, "it is gone with the route", func() bool { return !told() })

	canary := `
kind: Ingress
metadata: {name: web, annotations: {nginx.ingress.kubernetes.io/canary: "true", nginx.ingress.kubernetes.io/canary-weight: "100"}}
spec:
  ingressClassName: fairlead
  rules: [{host: other.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
---
`
	b.source.set(parse(t, class+app("other")+app("web")[strings.Index(app("web"), "kind: Service"):]+canary+endpoints("web", own)), everything())
	eventually(t, "it is told of a canary", told)
}

func TestEqualSnapshotSwapsNothing(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	text := class + app("a") + endpoints("a", one) + `
kind: Secret
metadata: {name: tls}
type: kubernetes.io/tls
stringData: {certificate: "dns=a.example"}
---
kind: Ingress
metadata: {name: tls}
spec: {ingressClassName: fairlead, tls: [{hosts: [a.example], secretName: tls}]}
`
	b := newBench(t)
	first := parse(t, text)
	b.source.snapshot = first
	b.start(t)
	eventually(t, "ready", b.Ready)
	table, set := b.Proxy.Table(), b.Certs.Set()

	again := parse(t, text) // all objects are new, as after a relist
	for name, s := range first.Secrets {
		again.Secrets[name].Data = s.Data // the parser makes another key each time
	}
	b.source.set(again, everything())
	eventually(t, "the update", func() bool { return len(b.seen()) >= 2 })
	if b.Proxy.Table() != table || b.Certs.Set() != set {
		t.Error("an equal Snapshot swapped something")
	}
	if u := b.seen()[1]; u.Swapped || u.Generation != 1 {
		t.Errorf("update %+v, want none swapped", u)
	}
}

func TestHoldOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pools := upstream.NewRegistry(upstream.Options{})
		defer pools.Close()
		var times []time.Duration // of the updates
		begin := time.Now()
		source := newHandSource()
		n := 0
		change := func() {
			n++
			source.set(parse(t, class+app(fmt.Sprintf("host-%d", n))), everything())
		}
		c := &Controller{
			Source: source, Translator: ingress.NewTranslator(ingress.Options{}), Proxy: proxy.New(pools), Pools: pools, Certs: new(certs.Store),
			OnUpdate: func(Update) { times = append(times, time.Since(begin)) },
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		at := func(d time.Duration) {
			<-time.After(time.Until(begin.Add(d)))
			synctest.Wait()
		}
		const ms = time.Millisecond

		change() // at once
		at(4 * ms)
		change() // held off until 15
		at(5 * ms)
		change() // together with the last
		at(100 * ms)
		change()                            // alone, at once
		for i := range time.Duration(100) { // a storm: a change each millisecond
			at(200*ms + i*ms)
			change()
		}
		at(time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, 15 * ms, 100 * ms, 200 * ms, 215 * ms, 230 * ms, 245 * ms, 260 * ms, 275 * ms, 290 * ms, 305 * ms}
		if !slices.Equal(times, want) {
			t.Errorf("updates at %v, want %v", times, want)
		}
		if got := c.Proxy.Table().Rules()[0].Host; got != fmt.Sprintf("host-%d.example", n) {
			t.Errorf("the last table serves %s, want the last change", got)
		}
	})
}

// TestPoolsFollow sees the end of a pool, and its coming back with what it leads to.
func TestPoolsFollow(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	b := newBench(t)
	with, without := parse(t, class+app("a")+endpoints("a", one)), parse(t, class+app("b"))
	b.source.snapshot = with
	b.start(t)
	eventually(t, "ready", b.Ready)
	for range 3 {
		b.source.set(without, everything())
		eventually(t, "a gone", func() bool { status, _ := b.get(t, "a.example"); return status == http.StatusNotFound })
		eventually(t, "one pool", func() bool {
			p := b.Pools.Pools()
			return len(p) == 1 && p[0].Key().Service == "b"
		})
		b.source.set(with, everything())
		eventually(t, "a back", func() bool { status, _ := b.get(t, "a.example"); return status != http.StatusNotFound })
		if status, name := b.get(t, "a.example"); status != http.StatusOK || name != "one" {
			t.Fatalf("a.example answers %d from %q, want 200 from one", status, name)
		}
	}
}

// TestConflictLoserComesBack: a backend whose only rule lost has no pool; when it wins later
// it needs what it leads to.
func TestConflictLoserComesBack(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	two := proxytest.Start(t, backend("two"))
	loser := strings.ReplaceAll(app("b"), "b.example", "a.example")
	b := newBench(t)
	both := class + app("a") + loser + endpoints("a", one) + endpoints("b", two)
	b.source.snapshot = parse(t, both)
	b.start(t)
	eventually(t, "ready", b.Ready)
	if _, name := b.get(t, "a.example"); name != "one" {
		t.Fatalf("served by %q, want one", name)
	}
	if p := b.Problems(); len(p) == 0 {
		t.Fatal("no Problem for the conflict")
	}
	b.source.set(parse(t, class+loser+endpoints("b", two)), everything())
	eventually(t, "the other wins", func() bool { _, name := b.get(t, "a.example"); return name == "two" })
	// The table is live a moment before its Problems are.
	eventually(t, "no Problem is left", func() bool { return len(b.Problems()) == 0 })
}

func TestPoisonedIngressIsLeftOut(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	b := newBench(t)
	b.translate = func(s *ingress.Snapshot) *ingress.Result {
		for _, ing := range s.Ingresses {
			if ing.Annotations["poison"] == "yes" {
				panic("poison in " + ing.Name)
			}
		}
		return b.Translator.Translate(s)
	}
	text := class + endpoints("good", one)
	for i := range 20 {
		text += app(fmt.Sprintf("other-%d", i))
	}
	good := parse(t, text+app("good"))
	poisoned := parse(t, text+app("good")+strings.Replace(app("bad"), "name: bad}", `name: bad, annotations: {poison: "yes"}}`, 1))
	b.source.snapshot = good
	b.start(t)
	eventually(t, "ready", b.Ready)

	b.source.set(poisoned, everything())
	eventually(t, "a Problem", func() bool {
		return slices.ContainsFunc(b.Problems(), func(p ingress.Problem) bool {
			return p.Reason == ingress.TranslationPanicked && p.Object.Name == "bad" && p.Severity == ingress.Error
		})
	})
	if status, _ := b.get(t, "good.example"); status != http.StatusOK {
		t.Errorf("good.example answers %d, want 200", status)
	}
	if status, _ := b.get(t, "bad.example"); status != http.StatusNotFound {
		t.Errorf("bad.example answers %d, want 404", status)
	}
	stacks := func() int { return b.logs.FilterMessage("update panicked").Len() }
	if n := stacks(); n != 1 {
		t.Errorf("the panic was logged %d times, want once", n)
	}
	// The same object again: not even tried.
	b.source.set(poisoned, everything())
	eventually(t, "another update", func() bool { return len(b.seen()) >= 3 })
	// Mended, it is served.
	b.source.set(parse(t, text+app("good")+app("bad")), everything())
	eventually(t, "served", func() bool { status, _ := b.get(t, "bad.example"); return status != http.StatusNotFound })
	if n := stacks(); n != 1 {
		t.Errorf("the panic was logged %d times, want once", n)
	}
	if slices.ContainsFunc(b.Problems(), func(p ingress.Problem) bool { return p.Reason == ingress.TranslationPanicked }) {
		t.Error("the Problem stays")
	}
}

// TestPanicOfTheWhole: what no single Ingress is to blame for keeps the old state.
func TestPanicOfTheWhole(t *testing.T) {
	one := proxytest.Start(t, backend("one"))
	b := newBench(t)
	b.translate = func(s *ingress.Snapshot) *ingress.Result {
		if len(s.Ingresses) == 2 {
			panic("two")
		}
		return b.Translator.Translate(s)
	}
	b.source.snapshot = parse(t, class+app("a")+endpoints("a", one))
	b.start(t)
	eventually(t, "ready", b.Ready)
	b.source.set(parse(t, class+app("b")+app("c")), everything())
	eventually(t, "an error", func() bool {
		u := b.seen()
		return u[len(u)-1].Err != nil
	})
	if status, _ := b.get(t, "a.example"); status != http.StatusOK {
		t.Errorf("a.example answers %d, want 200", status)
	}
	b.source.set(parse(t, class+app("b")), everything())
	eventually(t, "the next change", func() bool { status, _ := b.get(t, "b.example"); return status != http.StatusNotFound })
}

// TestPanicOnceFilled: pools were given what a table leads to that then did not become live.
func TestPanicOnceFilled(t *testing.T) {
	one, two := proxytest.Start(t, backend("one")), proxytest.Start(t, backend("two"))
	b := newBench(t)
	broken := parse(t, class+app("a")+app("b")+endpoints("a", two))
	b.translate = func(s *ingress.Snapshot) *ingress.Result {
		r := b.Translator.Translate(s)
		if s == broken {
			r.Certificates = []certs.Binding{{Host: "a.example", Certificates: []*tls.Certificate{nil, nil}}}
		}
		return r
	}
	whole := parse(t, class+app("a")+endpoints("a", one))
	b.source.snapshot = whole
	b.start(t)
	eventually(t, "ready", b.Ready)
	for range 3 {
		before := len(b.seen())
		b.source.set(broken, everything())
		eventually(t, "an error", func() bool {
			u := b.seen()
			return len(u) > before && u[len(u)-1].Err != nil
		})
		b.source.set(whole, everything())
		eventually(t, "what was there again", func() bool { _, name := b.get(t, "a.example"); return name == "one" })
		eventually(t, "one pool", func() bool { return b.Pools.Kept() == 1 })
	}
}

// TestUntil: a certificate ends, and no object changes.
func TestUntil(t *testing.T) {
	b := newBench(t)
	translated := make(chan struct{}, 100)
	until := time.Now().Add(1500 * time.Millisecond)
	b.translate = func(s *ingress.Snapshot) *ingress.Result {
		r := b.Translator.Translate(s)
		if time.Now().Before(until) {
			r.Until = until
		}
		translated <- struct{}{}
		return r
	}
	b.source.snapshot = parse(t, class+app("a"))
	b.start(t)
	eventually(t, "ready", b.Ready)
	eventually(t, "a second translation", func() bool { return len(translated) >= 2 })
	if time.Now().Before(until) {
		t.Error("translated again before it was time")
	}
}

func TestSourceFails(t *testing.T) {
	b := newBench(t)
	done := make(chan error, 1)
	go func() { done <- b.Run(context.Background()) }()
	b.source.end <- errors.New("disk on fire")
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Errorf("error %v, want the Source's", err)
		}
	case <-time.After(deadline):
		t.Fatal("Run goes on without its Source")
	}
}

func TestExtraProblems(t *testing.T) {
	b := newBench(t)
	extra := ingress.Problem{Object: ingress.Object{Kind: "Ingress", Name: "x"}, Reason: "FileUnreadable", Err: errors.New("no")}
	b.ExtraProblems = func() []ingress.Problem { return []ingress.Problem{extra, extra} }
	if got := b.Problems(); len(got) != 1 {
		t.Errorf("%d problems before the first table, want the extra one", len(got))
	}
	b.source.snapshot = parse(t, class+app("a"))
	b.start(t)
	eventually(t, "ready", b.Ready)
	if got := b.Problems(); len(got) != 2 {
		t.Errorf("problems %v, want NoEndpoints and the extra one", got)
	}
}

// TestChangesUnderLoad: neither tables nor endpoints that come and go cost a request.
func TestChangesUnderLoad(t *testing.T) {
	backends := []*proxytest.Backend{
		proxytest.Start(t, backend("one")),
		proxytest.Start(t, backend("two")),
	}
	b := newBench(t)
	b.HoldOff = time.Millisecond
	text := func(i int) string { return class + app("a") + endpoints("a", backends[i%2]) }
	b.source.snapshot = parse(t, text(0))
	b.start(t)
	eventually(t, "ready", b.Ready)

	stop := make(chan struct{})
	var clients sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		clients.Wait()
	})
	defer end()
	var requests [4]int
	for c := range requests {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, _ := b.get(t, "a.example"); status != http.StatusOK {
					t.Errorf("status %d", status)
					return
				}
				requests[c]++
			}
		})
	}
	for i := range 200 {
		n := len(b.seen())
		if i%2 == 0 {
			b.source.set(parse(t, text(i)), service("a"))
		} else {
			b.source.set(parse(t, text(i)+app(fmt.Sprintf("x-%d", i))), everything())
		}
		eventually(t, "the update", func() bool { return len(b.seen()) > n })
	}
	end()
	for c, n := range requests {
		if n == 0 {
			t.Errorf("client %d made no request", c)
		}
	}
}

func TestMergeProblems(t *testing.T) {
	p := func(name, text string) ingress.Problem {
		return ingress.Problem{Object: ingress.Object{Kind: "Ingress", Name: name}, Reason: "R", Err: errors.New(text)}
	}
	got := mergeProblems([]ingress.Problem{p("b", "1")}, nil, []ingress.Problem{p("a", "2"), p("b", "1"), p("a", "1")})
	want := []ingress.Problem{p("a", "1"), p("a", "2"), p("b", "1")}
	if !slices.EqualFunc(got, want, equalProblem) {
		t.Errorf("got %v, want %v", got, want)
	}
	one := p("a", "1")
	other := one
	other.Object.UID = "another object of that name"
	if got := mergeProblems([]ingress.Problem{one, other}); len(got) != 2 {
		t.Errorf("got %v, want both", got)
	}
}

func backend(name string) *proxytest.Backend {
	return &proxytest.Backend{Handler: proxytest.Echo(name)}
}
