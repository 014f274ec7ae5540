package policy

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/annotations.md")

func TestDocument(t *testing.T) {
	const page = "../../docs/annotations.md"
	if *update {
		if err := os.WriteFile(page, []byte(Document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != Document() {
		t.Errorf("%s is not what the registry comes to; -update rewrites it: %v", page, err)
	}
}
