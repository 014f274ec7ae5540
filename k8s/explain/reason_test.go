package explain

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The documentation has every reason of this package once, and the code uses no other.
func TestReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[Reason]bool)
	for _, d := range Reasons() {
		if known[d.Reason] {
			t.Errorf("%s is listed twice", d.Reason)
		}
		known[d.Reason] = true
	}
	for _, d := range ownReasons() {
		if !strings.Contains(string(text), "| `"+string(d.Reason)+"` | "+d.Doc+" |") {
			t.Errorf("docs/explain.md lacks | `%s` | %s |", d.Reason, d.Doc)
		}
	}
	used := regexp.MustCompile(`(?:fine|skip|warn|broken|refusal)\("([A-Za-z]+)"|return "([A-Z][A-Za-z]+)", "`)
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		code, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range used.FindAllStringSubmatch(string(code), -1) {
			if r := Reason(m[1] + m[2]); !known[r] {
				t.Errorf("%s: reason %s is not listed", f.Name(), r)
			}
		}
	}
}
