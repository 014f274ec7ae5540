package explain_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/k8s/manifest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fixtureTime is when fixtures are looked at.
var fixtureTime = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

var apiVersions = map[string]string{
	"Ingress": "networking.k8s.io/v1", "IngressClass": "networking.k8s.io/v1", "NetworkPolicy": "networking.k8s.io/v1",
	"EndpointSlice": "discovery.k8s.io/v1",
}

// TestFixtures asks about broken clusters. A case has objects, which come before those of
// prelude.yaml; without, names of objects of the prelude that are not there; ask, a URL and
// flags as the command takes them.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d fixtures: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			g := k8stest.ReadGolden(t, file)
			ask, _ := g.Section("ask")
			q, o, c := question(t, strings.Fields(string(ask)))
			objects, _ := g.Section("objects.yaml")
			without, _ := g.Section("without")
			s, problems := fixture(t, objects, strings.Split(strings.TrimSpace(string(without)), "\n"))
			state, done := explain.Offline(s, o, problems)
			defer done()
			state.Controller = c
			e := explain.New(state).Explain(q)
			checkShape(t, e)
			g.Check(t, "want", shown(e), *update)
			g.Close(t)
		})
	}
}

func fixture(t testing.TB, objects []byte, without []string) (*ingress.Snapshot, []ingress.Problem) {
	t.Helper()
	prelude, err := os.ReadFile("testdata/prelude.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kept []byte
	for _, doc := range bytes.Split(slices.Concat(objects, []byte("\n---\n"), prelude), []byte("\n---\n")) {
		id := identity(string(doc))
		if id == "" || slices.Contains(without, id) {
			continue
		}
		kind, _, _ := strings.Cut(id, " ")
		version := apiVersions[kind]
		if version == "" {
			version = "v1"
		}
		kept = append(append(kept, "\n---\napiVersion: "+version+"\n"...), doc...)
	}
	file := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	var problems []ingress.Problem
	for _, p := range m.Problems() {
		switch p.Reason {
		case manifest.DuplicateObject:
		default:
			if p.Object.Kind != "Ingress" {
				t.Fatalf("line %d: %v %v", p.Line, p.Object, p.Err)
			}
			problems = append(problems, p.Problem)
		}
	}
	s := m.Snapshot()
	for _, secret := range s.Secrets {
		spec, ok := secret.Data["certificate"]
		if !ok {
			continue
		}
		crt, key, err := k8stest.KeyPair(string(spec))
		if err != nil {
			t.Fatal(err)
		}
		secret.Data = map[string][]byte{corev1.TLSCertKey: crt, corev1.TLSPrivateKeyKey: key}
	}
	return s, problems
}

// identity reads "Kind namespace/name" of a document that is written as those here are; "" of
// one without objects.
func identity(doc string) string {
	field := func(text, name string) string {
		_, rest, _ := strings.Cut(text, name+": ")
		return rest[:strings.IndexAny(rest+"\n", ",}\n")]
	}
	kind := field(doc, "kind")
	if kind == "" {
		return ""
	}
	_, meta, _ := strings.Cut(doc, "metadata: ")
	meta, _, _ = strings.Cut(meta, "\n")
	if ns := field(meta, "namespace"); ns != "" {
		return kind + " " + ns + "/" + field(meta, "name")
	}
	return kind + " " + field(strings.Replace(meta, "namespace", "", 1), "name")
}

func question(t testing.TB, words []string) (explain.Question, ingress.Options, explain.Controller) {
	t.Helper()
	u, err := explain.ParseURL(words[0])
	if err != nil {
		t.Fatal(err)
	}
	q := explain.Question{URL: u, Header: make(http.Header)}
	o := ingress.Options{Now: func() time.Time { return fixtureTime }}
	var c explain.Controller
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "method":
			q.Method = value
		case "header":
			k, v, _ := strings.Cut(value, ":")
			q.Header.Set(k, v)
		case "answer":
			q.Answer = &explain.Answer{Addresses: []netip.Addr{netip.MustParseAddr(value)}}
		case "no-answer":
			q.Answer = &explain.Answer{Err: fmt.Errorf("no such host"), Silent: value == "silent"}
		case "client":
			q.ClientIP = netip.MustParseAddr(value)
		case "probe":
			fault, target, _ := strings.Cut(value, ",")
			a := explain.Attempt{Target: target, Status: 200}
			switch fault {
			case "ok":
			case "large":
				a.LargeLost = true
			case "vip":
				a.ClusterIP, a.Fault, a.Err = true, "ConnectTimeout", fmt.Errorf("timed out")
			default:
				a.Fault, a.Err = explain.Reason(fault), fmt.Errorf("an error")
			}
			q.Probes = append(q.Probes, a)
		case "passthrough":
			o.Passthrough = true
		case "local":
			q.Local = append(q.Local, netip.MustParsePrefix(value))
		case "acme":
			o.ACMENamespace = value
		case "inside":
			q.Inside = true
		case "front", "nodeport":
			fault, address, _ := strings.Cut(value, ",")
			a := explain.FrontAttempt{Front: explain.Front{Address: address, NodePort: name == "nodeport"}, Tried: true}
			if fault != "ok" {
				a.Fault, a.Err = explain.Reason(fault), fmt.Errorf("an error")
			}
			q.Fronts = append(q.Fronts, a)
		case "lookup":
			said, server, _ := strings.Cut(value, ",")
			l := explain.Lookup{Server: server, ClusterIP: strings.HasPrefix(server, "10.96."), Found: said == "found", Silent: said == "silent"}
			if !l.Found {
				l.Err = fmt.Errorf("an error")
			}
			q.Lookups = append(q.Lookups, l)
		case "disable-external-name":
			o.DisableExternalName = true
		case "controller-namespace":
			c.Namespace = value
		default:
			t.Fatalf("ask: unknown word %q", word)
		}
	}
	return q, o, c
}

// shown is what a case wants: the verdict, and every step that is not well.
func shown(e *explain.Explanation) string {
	var b strings.Builder
	status, first := "-", "-"
	if e.Status != nil {
		status = fmt.Sprint(*e.Status)
	}
	if e.FirstBroken != nil {
		first = *e.FirstBroken
	}
	fmt.Fprintf(&b, "verdict %s, status %s, first broken %s\n", e.Verdict, status, first)
	if e.Route != nil {
		fmt.Fprintf(&b, "route %s\n", e.Route.Ingress)
	}
	for _, s := range e.Steps {
		// Of a backend that is well, only what chooses among several is of interest.
		chosen := s.Name == explain.Backend && strings.ContainsAny(s.Detail, ",;")
		if (s.Verdict == explain.OK || s.Verdict == explain.Skipped) && !chosen {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s\n  %s\n  > %s\n  @ %s\n", s.Name, s.Verdict, s.Reason, s.Detail, s.Remedy, strings.Join(s.Objects, ", "))
	}
	return b.String()
}

// checkShape checks what holds for every Explanation.
func checkShape(t testing.TB, e *explain.Explanation) {
	t.Helper()
	known := make(map[explain.Reason]bool)
	for _, d := range explain.Reasons() {
		known[d.Reason] = true
	}
	names := explain.StepNames()
	first := ""
	if len(e.Steps) != len(names) {
		t.Fatalf("%d steps", len(e.Steps))
	}
	for i, s := range e.Steps {
		if s.Name != names[i] || s.Objects == nil || s.Detail == "" || !known[s.Reason] {
			t.Errorf("step %d: %+v (reason known: %v)", i, s, known[s.Reason])
		}
		if s.Verdict != explain.Broken {
			continue
		}
		if first == "" {
			first = s.Name
		}
		command := s.Remedy[strings.LastIndex(s.Remedy, ": ")+2:]
		if !strings.HasPrefix(command, "kubectl ") && !strings.Contains(s.Remedy, ": kubectl ") {
			t.Errorf("%s: remedy %q does not end with a command", s.Name, s.Remedy)
		}
	}
	got := ""
	if e.FirstBroken != nil {
		got = *e.FirstBroken
	}
	if got != first || (first != "") != (e.Verdict == explain.Broken) {
		t.Errorf("first broken is %q, verdict %s, want %q", got, e.Verdict, first)
	}
}
