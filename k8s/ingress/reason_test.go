package ingress

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"unicode"
)

// Every Reason constant is documented once, and nothing else is.
func TestReasonsAreDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			constants[spec.Names[0].Name] = true
			if value := spec.Values[0].(*ast.BasicLit).Value; value != `"`+spec.Names[0].Name+`"` {
				t.Errorf("%s is %s", spec.Names[0].Name, value)
			}
		}
		return true
	})
	for _, doc := range Reasons() {
		name := string(doc.Reason)
		if !constants[name] {
			t.Errorf("%s is documented twice, or is no constant", name)
		}
		delete(constants, name)
		if !unicode.IsUpper(rune(name[0])) || !strings.HasSuffix(doc.Doc, ".") || strings.Count(doc.Doc, ". ") > 0 {
			t.Errorf("%s: want one sentence, got %q", name, doc.Doc)
		}
	}
	for name := range constants {
		t.Errorf("%s is not documented", name)
	}
}
