package k8s

import (
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// fleet is how many Ingresses the benchmarks serve, each with four paths, a Service and an
// EndpointSlice.
const fleet = 10_000

// fleetCluster is a Cluster that has read the fleet, though there is no API server.
func fleetCluster(b *testing.B) (*Cluster, *ingress.Snapshot) {
	b.Helper()
	s, err := k8stest.Fleet(fleet)
	if err != nil {
		b.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "127.0.0.1:1"})
	if err != nil {
		b.Fatal(err)
	}
	c := NewCluster(ClusterOptions{Client: client})
	c.notify = func(types.NamespacedName) {}
	c.named.ctx, c.ownConfigMaps.ctx = b.Context(), b.Context()
	c.ownConfigMaps.start()
	replace(b, c.classes, s.Classes)
	replace(b, c.services[0], values(s.Services))
	replace(b, c.tls, values(s.Secrets))
	var slices []*discoveryv1.EndpointSlice
	for _, list := range s.Slices {
		slices = append(slices, list...)
	}
	replace(b, c.slices[0], slices)
	replace(b, c.ingresses, s.Ingresses)
	if c.Snapshot() == nil {
		b.Fatal("not loaded")
	}
	return c, s
}

func replace[T object](b *testing.B, m *mirror[T], objects []T) {
	b.Helper()
	list := make([]any, len(objects))
	for i, o := range objects {
		list[i] = o
	}
	if err := m.Replace(list, "1"); err != nil {
		b.Fatal(err)
	}
}

func values[K comparable, V any](m map[K]V) []V {
	var list []V
	for _, v := range m {
		list = append(list, v)
	}
	return list
}

func BenchmarkSnapshot(b *testing.B) {
	c, s := fleetCluster(b)
	stales := map[string]stale{
		"ingresses": {ingresses: true}, "services": {services: true}, "slices": {slices: true}, "secrets": {secrets: true},
	}
	for name, part := range stales {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.stale = part
				c.Snapshot()
			}
		})
	}
	name := types.NamespacedName{Namespace: s.Ingresses[0].Namespace, Name: s.Ingresses[0].Name}
	b.Run("service", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Service(name)
		}
	})
}

// BenchmarkUpdate is one change among the fleet, from the mirror to the live table.
func BenchmarkUpdate(b *testing.B) {
	pools := upstream.NewRegistry(upstream.Options{})
	b.Cleanup(pools.Close)
	source, s := fleetCluster(b)
	c := &Controller{
		Source: source, Translator: ingress.NewTranslator(ingress.Options{}), Proxy: proxy.New(pools), Pools: pools, Certs: new(certs.Store),
		OnUpdate: func(u Update) {
			if u.Err != nil {
				b.Fatal(u.Err)
			}
		},
	}
	c.begin()
	source.notify = c.changes.notify
	step := func() {
		c.holdUntil = c.holdUntil.Add(-c.HoldOff * 1e6)
		c.step()
	}
	c.changes.notify(types.NamespacedName{})
	step()
	if !c.Ready() {
		b.Fatal("not ready")
	}

	b.Run("ingress", func(b *testing.B) {
		b.ReportAllocs()
		host := s.Ingresses[0].Spec.Rules[0].Host
		for i := 0; b.Loop(); i++ {
			ing := s.Ingresses[0].DeepCopy()
			ing.Spec.Rules[0].Host = []string{"x." + host, host}[i%2]
			_ = source.ingresses.Update(ing)
			step()
		}
	})
	b.Run("endpoints", func(b *testing.B) {
		b.ReportAllocs()
		name := types.NamespacedName{Namespace: s.Ingresses[0].Namespace, Name: s.Ingresses[0].Name}
		for i := 0; b.Loop(); i++ {
			slice := s.Slices[name][0].DeepCopy()
			slice.Endpoints[0].Addresses[0] = []string{"10.1.1.1", "10.1.1.2"}[i%2]
			_ = source.slices[0].Update(slice)
			step()
		}
	})
	b.Run("no change", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ing := s.Ingresses[1].DeepCopy()
			ing.ResourceVersion += "0"
			_ = source.ingresses.Update(ing)
			step()
		}
	})
	b.Run("service", func(b *testing.B) {
		b.ReportAllocs()
		name := types.NamespacedName{Namespace: s.Ingresses[2].Namespace, Name: s.Ingresses[2].Name}
		for i := 0; b.Loop(); i++ {
			svc := s.Services[name].DeepCopy()
			svc.Spec.Ports[0].Name = []string{"a", "b"}[i%2]
			_ = source.services[0].Update(svc)
			step()
		}
	})
}

// BenchmarkReport is what Status and Events look through after a change.
func BenchmarkReport(b *testing.B) {
	source, s := fleetCluster(b)
	u := &Update{Snapshot: source.Snapshot(), Owned: s.Ingresses}
	a := Addresses{Fixed: []string{"192.0.2.10"}}
	b.Run("status", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w := want(a, u)
			source.statuses.each(func(name types.NamespacedName, live liveStatus) { w.differs(name, live) })
		}
	})
}
