package k8s

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

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
	eventually(t, "the update of it", func() bool { return len(b.seen()) > 1 })
	last := b.seen()[1]
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
