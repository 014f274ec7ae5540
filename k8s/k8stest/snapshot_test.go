package k8stest_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
)

func TestParse(t *testing.T) {
	s, err := k8stest.Parse([]byte(`# a comment
---
kind: Ingress
metadata: {name: web, creationTimestamp: "2026-01-02T03:04:05Z"}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec: {clusterIP: 10.0.0.1}
---
kind: Service
metadata: {namespace: shop, name: web}
spec: {clusterIP: 10.0.0.2}
---
kind: EndpointSlice
metadata: {namespace: shop, name: web-1, labels: {kubernetes.io/service-name: web}}
---
kind: EndpointSlice
metadata: {namespace: shop, name: nobody}
---
kind: IngressClass
metadata: {name: fairlead}
---
kind: Secret
metadata: {namespace: shop, name: tls}
data: {old: b2xk}
stringData: {plain: text, certificate: "dns=a.example,b.example not-after=2027-01-01"}
`))
	if err != nil {
		t.Fatal(err)
	}
	web := types.NamespacedName{Namespace: "shop", Name: "web"}
	if len(s.Ingresses) != 1 || s.Ingresses[0].Namespace != "default" || !s.Ingresses[0].CreationTimestamp.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("Ingresses are %v", s.Ingresses)
	}
	if len(s.Classes) != 1 || s.Classes[0].Namespace != "" {
		t.Errorf("IngressClasses are %v", s.Classes)
	}
	if len(s.Services) != 1 || s.Services[web].Spec.ClusterIP != "10.0.0.2" {
		t.Errorf("Services are %v", s.Services)
	}
	if len(s.Slices) != 1 || len(s.Slices[web]) != 1 {
		t.Errorf("EndpointSlices are %v", s.Slices)
	}
	data := s.Secrets[types.NamespacedName{Namespace: "shop", Name: "tls"}].Data
	if string(data["old"]) != "old" || string(data["plain"]) != "text" || data["certificate"] != nil {
		t.Errorf("Secret has %v", data)
	}
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Leaf.VerifyHostname("b.example"); err != nil || pair.Leaf.NotAfter.Year() != 2027 {
		t.Errorf("certificate is for %v until %v", pair.Leaf.DNSNames, pair.Leaf.NotAfter)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"kind: Pod":                `document 1: kind "Pod" is not known here`,
		"kind: Ingress\nspce: {}":  `unknown field "spce"`,
		"a: b":                     "document 1: no kind",
		"kind: Ingress\n---\n{":    "document 2: ",
		"kind: Ingress\nspec: [1]": "document 1: ",
		"kind: Secret\nstringData: {certificate: colour=blue}":    `unknown word "colour=blue"`,
		"kind: Secret\nstringData: {certificate: not-after=soon}": `certificate "not-after=soon"`,
		"kind: Secret\nstringData: {certificate: key=dsa}":        `key is "dsa"`,
	} {
		if _, err := k8stest.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestKeyPairThatDoesNotMatch(t *testing.T) {
	crt, key, err := k8stest.KeyPair("dns=a.example key=other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(crt, key); err == nil {
		t.Error("the key belongs to the certificate")
	}
}

func TestGoldenUpdate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "case.txtar")
	if err := os.WriteFile(file, []byte("Why.\n-- in --\nx\n-- want.gone --\nold\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	g := k8stest.ReadGolden(t, file)
	g.Check(t, "want.new", "new\n", true)
	g.Check(t, "want.gone", "", true)
	g.Close(t)
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Why.\n-- in --\nx\n-- want.new --\nnew\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFleet(t *testing.T) {
	s, err := k8stest.Fleet(201)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Ingresses) != 201 || len(s.Services) != 201 || len(s.Slices) != 201 || len(s.Secrets) != 3 {
		t.Errorf("%d Ingresses, %d Services, %d with slices, %d Secrets", len(s.Ingresses), len(s.Services), len(s.Slices), len(s.Secrets))
	}
}
