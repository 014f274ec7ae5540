package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
)

const explainObjects = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: fairlead}
spec: {controller: fairlead.dev/ingress-controller}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: fairlead
  rules:
  - host: a.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: gone, port: {number: 80}}}}
`

// The JSON has every key of the contract, and all steps in order.
func TestExplainJSON(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(explainObjects), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	root := rootCommand()
	root.SetOut(&out)
	root.SetArgs([]string{"explain", "--manifests", dir, "-o", "json", "https://a.example/x"})
	if err := root.Execute(); err != errSilent { //nolint:errorlint // it is returned as it is
		t.Fatal(err)
	}
	var e map[string]json.RawMessage
	if err := json.Unmarshal(out.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"url", "verdict", "status", "route", "steps", "firstBroken"} {
		if _, ok := e[key]; !ok {
			t.Errorf("no %s in %s", key, out.Bytes())
		}
	}
	var steps []map[string]any
	if err := json.Unmarshal(e["steps"], &steps); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range steps {
		names = append(names, s["name"].(string))
		for _, key := range []string{"name", "verdict", "reason", "objects", "detail", "remedy"} {
			if _, ok := s[key]; !ok || s[key] == nil {
				t.Errorf("step %v has no %s", s["name"], key)
			}
		}
	}
	if !slices.Equal(names, explain.StepNames()) {
		t.Errorf("steps %q", names)
	}
	if string(e["status"]) != "503" || string(e["firstBroken"]) != `"tls"` {
		t.Errorf("status %s, first broken %s", e["status"], e["firstBroken"])
	}
}

// BenchmarkExplain is what /debug/explain costs with 10,000 Ingresses, the index of them
// included.
func BenchmarkExplain(b *testing.B) {
	s, err := k8stest.Fleet(10_000)
	if err != nil {
		b.Fatal(err)
	}
	state, done := explain.Offline(s, ingress.Options{}, nil)
	defer done()
	q, err := (&asking{method: "GET"}).question("https://app-5000.team-50.example/api/x")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if e := explain.New(state).Explain(q); e.Verdict != explain.Served {
			b.Fatalf("%+v", e)
		}
	}
}

// A running instance answers for what it serves, and before it serves anything not at all.
func TestExplainOfAnInstance(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(explainObjects), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{manifests: dir, httpAddress: "127.0.0.1:0", adminAddress: "127.0.0.1:0", accessLog: "off", logLevel: "error", electionTTL: 15 * time.Second}
	settings, err := o.check()
	if err != nil {
		t.Fatal(err)
	}
	in, err := newInstance(settings, zap.NewNop(), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		in.serveExplain(w, httptest.NewRequest("GET", "/debug/explain?"+query, nil))
		return w
	}
	if w := ask("url=http://a.example/"); w.Code != 503 {
		t.Errorf("before the first table: %d %s", w.Code, w.Body)
	}
	ended := make(chan error, 1)
	go func() { ended <- in.run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-in.firstTable:
	case <-time.After(20 * time.Second):
		t.Fatal("no table in time")
	}
	if w := ask("url="); w.Code != 400 {
		t.Errorf("without a URL: %d %s", w.Code, w.Body)
	}
	w := ask("url=http://a.example/")
	var e explain.Explanation
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if e.FirstBroken == nil || *e.FirstBroken != explain.Service || e.Route == nil || e.Route.Ingress != "default/web" {
		t.Errorf("%s", w.Body)
	}
}
