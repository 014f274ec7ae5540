package k8s

import (
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
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

	b.Run("host", func(b *testing.B) { // moves to another
		measured(b)
		host := s.Ingresses[0].Spec.Rules[0].Host
		for i := 0; b.Loop(); i++ {
			ing := s.Ingresses[0].DeepCopy()
			ing.Spec.Rules[0].Host = []string{"x." + host, host}[i%2]
			_ = source.ingresses.Update(ing)
			step()
		}
	})
	b.Run("path", func(b *testing.B) {
		measured(b)
		for i := 0; b.Loop(); i++ {
			ing := s.Ingresses[3].DeepCopy()
			ing.Spec.Rules[0].HTTP.Paths[1].Path = []string{"/x", "/api"}[i%2]
			_ = source.ingresses.Update(ing)
			step()
		}
	})
	b.Run("new and gone", func(b *testing.B) {
		measured(b)
		for i := 0; b.Loop(); i++ {
			ing := s.Ingresses[4].DeepCopy()
			ing.Name, ing.Spec.Rules[0].Host, ing.Spec.TLS = "new", "new.example", nil
			for j := range ing.Spec.Rules[0].HTTP.Paths {
				ing.Spec.Rules[0].HTTP.Paths[j].Backend.Service.Port.Number = 81
			}
			if i%2 == 0 {
				_ = source.ingresses.Update(ing)
			} else {
				_ = source.ingresses.Delete(ing)
			}
			step()
		}
	})
	b.Run("secret", func(b *testing.B) {
		measured(b)
		var secrets []*corev1.Secret
		name := types.NamespacedName{Namespace: s.Ingresses[5].Namespace, Name: "wildcard"}
		secrets = append(secrets, s.Secrets[name].DeepCopy(), s.Secrets[name].DeepCopy())
		crt, key, err := k8stest.KeyPair("dns=*." + name.Namespace + ".example")
		if err != nil {
			b.Fatal(err)
		}
		secrets[1].Data = map[string][]byte{corev1.TLSCertKey: crt, corev1.TLSPrivateKeyKey: key}
		for i := 0; b.Loop(); i++ {
			_ = source.tls.Update(secrets[(i+1)%2].DeepCopy())
			step()
		}
	})
	b.Run("endpoints", func(b *testing.B) {
		measured(b)
		name := types.NamespacedName{Namespace: s.Ingresses[0].Namespace, Name: s.Ingresses[0].Name}
		for i := 0; b.Loop(); i++ {
			slice := s.Slices[name][0].DeepCopy()
			slice.Endpoints[0].Addresses[0] = []string{"10.1.1.1", "10.1.1.2"}[i%2]
			_ = source.slices[0].Update(slice)
			step()
		}
	})
	b.Run("no change", func(b *testing.B) {
		measured(b)
		for b.Loop() {
			ing := s.Ingresses[1].DeepCopy()
			ing.ResourceVersion += "0"
			_ = source.ingresses.Update(ing)
			step()
		}
	})
	b.Run("service", func(b *testing.B) {
		measured(b)
		name := types.NamespacedName{Namespace: s.Ingresses[2].Namespace, Name: s.Ingresses[2].Name}
		for i := 0; b.Loop(); i++ {
			svc := s.Services[name].DeepCopy()
			svc.Spec.Ports[0].Name = []string{"a", "b"}[i%2]
			_ = source.services[0].Update(svc)
			step()
		}
	})
}

// measured reports allocations and, since machines are shared, the time of the processor too, that of
// the collector included.
func measured(b *testing.B) {
	b.Helper()
	b.ReportAllocs()
	begin := processorTime(b)
	b.Cleanup(func() {
		b.ReportMetric(float64(processorTime(b)-begin)/float64(b.N), "cpu-ns/op")
	})
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
