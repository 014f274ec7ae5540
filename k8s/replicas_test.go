package k8s

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// pods is an EndpointSlice of the Service "lb" with Pods as its endpoints, each "NAME", or "-NAME"
// for one that is not ready.
func pods(slice, family string, names ...string) string {
	var list []string
	for i, name := range names {
		ready := !strings.HasPrefix(name, "-")
		address := fmt.Sprintf("10.0.0.%d", i+1)
		if family == "IPv6" {
			address = fmt.Sprintf("2001:db8::%d", i+1)
		}
		list = append(list, fmt.Sprintf("{addresses: ['%s'], conditions: {ready: %t}, targetRef: {kind: Pod, name: '%s'}}", address, ready, strings.TrimPrefix(name, "-")))
	}
	return fmt.Sprintf(`
kind: EndpointSlice
metadata: {name: %s, labels: {kubernetes.io/service-name: lb}}
addressType: %s
ports: [{name: "", port: 80}]
endpoints: [%s]
---
`, slice, family, strings.Join(list, ", "))
}

func TestCountReplicas(t *testing.T) {
	for _, test := range []struct {
		name, slices string
		want         int
	}{
		{"no EndpointSlices", "", 0},
		{"no endpoints", pods("a", "IPv4"), 0},
		{"this one", pods("a", "IPv4", "self"), 1},
		{"two", pods("a", "IPv4", "self", "x"), 2},
		{"both families", pods("a", "IPv4", "self", "x", "y") + pods("b", "IPv6", "self", "x", "y"), 3},
		{"several slices", pods("a", "IPv4", "x") + pods("b", "IPv4", "self", "y"), 3},
		{"another is not ready", pods("a", "IPv4", "self", "-x", "y"), 2},
		{"this one is not ready", pods("a", "IPv4", "-self", "x", "y"), 2},
		{"none is ready", pods("a", "IPv4", "-self", "-x"), 0},
		{"it leads elsewhere", pods("a", "IPv4", "x", "y"), 0},
		{"addresses without Pods", strings.ReplaceAll(pods("a", "IPv4", "self"), ", targetRef: {kind: Pod, name: 'self'}", ""), 0},
	} {
		s := parse(t, class+test.slices)
		if got := (Replicas{Service: service("lb"), Pod: "self"}).count(s); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
		if got := (Replicas{Pod: "self"}).count(s); got != 0 {
			t.Errorf("%s: %d without a Service, want 0", test.name, got)
		}
	}
}

// The Service that leads to us has no route, so nobody else looks at its endpoints.
func TestReplicasFollowSlices(t *testing.T) {
	b := newBench(t)
	b.Replicas = Replicas{Service: service("lb"), Pod: "self"}
	b.source.snapshot = parse(t, class+app("a")+pods("s", "IPv4", "self", "x"))
	b.start(t)
	counts := func(n int) func() bool { return func() bool { return b.Proxy.Replicas() == n } }
	eventually(t, "two from the start", counts(2))
	eventually(t, "ready", b.Ready)
	b.source.set(parse(t, class+app("a")+pods("s", "IPv4", "self", "x", "y")), service("lb"))
	eventually(t, "three", counts(3))
	b.source.set(parse(t, class+app("a")), service("lb"))
	eventually(t, "not known", counts(1))
	b.source.set(parse(t, class+app("a")+pods("s", "IPv4", "self", "x", "y", "z")), everything())
	eventually(t, "four, with another table", counts(4))
	if g := b.Proxy.Table().Generation(); g != 1 {
		t.Errorf("generation %d, want 1: replicas have no influence on the table", g)
	}
}

// The same, from an API server: what changes there reaches the Proxy.
func TestReplicasFollowCluster(t *testing.T) {
	a := newAPIServer(t)
	a.apply(t, class+app("a")+pods("s", "IPv4", "self", "-x"))
	b := newBench(t)
	b.Source = NewCluster(ClusterOptions{Client: a.client(t), PublishService: service("lb")})
	b.Replicas = Replicas{Service: service("lb"), Pod: "self"}
	b.start(t)
	eventually(t, "ready", b.Ready)
	for _, step := range []struct {
		slices string
		want   int
	}{
		{pods("s", "IPv4", "self", "x"), 2},
		{pods("s", "IPv4", "self", "x") + pods("s6", "IPv6", "self", "x", "y"), 3},
		{pods("s", "IPv4", "self") + pods("s6", "IPv6", "self"), 1},
	} {
		a.apply(t, step.slices)
		eventually(t, fmt.Sprintf("%d replicas", step.want), func() bool { return b.Proxy.Replicas() == step.want })
	}
}

// Three replicas of one cluster together keep to the bound that docs/limits.md states, whichever
// of them a client asks.
func TestReplicasShareALimit(t *testing.T) {
	const rate, replicas = 240, 3 // in a minute, 1 in a burst
	a := newAPIServer(t)
	one := proxytest.Start(t, backend("one"))
	a.apply(t, class+strings.Replace(app("a"), "metadata: {name: a}", "metadata: {name: a, annotations: {fairlead.dev/limit-rpm: '240', fairlead.dev/limit-burst-multiplier: '1'}}", 1)+
		pods("s", "IPv4", "r0", "r1", "r2"))
	var all []*bench
	for i := range replicas {
		b := newBench(t)
		b.Source = localSource{NewCluster(ClusterOptions{Client: a.client(t), PublishService: service("lb")})}
		b.Replicas = Replicas{Service: service("lb"), Pod: fmt.Sprintf("r%d", i)}
		b.start(t)
		eventually(t, "ready", b.Ready)
		all = append(all, b)
	}
	a.apply(t, endpoints("a", one))
	for _, b := range all {
		eventually(t, "endpoints", func() bool { return b.Proxy.Replicas() == replicas && len(b.Problems()) == 0 })
	}
	start, served := time.Now(), 0
	for refused := 0; refused < replicas; {
		refused = 0
		for _, b := range all {
			switch status, _ := b.get(t, "a.example"); status {
			case http.StatusOK:
				served++
			case http.StatusTooManyRequests:
				refused++
			default:
				t.Fatalf("status %d, want 200 or 429", status)
			}
		}
	}
	most := rate + replicas + int(time.Since(start).Minutes()*rate+1)
	if served < rate || served > most {
		t.Errorf("%d requests were served, want %d to %d", served, rate, most)
	}
}

// localSource allows the endpoints of a Cluster to be on this machine.
type localSource struct{ *Cluster }

func (s localSource) Snapshot() *ingress.Snapshot { return local(s.Cluster.Snapshot()) }

func (s localSource) Service(name types.NamespacedName) *ingress.Snapshot {
	return local(s.Cluster.Service(name))
}

func local(s *ingress.Snapshot) *ingress.Snapshot {
	if s == nil {
		return nil
	}
	t := *s
	t.LocalEndpoints = true
	return &t
}
