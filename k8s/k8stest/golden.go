package k8stest

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// Golden is a txtar file with the input and the wanted output of a test.
type Golden struct {
	file    string
	archive *txtar.Archive
	changed bool
}

// ReadGolden reads a golden file.
func ReadGolden(t testing.TB, file string) *Golden {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return &Golden{file: file, archive: archive}
}

// Section returns the section named so, and whether there is one.
func (g *Golden) Section(name string) ([]byte, bool) {
	for _, f := range g.archive.Files {
		if f.Name == name {
			return f.Data, true
		}
	}
	return nil, false
}

// Check compares got with the section named so. A section that is not there is empty; with
// update the file is rewritten instead, by Close.
func (g *Golden) Check(t testing.TB, name, got string, update bool) {
	t.Helper()
	want, ok := g.Section(name)
	if string(want) == got {
		return
	}
	if !update {
		t.Errorf("%s: %s differs (- want, + got; -update accepts what was got):\n%s", g.file, name,
			cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")))
		return
	}
	g.changed = true
	if !ok {
		g.archive.Files = append(g.archive.Files, txtar.File{Name: name})
	}
	kept := g.archive.Files[:0]
	for _, f := range g.archive.Files {
		if f.Name == name {
			f.Data = []byte(got)
		}
		if len(f.Data) > 0 {
			kept = append(kept, f)
		}
	}
	g.archive.Files = kept
}

// Close writes the file when Check was told to and it changed.
func (g *Golden) Close(t testing.TB) {
	t.Helper()
	if !g.changed {
		return
	}
	if err := os.WriteFile(g.file, txtar.Format(g.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
