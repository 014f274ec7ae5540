package ingress_test

import (
	"maps"
	"slices"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

const fleetSize = 10_000

func fleet(b *testing.B) *ingress.Snapshot {
	s, err := k8stest.Fleet(fleetSize)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkTranslate is the cost of a Result at 10,000 Ingresses with 40,000 paths.
func BenchmarkTranslate(b *testing.B) {
	s := fleet(b)
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			check(b, ingress.NewTranslator(ingress.Options{}).Translate(s))
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		tr := ingress.NewTranslator(ingress.Options{})
		tr.Translate(s)
		b.ReportAllocs()
		for b.Loop() {
			check(b, tr.Translate(s))
		}
	})
	b.Run("one-ingress", func(b *testing.B) {
		tr := ingress.NewTranslator(ingress.Options{})
		tr.Translate(s)
		b.ReportAllocs()
		for b.Loop() {
			edited := *s
			edited.Ingresses = slices.Clone(s.Ingresses)
			edited.Ingresses[fleetSize/2] = s.Ingresses[fleetSize/2].DeepCopy()
			check(b, tr.Translate(&edited))
		}
	})
	b.Run("one-service", func(b *testing.B) {
		tr := ingress.NewTranslator(ingress.Options{})
		tr.Translate(s)
		name := types.NamespacedName{Namespace: "team-50", Name: "app-5000"}
		b.ReportAllocs()
		for b.Loop() {
			edited := *s
			edited.Services = maps.Clone(s.Services)
			edited.Services[name] = s.Services[name].DeepCopy()
			check(b, tr.Translate(&edited))
		}
	})
	b.Run("one-secret", func(b *testing.B) {
		tr := ingress.NewTranslator(ingress.Options{})
		tr.Translate(s)
		name := types.NamespacedName{Namespace: "team-50", Name: "wildcard"}
		b.ReportAllocs()
		for b.Loop() {
			edited := *s
			edited.Secrets = maps.Clone(s.Secrets)
			edited.Secrets[name] = s.Secrets[name].DeepCopy()
			check(b, tr.Translate(&edited))
		}
	})
	b.Run("one-slice", func(b *testing.B) {
		tr := ingress.NewTranslator(ingress.Options{})
		tr.Translate(s)
		key := upstream.Key{Namespace: "team-50", Service: "app-5000", Port: "80"}
		name := types.NamespacedName{Namespace: key.Namespace, Name: key.Service}
		b.ReportAllocs()
		for b.Loop() {
			s.Slices[name] = []*discoveryv1.EndpointSlice{s.Slices[name][0].DeepCopy()}
			if r, _ := tr.Resolve(s, key); len(r.Addresses) != 2 {
				b.Fatal(r)
			}
		}
	})
}

func check(b *testing.B, r *ingress.Result) {
	if len(r.Config.Rules()) != 4*fleetSize || r.Resolutions.Len() != fleetSize || len(r.Certificates) != fleetSize || len(r.Problems) > 0 {
		b.Fatalf("%d rules, %d backends, %d certificates, %d problems", len(r.Config.Rules()), r.Resolutions.Len(), len(r.Certificates), len(r.Problems))
	}
}
