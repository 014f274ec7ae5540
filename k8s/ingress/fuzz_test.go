package ingress_test

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// FuzzTranslate gives the translation objects that no API server would have accepted: it
// never panics, says the same twice, and keeps what the other packages rely on.
func FuzzTranslate(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		objects, _ := k8stest.ReadGolden(f, file).Section("objects.yaml")
		f.Add(append([]byte("kind: IngressClass\nmetadata: {name: fairlead}\nspec: {controller: fairlead.dev/ingress-controller}\n---\n"), objects...))
	}
	f.Fuzz(func(t *testing.T, objects []byte) {
		s, err := k8stest.Parse(objects)
		if err != nil {
			return
		}
		o := ingress.Options{WatchWithoutClass: true, Now: func() time.Time { return goldenTime }}
		tr := ingress.NewTranslator(o)
		r := tr.Translate(s)
		if again := text(tr.Translate(s)); again != text(r) || text(ingress.NewTranslator(o).Translate(s)) != text(r) {
			t.Fatal("the same Snapshot means two things")
		}
		checkRules(t, r)
		checkProblems(t, r.Problems)
		for key, resolution := range r.Resolutions {
			checkResolution(t, key, resolution)
		}
		for _, b := range r.Certificates {
			if (len(b.Certificates) == 0) == (b.Reason == "") || b.Source == "" || b.Host == "" {
				t.Errorf("binding %+v", b)
			}
		}
	})
}

func checkRules(t *testing.T, r *ingress.Result) {
	t.Helper()
	forwarded := make(map[upstream.Key]bool)
	for _, rule := range r.Config.Rules {
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
			forwarded[rule.Backend] = true
			if _, ok := r.Resolutions[rule.Backend]; !ok || rule.Backend.Service == "" || rule.Backend.Port == "" {
				t.Errorf("rule leads to %q, which is not resolved", rule.Backend)
			}
		}
	}
	for key := range r.Resolutions {
		if !forwarded[key] {
			t.Errorf("%s is resolved, and no rule leads there", key)
		}
	}
	// Whatever speaks of access must have failed closed, whoever parsed it.
	for _, ing := range r.Owned {
		for key := range ing.Annotations {
			if key != "nginx.ingress.kubernetes.io/auth-url" && key != "fairlead.dev/auth-url" {
				continue
			}
			for _, rule := range r.Config.Rules {
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
