package ingress_test

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// text is a Result as the goldens show it: two Results with one text mean the same.
func text(r *ingress.Result) string {
	table, conflicts := buildTable(r.Config)
	var owned []string
	for _, ing := range r.Owned {
		owned = append(owned, ing.Namespace+"/"+ing.Name)
	}
	return strings.Join([]string{
		table.String(),
		resolutionsText(r.Resolutions),
		certsText(r.Certificates, r.DefaultCertificate),
		problemsText(append(slices.Clone(r.Problems), ingress.ConflictProblems(conflicts)...)),
		strings.Join(owned, " "),
		r.Until.String(),
	}, "--\n")
}

// goldenSnapshots are the objects of all goldens, one Snapshot each.
func goldenSnapshots(t testing.TB) []*ingress.Snapshot {
	t.Helper()
	prelude, err := os.ReadFile("testdata/prelude.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var snapshots []*ingress.Snapshot
	for _, file := range files {
		objects, _ := k8stest.ReadGolden(t, file).Section("objects.yaml")
		s, err := k8stest.Parse(slices.Concat(prelude, []byte("\n---\n"), objects))
		if err != nil {
			t.Fatal(err)
		}
		snapshots = append(snapshots, s)
	}
	return snapshots
}

func parse(t testing.TB, objects string) *ingress.Snapshot {
	t.Helper()
	s, err := k8stest.Parse([]byte(objects))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// some returns a Snapshot with each object of s with probability p, in a random order.
func some(r *rand.Rand, s *ingress.Snapshot, p float64) *ingress.Snapshot {
	part := &ingress.Snapshot{
		Services:       make(map[types.NamespacedName]*corev1.Service),
		Slices:         make(map[types.NamespacedName][]*discoveryv1.EndpointSlice),
		Secrets:        make(map[types.NamespacedName]*corev1.Secret),
		ConfigMaps:     make(map[types.NamespacedName]*corev1.ConfigMap),
		LocalEndpoints: r.IntN(2) == 0,
	}
	part.Ingresses = someOf(r, s.Ingresses, p)
	part.Classes = someOf(r, s.Classes, p)
	for name, service := range s.Services {
		if r.Float64() < p {
			part.Services[name] = service
		}
	}
	for name, list := range s.Slices {
		part.Slices[name] = someOf(r, list, p)
	}
	for name, m := range s.ConfigMaps {
		if r.Float64() < p {
			part.ConfigMaps[name] = m.DeepCopy()
			part.ConfigMaps[name].UID = types.UID(strconv.Itoa(r.IntN(2)))
		}
	}
	for name, secret := range s.Secrets {
		if r.Float64() < p {
			part.Secrets[name] = secret
		}
	}
	return part
}

func someOf[T any](r *rand.Rand, list []T, p float64) []T {
	var part []T
	for _, x := range list {
		if r.Float64() < p {
			part = append(part, x)
		}
	}
	r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	return part
}

// A Translator that has seen other Snapshots, at other times and in any order, says the same
// as a new one. As a Source does, each Snapshot takes some parts of the last one as they are.
func TestResultDependsOnSnapshotAlone(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	snapshots := goldenSnapshots(t)
	fleet, err := k8stest.Fleet(60)
	if err != nil {
		t.Fatal(err)
	}
	snapshots = append(snapshots, fleet, fleet, fleet, fleet, fleet)
	now := goldenTime
	o := ingress.Options{
		DefaultBackend:     upstream.Key{Namespace: "shop", Service: "web"},
		DefaultCertificate: types.NamespacedName{Namespace: "shop", Name: "tls"},
		ConfigMap:          types.NamespacedName{Namespace: "fairlead", Name: "settings"},
		Now:                func() time.Time { return now },
	}
	used := ingress.NewTranslator(o)
	part, base := &ingress.Snapshot{}, snapshots[0]
	for range 5000 {
		if random.IntN(5) == 0 {
			base = snapshots[random.IntN(len(snapshots))]
		}
		last := part
		part = some(random, base, 0.9)
		for _, keep := range []func(){
			func() { part.Ingresses = last.Ingresses },
			func() { part.Classes = last.Classes },
			func() { part.Services = last.Services },
			func() { part.Slices = last.Slices },
			func() { part.Secrets = last.Secrets },
			func() { part.ConfigMaps = last.ConfigMaps },
			func() { part.LocalEndpoints = last.LocalEndpoints },
		} {
			if random.IntN(2) == 0 {
				keep()
			}
		}
		if random.IntN(4) == 0 { // endpoints that change before the rest does
			ahead := some(random, base, 0.9)
			for name := range ahead.Services {
				used.Resolve(ahead, upstream.Key{Namespace: name.Namespace, Service: name.Name, Port: "80"})
			}
		}
		now = goldenTime.AddDate(0, 0, random.IntN(40)-20)
		got, want := used.Translate(part), ingress.NewTranslator(o).Translate(part)
		if d := cmp.Diff(text(want), text(got)); d != "" {
			t.Fatalf("- new translator, + used one:\n%s", d)
		}
		if !reflect.DeepEqual(got.Config, want.Config) {
			t.Fatalf("rules differ:\n%v", cmp.Diff(want.Config, got.Config, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })))
		}
		for i, p := range want.Problems {
			if q := got.Problems[i]; p.Object != q.Object {
				t.Fatalf("the Problem %v is of %+v, want %+v", p, q.Object, p.Object)
			}
		}
		for key, resolution := range want.Resolutions.All() {
			a, problems := used.Resolve(part, key)
			if !reflect.DeepEqual(a, resolution) {
				t.Fatalf("Resolve(%s) = %v, in the Result it is %v", key, a, resolution)
			}
			for _, p := range problems {
				if !slices.ContainsFunc(want.Problems, func(q ingress.Problem) bool { return p.Compare(q) == 0 }) {
					t.Fatalf("Resolve(%s) has the Problem %v, the Result does not", key, p)
				}
			}
		}
	}
}

// The order of the objects has no meaning.
func TestResultDoesNotDependOnOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	o := ingress.Options{Now: func() time.Time { return goldenTime }}
	for _, s := range goldenSnapshots(t) {
		first := ingress.NewTranslator(o).Translate(s)
		for range 10 {
			shuffled := some(random, s, 2)
			shuffled.LocalEndpoints = s.LocalEndpoints
			again := ingress.NewTranslator(o).Translate(shuffled)
			if d := cmp.Diff(text(first), text(again)); d != "" {
				t.Fatalf("- one order, + another:\n%s", d)
			}
			if !reflect.DeepEqual(first.Config, again.Config) {
				t.Fatal("rules come in another order")
			}
		}
	}
}

// Services, EndpointSlices and Secrets never change what is compiled to a table.
func TestConfigDependsOnIngressesAlone(t *testing.T) {
	for _, s := range goldenSnapshots(t) {
		whole := ingress.NewTranslator(ingress.Options{}).Translate(s)
		bare := ingress.NewTranslator(ingress.Options{}).Translate(&ingress.Snapshot{Ingresses: s.Ingresses, Classes: s.Classes})
		if d := cmp.Diff(whole.Config, bare.Config, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
			t.Fatalf("- with the other objects, + without:\n%s", d)
		}
	}
}

const twoIngresses = `
kind: IngressClass
metadata: {name: fairlead}
spec: {controller: fairlead.dev/ingress-controller}
---
kind: Service
metadata: {namespace: shop, name: web}
spec: {ports: [{port: 80}]}
---
kind: EndpointSlice
metadata: {namespace: shop, name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
---
kind: Secret
metadata: {namespace: shop, name: tls}
type: kubernetes.io/tls
stringData: {certificate: "dns=a.example,b.example"}
---
kind: Ingress
metadata: {namespace: shop, name: a}
spec:
  ingressClassName: fairlead
  tls: [{hosts: [a.example], secretName: tls}]
  rules: [{host: a.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
---
kind: Ingress
metadata: {namespace: shop, name: b}
spec:
  ingressClassName: fairlead
  rules: [{host: b.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: absent, port: {number: 80}}}}]}}]
`

// What was made of an object is kept while its pointer stays, and made anew when it is another.
func TestUnchangedObjectsAreKept(t *testing.T) {
	s := parse(t, twoIngresses)
	slices.SortFunc(s.Ingresses, func(a, b *netv1.Ingress) int { return strings.Compare(a.Name, b.Name) })
	tr := ingress.NewTranslator(ingress.Options{Now: func() time.Time { return goldenTime }})
	web := upstream.Key{Namespace: "shop", Service: "web", Port: "80"}
	first := tr.Translate(s)

	changed := *s
	edited := s.Ingresses[1].DeepCopy()
	edited.Spec.Rules[0].HTTP.Paths[0].Path = "/new"
	changed.Ingresses = []*netv1.Ingress{edited, s.Ingresses[0]}
	second := tr.Translate(&changed)
	if first.Config.Rules()[0] != second.Config.Rules()[0] {
		t.Error("the rule of an unchanged Ingress is another")
	}
	if first.Config.Rules()[1] == second.Config.Rules()[1] || second.Config.Rules()[1].Path != "/new" {
		t.Errorf("the rule of a changed Ingress is %+v", second.Config.Rules()[1])
	}
	before, _ := first.Resolutions.Get(web)
	if now, _ := second.Resolutions.Get(web); &before.Addresses[0] != &now.Addresses[0] {
		t.Error("an unchanged Service was resolved again")
	}
	if first.Certificates[0].Certificates[0] != second.Certificates[0].Certificates[0] {
		t.Error("an unchanged Secret was read again")
	}

	// A Secret that was written again with the same content is the same certificate.
	tls := types.NamespacedName{Namespace: "shop", Name: "tls"}
	changed.Secrets = map[types.NamespacedName]*corev1.Secret{tls: s.Secrets[tls].DeepCopy()}
	third := tr.Translate(&changed)
	if third.Certificates[0].Certificates[0] != first.Certificates[0].Certificates[0] {
		t.Error("the same certificate in a new Secret object is another")
	}

	web1 := types.NamespacedName{Namespace: "shop", Name: "web"}
	slice := s.Slices[web1][0].DeepCopy()
	slice.Endpoints[0].Addresses = []string{"10.0.0.9"}
	changed.Slices = map[types.NamespacedName][]*discoveryv1.EndpointSlice{web1: {slice}}
	want := upstream.Resolution{Addresses: []upstream.Address{{Host: "10.0.0.9", Port: 8080}}}
	if got, problems := tr.Resolve(&changed, web); !reflect.DeepEqual(got, want) || problems != nil {
		t.Errorf("Resolve after a change = %v, %v, want %v", got, problems, want)
	}
	if got, _ := tr.Translate(&changed).Resolutions.Get(web); !reflect.DeepEqual(got, want) {
		t.Errorf("Translate after a change resolves to %v, want %v", got, want)
	}
}

// The Problems of a backend are told of every Ingress that refers to it.
func TestResolveProblems(t *testing.T) {
	s := parse(t, twoIngresses)
	o := ingress.Options{DefaultBackend: upstream.Key{Namespace: "shop", Service: "absent", Port: "80"}}
	tr := ingress.NewTranslator(o)
	tr.Translate(s)
	_, problems := tr.Resolve(s, o.DefaultBackend)
	want := "error ServiceNotFound Ingress shop/b spec.rules[0].http.paths[0].backend.service: Service shop/absent not found\n" +
		"error ServiceNotFound Service shop/absent: Service shop/absent not found\n"
	if got := problemsText(problems); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	unknown, problems := tr.Resolve(s, upstream.Key{Namespace: "shop", Service: "other", Port: "80"})
	if unknown.Reason != "service-not-found" || len(problems) != 1 || problems[0].Object.Kind != "Service" {
		t.Errorf("a backend that nothing refers to: %v, %v", unknown, problems)
	}
}

// What no rule matches is behind what the ConfigMap says now.
func TestDefaultPoliciesAreOfTheConfigMap(t *testing.T) {
	s := parse(t, twoIngresses)
	name := types.NamespacedName{Namespace: "fairlead", Name: "settings"}
	tr := ingress.NewTranslator(ingress.Options{ConfigMap: name})
	if got := tr.Translate(s).Config.DefaultPolicies; got != nil {
		t.Errorf("without a ConfigMap: %+v", got)
	}
	changed := *s
	for value, want := range map[string]string{"192.0.2.0/24": "blocks", "192.0.2.0/99": "refuses"} {
		changed.ConfigMaps = map[types.NamespacedName]*corev1.ConfigMap{name: {Data: map[string]string{"block-cidrs": value}}}
		got := tr.Translate(&changed).Config.DefaultPolicies
		if got == nil || (got.Blocking != nil) != (want == "blocks") || (len(got.Refused) > 0) != (want == "refuses") {
			t.Errorf("block-cidrs: %s: %+v, want a Set that %s", value, got, want)
		}
	}
	nginx := ingress.NewTranslator(ingress.Options{ControllerClasses: []string{ingress.NginxController}})
	if got := nginx.Translate(s).Config.DefaultPolicies; got == nil || !got.FieldNames.Underscores {
		t.Errorf("as ingress-nginx alone: %+v, want fields dropped for their names", got)
	}
}

// A class that appears, changes or goes takes its Ingresses with it (K02, K10, K12).
func TestClassChanges(t *testing.T) {
	s := parse(t, twoIngresses)
	tr := ingress.NewTranslator(ingress.Options{})
	foreign := s.Classes[0].DeepCopy()
	foreign.Spec.Controller = "example.com/other"
	for i, step := range []struct {
		classes []*netv1.IngressClass
		served  int
		reason  ingress.Reason
	}{
		{nil, 0, ingress.ClassNotFound},
		{s.Classes, 2, ""},
		{[]*netv1.IngressClass{foreign}, 0, ""},
		{s.Classes, 2, ""},
	} {
		now := *s
		now.Classes = step.classes
		r := tr.Translate(&now)
		if len(r.Config.Rules()) != step.served || len(r.Owned) != step.served {
			t.Errorf("step %d: %d rules of %d Ingresses, want %d", i, len(r.Config.Rules()), len(r.Owned), step.served)
		}
		told := slices.ContainsFunc(r.Problems, func(p ingress.Problem) bool { return p.Reason == ingress.ClassNotFound })
		if told != (step.reason != "") {
			t.Errorf("step %d: problems are\n%s", i, problemsText(r.Problems))
		}
	}
}

// Certificates begin, near their end and end without any object changing; Until says when.
func TestUntil(t *testing.T) {
	s := parse(t, strings.Replace(twoIngresses, "dns=a.example", "not-before=2026-03-01 not-after=2026-05-01 dns=a.example", 1))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tr := ingress.NewTranslator(ingress.Options{Now: func() time.Time { return now }})
	var steps []string
	for {
		r := tr.Translate(s)
		state := now.Format(time.DateOnly)
		if len(r.Certificates[0].Certificates) > 0 {
			state += " served"
		}
		for _, p := range r.Problems {
			if p.Field == "spec.tls[0].secretName" {
				state += " " + string(p.Reason)
			}
		}
		steps = append(steps, state)
		if r.Until.IsZero() {
			break
		}
		if !r.Until.After(now) {
			t.Fatalf("at %v Until is %v", now, r.Until)
		}
		now = r.Until
	}
	want := []string{
		"2026-01-01 CertificateNotYetValid",
		"2026-03-01 served",
		"2026-04-21 served CertificateExpiring",
		"2026-05-01 CertificateExpired",
	}
	if d := cmp.Diff(want, steps); d != "" {
		t.Errorf("- want, + got:\n%s", d)
	}
}

// Whoever calls may recover from a panic, leave out what caused it and go on.
func TestTranslateAfterPanic(t *testing.T) {
	s := parse(t, twoIngresses)
	o := ingress.Options{Now: func() time.Time { return goldenTime }}
	tr := ingress.NewTranslator(o)
	tr.Translate(s)
	poisoned := *s
	poisoned.Ingresses = []*netv1.Ingress{s.Ingresses[0].DeepCopy(), nil}
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("nil is an Ingress")
			}
		}()
		tr.Translate(&poisoned)
	}()
	poisoned.Ingresses = poisoned.Ingresses[:1]
	if d := cmp.Diff(text(ingress.NewTranslator(o).Translate(&poisoned)), text(tr.Translate(&poisoned))); d != "" {
		t.Errorf("- new translator, + one that panicked:\n%s", d)
	}
}

// The zero value of Snapshot and Options is no trap.
func TestEmpty(t *testing.T) {
	r := ingress.NewTranslator(ingress.Options{}).Translate(&ingress.Snapshot{})
	if len(r.Config.Rules())+len(r.Certificates)+len(r.Problems)+r.Resolutions.Len()+len(r.Owned) != 0 || !r.Until.IsZero() {
		t.Errorf("an empty Snapshot means\n%s", text(r))
	}
}
