package ingress_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
)

// What public charts ask of ingress-nginx is served without a Problem that their authors would not
// want to see, each testdata/charts/*.yaml in the ingress-nginx profile. Annotations that may be
// left out stand in testdata/charts/left-out.txt with the reason; of anything else, and of any
// rule that would not serve, there must be none.
func TestCharts(t *testing.T) {
	files, err := filepath.Glob("testdata/charts/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d charts, %v; want 60 at least", len(files), err)
	}
	mayBeLeftOut := leftOut(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := k8stest.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			s.Classes = []*netv1.IngressClass{{
				ObjectMeta: metav1.ObjectMeta{Name: "nginx"},
				Spec:       netv1.IngressClassSpec{Controller: ingress.NginxController},
			}}
			for _, ing := range s.Ingresses {
				at := types.NamespacedName{Namespace: ing.Namespace, Name: "basic-auth"}
				s.Secrets[at] = &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name},
					Data:       map[string][]byte{"auth": []byte("ann:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")},
				}
			}
			r := ingress.NewTranslator(ingress.Options{IngressClass: "nginx"}).Translate(s)
			if len(r.Owned) != len(s.Ingresses) {
				t.Errorf("%d of %d Ingresses are ours", len(r.Owned), len(s.Ingresses))
			}
			for _, p := range r.Problems {
				switch p.Reason {
				case ingress.ServiceNotFound, ingress.SecretNotFound:
					continue // the charts' other objects are not here
				}
				if !(p.Reason == ingress.AnnotationUnsupported || p.Reason == ingress.AnnotationNoEffect) || !mayBeLeftOut[annotationOf(p.Field)] {
					t.Errorf("%s: %s: %v", p.Reason, p.Field, p.Err)
				}
			}
			for _, rule := range r.Config.Rules() {
				if rule.Answer != (proxy.Answer{}) && rule.Answer.Reason != "no-path-rule" {
					t.Errorf("%s %s answers %d %s", rule.Host, rule.Path, rule.Answer.Status, rule.Answer.Reason)
				}
			}
			if _, conflicts := buildTable(r.Config); len(conflicts) > 0 {
				t.Errorf("conflicts: %v", conflicts)
			}
		})
	}
}

// annotationOf is the key in a field such as metadata.annotations[nginx.ingress.kubernetes.io/x].
func annotationOf(field string) string {
	_, key, _ := strings.Cut(strings.TrimSuffix(field, "]"), "/")
	return key
}

// leftOut reads lines of a key and a reason.
func leftOut(t *testing.T) map[string]bool {
	f, err := os.Open("testdata/charts/left-out.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	keys := make(map[string]bool)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, why, ok := strings.Cut(lines.Text(), ": ")
		if !ok || why == "" {
			t.Fatal(fmt.Errorf("left-out.txt: want KEY: REASON, got %q", lines.Text()))
		}
		keys[key] = true
	}
	return keys
}
