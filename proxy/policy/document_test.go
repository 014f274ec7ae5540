package policy

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated pages of docs")

func TestDocument(t *testing.T) {
	for page, want := range map[string]string{
		"../../docs/annotations.md": Document(),
		"../../docs/configmap.md":   SettingsDocument(),
		"../../docs/quirks.md":      QuirksDocument(),
	} {
		if *update {
			if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(page)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the registry comes to; -update rewrites it: %v", page, err)
		}
	}
}
