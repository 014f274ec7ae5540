package ingress_test

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// FuzzTranslate gives the translation objects that no API server would have accepted: it
// never panics, says the same twice, and keeps what the other packages rely on. The objects
// are those of the text, damaged in a way that damage chooses; 0 leaves them as they are.
func FuzzTranslate(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		objects, _ := k8stest.ReadGolden(f, file).Section("objects.yaml")
		objects = append([]byte("kind: IngressClass\nmetadata: {name: fairlead}\nspec: {controller: fairlead.dev/ingress-controller}\n---\n"), objects...)
		for damage := range uint64(4) {
			f.Add(objects, damage)
		}
	}
	f.Fuzz(func(t *testing.T, objects []byte, damage uint64) {
		s, err := k8stest.Parse(objects)
		if err != nil {
			return
		}
		if damage != 0 {
			spoil(rand.New(rand.NewPCG(damage, 0)), s)
		}
		o := ingress.Options{WatchWithoutClass: true, Now: func() time.Time { return goldenTime }}
		tr := ingress.NewTranslator(o)
		r := tr.Translate(s)
		if again := text(tr.Translate(s)); again != text(r) || text(ingress.NewTranslator(o).Translate(s)) != text(r) {
			t.Fatal("the same Snapshot means two things")
		}
		checkRules(t, r)
		checkProblems(t, r.Problems)
		for key, resolution := range r.Resolutions.All() {
			checkResolution(t, key, resolution)
		}
		for _, b := range r.Certificates {
			if (len(b.Certificates) == 0) == (b.Reason == "") || b.Source == "" || b.Host == "" {
				t.Errorf("binding %+v", b)
			}
		}
	})
}

// spoil changes one value in eight of the objects of s, the same for the same r.
func spoil(r *rand.Rand, s *ingress.Snapshot) {
	slices.SortFunc(s.Ingresses, func(a, b *netv1.Ingress) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(s.Classes, func(a, b *netv1.IngressClass) int { return cmp.Compare(a.Name, b.Name) })
	for _, ing := range s.Ingresses {
		spoilValue(r, reflect.ValueOf(&ing.Spec).Elem())
		spoilValue(r, reflect.ValueOf(&ing.Annotations).Elem())
	}
	for _, class := range s.Classes {
		if r.IntN(4) == 0 {
			spoilValue(r, reflect.ValueOf(&class.Spec).Elem())
		}
	}
	for _, name := range names(s.Services) {
		spoilValue(r, reflect.ValueOf(&s.Services[name].Spec).Elem())
	}
	for _, name := range names(s.Slices) {
		slices.SortFunc(s.Slices[name], func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
		for _, slice := range s.Slices[name] {
			spoilValue(r, reflect.ValueOf(&slice.AddressType).Elem())
			spoilValue(r, reflect.ValueOf(&slice.Ports).Elem())
			spoilValue(r, reflect.ValueOf(&slice.Endpoints).Elem())
		}
	}
	for _, name := range names(s.Secrets) {
		spoilValue(r, reflect.ValueOf(&s.Secrets[name].Type).Elem())
		spoilValue(r, reflect.ValueOf(&s.Secrets[name].Data).Elem())
	}
}

func names[V any](m map[types.NamespacedName]V) []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(m), func(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) })
}

var spoiledStrings = []string{
	"", "*", "*.a.example", "A.EXAMPLE", "a.example", "a.example.", "127.0.0.1", "::1", "fe80::1%eth0", "10.0.0.1", "/", "//", "/a", "/%zz", "\x00", "\xff",
	"80", "-1", "0", "http", "web", "pay", "tls", "None", "ExternalName", "localhost", "ext.example", "kubernetes.io/tls", "UDP", "fairlead", "Exact", "true",
	strings.Repeat("a", 300), strings.Repeat("a.", 200),
}

func spoilValue(r *rand.Rand, v reflect.Value) {
	if r.IntN(8) == 0 {
		switch v.Kind() {
		case reflect.String:
			v.SetString(spoiledStrings[r.IntN(len(spoiledStrings))])
			return
		case reflect.Int32, reflect.Int64:
			v.SetInt([]int64{0, -1, 1, 80, 65535, 65536, 1<<31 - 1}[r.IntN(7)])
			return
		case reflect.Pointer:
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			} else {
				v.SetZero()
			}
			return
		case reflect.Slice:
			if v.Len() > 0 && r.IntN(2) == 0 {
				v.Set(reflect.AppendSlice(v, v)) // twice the same
			} else {
				v.SetZero()
			}
			return
		case reflect.Bool, reflect.Map:
			v.SetZero()
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				spoilValue(r, f)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			spoilValue(r, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoilValue(r, v.Index(i))
		}
	case reflect.Map:
		for _, key := range slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) }) {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			spoilValue(r, value)
			v.SetMapIndex(key, value)
		}
	}
}

func checkRules(t *testing.T, r *ingress.Result) {
	t.Helper()
	forwarded := make(map[upstream.Key]bool)
	for _, rule := range r.Config.Rules() {
		host := strings.TrimPrefix(rule.Host, "*.")
		if canonical, err := router.CanonicalHost(host); err != nil || canonical != host {
			t.Errorf("rule has host %q", rule.Host)
		}
		if rule.Policies != nil && len(rule.Policies.Refused) > 0 && rule.PathType != router.HostOnly && rule.Answer.Status != 503 {
			t.Errorf("a guarded rule is served: %+v", rule)
		}
		if rule.PathType <= router.ImplementationSpecific && !strings.HasPrefix(rule.Path, "/") {
			t.Errorf("rule has path %q", rule.Path)
		}
		if rule.Answer == (proxy.Answer{}) && rule.PathType != router.HostOnly {
			leads := []*upstream.Key{&rule.Backend, rule.Secure, rule.DefaultBackend, rule.ErrorBackend}
			if rule.Canary != nil {
				leads = append(leads, &rule.Canary.Backend, rule.Canary.Secure)
			}
			for _, key := range leads {
				if key != nil {
					forwarded[*key] = true
				}
			}
			if rule.Canary != nil {
				if rule.Canary.Origin.Namespace != rule.Origin.Namespace {
					t.Errorf("%s has a canary of another namespace: %s", rule.Origin, rule.Canary.Origin)
				}
			}
			if !r.Resolutions.Has(rule.Backend) || rule.Backend.Service == "" || rule.Backend.Port == "" {
				t.Errorf("rule leads to %q, which is not resolved", rule.Backend)
			}
		}
	}
	for key := range forwarded {
		if !r.Resolutions.Has(key) {
			t.Errorf("%+v is forwarded to and not resolved", key)
		}
	}
	for key := range r.Resolutions.All() {
		if !forwarded[key] {
			t.Errorf("%s is resolved, and no rule leads there", key.Target())
		}
	}
	// Whatever speaks of access must have failed closed, whoever parsed it.
	for _, ing := range r.Owned {
		for key := range ing.Annotations {
			if key != "nginx.ingress.kubernetes.io/auth-url" && key != "fairlead.dev/auth-url" {
				continue
			}
			for _, rule := range r.Config.Rules() {
				if rule.Origin.Namespace == ing.Namespace && rule.Origin.Name == ing.Name && rule.PathType != router.HostOnly && rule.Answer.Status != 503 {
					t.Errorf("%s/%s has %s and is served", ing.Namespace, ing.Name, key)
				}
			}
		}
	}
}

func checkProblems(t *testing.T, problems []ingress.Problem) {
	t.Helper()
	for i, p := range problems {
		if p.Object.Kind == "" || p.Err == nil || !slices.ContainsFunc(ingress.Reasons(), func(d ingress.ReasonDoc) bool {
			return d.Reason == p.Reason && d.Severity == p.Severity
		}) {
			t.Errorf("problem %+v", p)
		}
		if i > 0 && problems[i-1].Compare(p) >= 0 {
			t.Errorf("problems are not sorted, or twice the same: %v", p)
		}
	}
}

func checkResolution(t *testing.T, key upstream.Key, r upstream.Resolution) {
	t.Helper()
	if (len(r.Addresses) == 0) == (r.Reason == "") {
		t.Errorf("%s: reason is %q with %d addresses", key, r.Reason, len(r.Addresses))
	}
	for _, a := range r.Addresses {
		addr, err := netip.ParseAddr(a.Host)
		if a.Host == "" || a.Port == 0 || err == nil && (addr.Unmap().IsLoopback() || addr.Unmap().IsLinkLocalUnicast() || addr.IsUnspecified()) {
			t.Errorf("%s leads to %v", key, a)
		}
	}
}
