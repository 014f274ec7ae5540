package manifest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// seeds are the files of all cases.
func seeds(f *testing.F) []string {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		f.Fatalf("no cases: %v", err)
	}
	texts := []string{
		"a: &a [*a]", "<<: *a", "? {a: b}\n: c", "%YAML 1.1\n---\na: b\n...\n", "---\n---", "\ufeff---\na: b", "{\"a\":1}{\"b\":2}", "- - - -", "!!binary aGk=",
		"apiVersion: v1\nkind: List\nitems: &i [*i, {<<: *i}]", "!!int x", "a: !!float .inf",
	}
	for _, path := range cases {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if isManifest(file.Name) {
				texts = append(texts, string(file.Data))
			}
		}
	}
	return texts
}

// FuzzLoad: never panics; every line that is named is there; the documents of the text are
// all of it that matters; and reading again gives the same objects.
func FuzzLoad(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text)
	}
	dir := f.TempDir()
	path := filepath.Join(dir, "a.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		tree := newTree()
		if err := tree.walk(dir); err != nil {
			t.Fatal(err)
		}
		first := new(loader).load(tree, everything, 0)
		m := first.manifests
		lines := 1 // as YAML counts them
		for _, end := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
			lines += strings.Count(text, end)
		}
		for _, p := range m.Problems() {
			if p.Line < 0 || p.Line > lines || p.Err == nil || p.Reason == "" || p.File != path || p.Object.Kind == "" && p.Object.Name == "" && p.Reason != InvalidObject {
				t.Errorf("of %d lines: %v", lines, p)
			}
		}
		for o := range m.places {
			for _, field := range []string{"", "spec.rules[0].http.paths[0].backend", "metadata.annotations[a.b/c]", "data.tls.crt", "[["} {
				if _, line, ok := m.Position(o, field); !ok || line < 1 || line > lines {
					t.Errorf("%v %s is at line %d of %d, %t", o, field, line, lines, ok)
				}
			}
		}
		again := first.next.load(tree, everything, 0).manifests
		if services, other := diff(m.Snapshot(), again.Snapshot()); len(services) > 0 || other || !sameProblems(m.Problems(), again.Problems()) {
			t.Errorf("a second reading differs: %v %t", services, other)
		}
		afresh := new(loader).load(tree, everything, 0).manifests
		if !reflect.DeepEqual(m.Snapshot(), afresh.Snapshot()) || !sameProblems(m.Problems(), afresh.Problems()) {
			t.Error("the same text gives other objects")
		}
		_ = ingress.NewTranslator(ingress.Options{}).Translate(m.Snapshot())
	})
}

// FuzzEncode: what kubectl and this package both understand means the same to both.
func FuzzEncode(f *testing.F) {
	for _, w := range words {
		f.Add("v: " + w)
	}
	for _, text := range seeds(f) {
		for _, c := range split(text) {
			f.Add(c.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "!") {
			return // tags, which manifests have no use for, mean little things to each parser
		}
		sameAsKubectl(t, text)
	})
}

// TestSplitKeepsLines: the documents are the text without what is between them.
func TestSplitKeepsLines(t *testing.T) {
	for _, c := range []struct {
		text string
		want []chunk
	}{
		{"", nil},
		{"\n# c\n", nil},
		{"a", []chunk{{1, "a"}}},
		{"a\n---\nb\n", []chunk{{1, "a\n"}, {2, "---\nb\n"}}},
		{"---\na\n---\n\n---\nb", []chunk{{1, "---\na\n"}, {3, "---\n\n---\nb"}}},
		{"# c\n---\na\n", []chunk{{1, "# c\n---\na\n"}}},
		{"a\n...\n# c\n---\nb\n", []chunk{{1, "a\n...\n"}, {3, "# c\n---\nb\n"}}},
		{"--- a\n--- b", []chunk{{1, "--- a\n"}, {2, "--- b"}}},
		{"---\r\na\r\n---\r\nb\r\n", []chunk{{1, "---\r\na\r\n"}, {3, "---\r\nb\r\n"}}},
		{"a\n----\nb\n", []chunk{{1, "a\n----\nb\n"}}},
		{"a: |\n  ---\n  ...\n", []chunk{{1, "a: |\n  ---\n  ...\n"}}},
		{"...\n...\na", []chunk{{3, "a"}}},
	} {
		if got := split(c.text); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q:\ngot  %#v\nwant %#v", c.text, got, c.want)
		}
	}
}
