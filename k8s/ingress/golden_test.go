package ingress_test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenTime is when goldens are translated.
var goldenTime = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// goldenOptions is the section options.yaml of a golden.
type goldenOptions struct {
	ingress.Options
	LocalEndpoints bool
}

// TestGolden translates each testdata/*.txtar. Its text says the rule that it shows. The
// objects are those of objects.yaml and of testdata/prelude.yaml, those of the case first.
// The case may ask questions, lines of a host and a path, to see which route answers.
func TestGolden(t *testing.T) {
	prelude, err := os.ReadFile("testdata/prelude.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			g := k8stest.ReadGolden(t, file)
			objects, _ := g.Section("objects.yaml")
			s, err := k8stest.Parse(slices.Concat(prelude, []byte("\n---\n"), objects))
			if err != nil {
				t.Fatal(err)
			}
			var o goldenOptions
			if text, ok := g.Section("options.yaml"); ok {
				if err := yaml.UnmarshalStrict(text, &o); err != nil {
					t.Fatal(err)
				}
			}
			o.Options.Now = func() time.Time { return goldenTime }
			s.LocalEndpoints = o.LocalEndpoints

			r := ingress.NewTranslator(o.Options).Translate(s)
			table, conflicts := buildTable(r.Config)
			g.Check(t, "want.table", table.String(), *update)
			if questions, ok := g.Section("questions"); ok {
				g.Check(t, "want.answers", ask(t, table, questions), *update)
			}
			g.Check(t, "want.resolutions", resolutionsText(r.Resolutions), *update)
			g.Check(t, "want.certs", certsText(r.Certificates, r.DefaultCertificate), *update)
			if o.ACMENamespace != "" {
				g.Check(t, "want.issues", issuesText(r.Issues), *update)
			}
			g.Check(t, "want.problems", problemsText(append(r.Problems, ingress.ConflictProblems(conflicts)...)), *update)
			g.Close(t)
		})
	}
}

// buildTable compiles rules as package proxy does, without handlers.
func buildTable(c proxy.Config) (*router.Table, []router.Conflict) {
	var routes []*router.Route
	for _, r := range c.Rules() {
		routes = append(routes, &router.Route{Host: r.Host, Path: r.Path, PathType: r.PathType, Origin: r.Origin, Target: r.Target()})
	}
	return router.Build(routes)
}

func ask(t *testing.T, table *router.Table, questions []byte) string {
	var out strings.Builder
	for line := range bytes.Lines(questions) {
		fields := strings.Fields(string(line))
		if len(fields) == 1 {
			fields = []string{"", fields[0]}
		}
		host, err := router.CanonicalHost(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		path, err := router.CanonicalPath(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		route, outcome := table.Lookup(host, path.Match)
		answer := fmt.Sprint(outcome)
		if route != nil {
			answer = route.Target
		}
		fmt.Fprintf(&out, "%s %s -> %s\n", cmp.Or(fields[0], "-"), fields[1], answer)
	}
	return out.String()
}

func resolutionsText(resolutions upstream.Map[upstream.Resolution]) string {
	var lines []string
	for key, r := range resolutions.All() {
		line := key.Target()
		if len(r.Addresses) == 0 {
			line += " " + r.Reason
		} else {
			line += " " + r.Protocol.String()
		}
		for _, a := range r.Addresses {
			line += " " + net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
		}
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func certsText(bindings []certs.Binding, def *tls.Certificate) string {
	var lines []string
	for _, b := range bindings {
		line := b.Host + " <- " + b.Source
		for _, c := range b.Certificates {
			line += " " + certText(c)
		}
		if len(b.Certificates) == 0 {
			line += " default: " + b.Reason
		}
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	if def != nil {
		lines = append(lines, "default "+certText(def)+"\n")
	}
	return strings.Join(lines, "")
}

func issuesText(issues []ingress.Issue) string {
	var out strings.Builder
	for _, i := range issues {
		fmt.Fprintf(&out, "%s issued=%t %s\n", i.Host, i.Certificate != nil, i.Directory)
	}
	return out.String()
}

func certText(c *tls.Certificate) string {
	names := strings.Join(c.Leaf.DNSNames, ",")
	if names == "" {
		names = "cn=" + c.Leaf.Subject.CommonName
	}
	return "[" + c.Leaf.PublicKeyAlgorithm.String() + " " + names + "]"
}

func problemsText(problems []ingress.Problem) string {
	problems = slices.SortedFunc(slices.Values(problems), ingress.Problem.Compare)
	var out strings.Builder
	for _, p := range problems {
		field := p.Field
		if field != "" {
			field = " " + field
		}
		fmt.Fprintf(&out, "%s %s %s%s: %v\n", p.Severity, p.Reason, p.Object, field, p.Err)
	}
	return out.String()
}

// TestGoldensCoverReasons fails for a Reason that no golden shows. A panic is the controller's to
// report, and tested with it.
func TestGoldensCoverReasons(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{string(ingress.TranslationPanicked): true}
	for _, file := range files {
		g := k8stest.ReadGolden(t, file)
		problems, _ := g.Section("want.problems")
		for line := range bytes.Lines(problems) {
			shown[strings.Fields(string(line))[1]] = true
		}
	}
	missing := maps.Collect(func(yield func(ingress.Reason, bool) bool) {
		for _, doc := range ingress.Reasons() {
			if !shown[string(doc.Reason)] && !yield(doc.Reason, true) {
				return
			}
		}
	})
	if len(missing) > 0 {
		t.Errorf("no golden shows %v", slices.Sorted(maps.Keys(missing)))
	}
}
