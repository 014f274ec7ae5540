package k8s

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

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
	eventually(t, "the Problem is gone", func() bool {
		return !slices.ContainsFunc(b.Problems(), func(p ingress.Problem) bool { return p.Reason == ingress.TranslationPanicked })
	})
	if n := stacks(); n != 1 {
		t.Errorf("the panic was logged %d times, want once", n)
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

// TestUntil: a certificate ends, and no object changes.
func TestUntil(t *testing.T) {
	b := newBench(t)
	translated := make(chan struct{}, 100)
	var until time.Time // told of by the first translation
	b.translate = func(s *ingress.Snapshot) *ingress.Result {
		r := b.Translator.Translate(s)
		if until.IsZero() {
			until = time.Now().Add(1500 * time.Millisecond)
			r.Until = until
		} else if time.Now().Before(until) {
			t.Error("translated again before it was time")
		}
		translated <- struct{}{}
		return r
	}
	b.source.snapshot = parse(t, class+app("a"))
	b.start(t)
	eventually(t, "ready", b.Ready)
	eventually(t, "a second translation", func() bool { return len(translated) >= 2 })
}

// TestClockIsSetBack: a clock that went ahead when a table was made, as of a machine that has just
// begun, is put right later, and no object changes. What had expired by it is looked at again.
func TestClockIsSetBack(t *testing.T) {
	b := newBench(t)
	translated := 0
	b.translate = func(s *ingress.Snapshot) *ingress.Result {
		translated++
		return b.Translator.Translate(s)
	}
	clock := time.Now()
	b.now = func() time.Time { return clock }
	b.source.snapshot = parse(t, class+app("a"))
	b.begin()
	b.changes.notify(everything())
	if wait := b.step(); wait <= 0 || wait > clockCheck {
		t.Errorf("the clock is looked at in %v, want at least every %v", wait, clockCheck)
	}
	clock = clock.Add(time.Hour)
	b.step()
	if translated != 1 {
		t.Errorf("%d translations, want none by an hour alone", translated)
	}
	b.holdUntil = time.Time{}
	clock = clock.AddDate(-1, 0, 0)
	b.step()
	if translated != 2 {
		t.Errorf("%d translations, want another one by a clock that was set back", translated)
	}
	b.holdUntil = time.Time{}
	if b.step(); translated != 2 {
		t.Errorf("%d translations of the same", translated)
	}
}

// TestEndpointsThoughTheTableFails: what makes a new table impossible is no reason to go on sending
// requests to endpoints that went at the same time.
func TestEndpointsThoughTheTableFails(t *testing.T) {
	one, two := proxytest.Start(t, backend("one")), proxytest.Start(t, backend("two"))
	b := newBench(t)
	b.translate = func(s *ingress.Snapshot) *ingress.Result {
		if len(s.Ingresses) == 2 {
			panic("two")
		}
		return b.Translator.Translate(s)
	}
	b.source.snapshot = parse(t, class+app("a")+endpoints("a", one))
	b.begin()
	b.changes.notify(everything())
	b.step()
	if _, name := b.get(t, "a.example"); name != "one" {
		t.Fatalf("backend %q, want one", name)
	}
	b.source.snapshot = parse(t, class+app("a")+app("b")+endpoints("a", two))
	b.holdUntil = time.Time{}
	b.changes.notify(everything())
	b.changes.notify(service("a"))
	b.step()
	if u := b.seen(); !slices.ContainsFunc(u, func(u Update) bool { return u.Err != nil }) {
		t.Fatal("the table was made")
	}
	if _, name := b.get(t, "a.example"); name != "two" {
		t.Errorf("backend %q, want two", name)
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
