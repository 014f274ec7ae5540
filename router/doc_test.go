package router

import (
	"os"
	"strings"
	"testing"
)

// The example of the package comment is what the package does.
func TestPackageCommentExample(t *testing.T) {
	src, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(src), "// # Example\n")
	if !ok {
		t.Fatal("doc.go has no example")
	}
	blocks := strings.Split(example, "//\n")[1:]
	if len(blocks) != 2 {
		t.Fatalf("the example has %d parts, want routes and requests", len(blocks))
	}
	var routes strings.Builder
	for line := range strings.Lines(blocks[0]) {
		f := strings.Fields(strings.TrimPrefix(line, "//"))
		if f[0] == "(none)" {
			f[0] = "*"
		}
		if len(f) == 3 {
			f = []string{f[0], "-", f[1], f[2]}
		}
		routes.WriteString(strings.Join(f, " ") + "\n")
	}
	table := mustBuild(t, routes.String())
	requests := 0
	for line := range strings.Lines(blocks[1]) {
		f := strings.Fields(strings.TrimPrefix(line, "//"))
		if len(f) < 3 {
			continue // the package clause
		}
		requests++
		if r, o := lookup(t, table, f[0], f[1]); r == nil || r.Target != f[2] {
			t.Errorf("%s: got %s", strings.TrimSpace(line), show(r, o))
		}
	}
	if requests != 11 {
		t.Errorf("the example has %d requests, want 11", requests)
	}
}
