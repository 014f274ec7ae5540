package manifest

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

var update = flag.Bool("update", false, "rewrite the expectations of testdata/*.txtar")

// TestLoad loads the files of each testdata/*.txtar as a directory. want.objects is what the
// Snapshot holds, want.problems what is wrong; positions has questions for Position, one a
// line, that want.positions answers.
func TestLoad(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			testArchive(t, path)
		})
	}
}

func testArchive(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	var questions string
	kept := archive.Files[:0:0]
	want := make(map[string]string)
	for _, f := range archive.Files {
		switch {
		case strings.HasPrefix(f.Name, "want."):
			want[f.Name] = string(f.Data)
			continue
		case f.Name == "positions":
			questions = string(f.Data)
		default:
			write(t, f.Name, string(f.Data))
		}
		kept = append(kept, f)
	}
	m, err := Load(".")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"want.objects": objectList(m.Snapshot()), "want.problems": problemList(m.Problems())}
	if questions != "" {
		got["want.positions"] = answers(m, questions)
	}
	if *update {
		for _, name := range slices.Sorted(maps.Keys(got)) {
			kept = append(kept, txtar.File{Name: name, Data: []byte(got[name])})
		}
		archive.Files = kept
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("differs (-want +got):\n%s", d)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// objectList returns one line for each object, with what reading may have filled in.
func objectList(s *ingress.Snapshot) string {
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, o := range s.Ingresses {
		class := "-"
		if o.Spec.IngressClassName != nil {
			class = *o.Spec.IngressClassName
		}
		line("Ingress %s/%s class=%s rules=%d annotations=%v", o.Namespace, o.Name, class, len(o.Spec.Rules), o.Annotations)
	}
	for _, o := range s.Classes {
		line("IngressClass %s controller=%s", o.Namespace+o.Name, o.Spec.Controller)
	}
	for name, o := range s.Services {
		var ports []string
		for _, p := range o.Spec.Ports {
			ports = append(ports, fmt.Sprintf("%s:%d>%s/%s", p.Name, p.Port, p.TargetPort.String(), p.Protocol))
		}
		line("Service %s %s%s %v", name, o.Spec.Type, o.Spec.ExternalName, ports)
	}
	for name, list := range s.Slices {
		for _, o := range list {
			line("EndpointSlice %s/%s of %s %s", o.Namespace, o.Name, name.Name, endpoints(o))
		}
	}
	for name, o := range s.Secrets {
		line("Secret %s %s %s", name, o.Type, data(o))
	}
	slices.Sort(lines)
	return strings.Join(append(lines, ""), "\n")
}

func endpoints(o *discoveryv1.EndpointSlice) string {
	var out []string
	for _, p := range o.Ports {
		port := "all"
		if p.Port != nil {
			port = fmt.Sprint(*p.Port)
		}
		out = append(out, fmt.Sprintf("%s:%s/%s", *p.Name, port, *p.Protocol))
	}
	for _, e := range o.Endpoints {
		out = append(out, e.Addresses...)
	}
	return fmt.Sprint(out)
}

func data(o *corev1.Secret) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(o.Data)) {
		out = append(out, fmt.Sprintf("%s=%q", k, o.Data[k]))
	}
	if o.StringData != nil {
		out = append(out, "stringData remains")
	}
	return fmt.Sprint(out)
}

func problemList(problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s:%d: %s %s %s %s: %v\n", p.File, p.Line, p.Severity, p.Reason, p.Object, p.Field, p.Err)
	}
	return b.String()
}

func answers(m *Manifests, questions string) string {
	var b strings.Builder
	for q := range strings.Lines(questions) {
		f := strings.Fields(q)
		o := ingress.Object{Kind: f[0], UID: types.UID("any")}
		var ok bool
		if o.Namespace, o.Name, ok = strings.Cut(f[1], "/"); !ok {
			o.Namespace, o.Name = "", f[1]
		}
		field := strings.Join(f[2:], " ")
		file, line, ok := m.Position(o, field)
		fmt.Fprintf(&b, "%s %s: %s:%d %t\n", o, field, file, line, ok)
	}
	return b.String()
}
