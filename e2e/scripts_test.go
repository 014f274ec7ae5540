// Package e2e_test runs the behaviour scripts of testdata against the real binary.
package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/e2e/script"
	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// binary is fairlead, built once for all tests. TestMain sets it.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fairlead-scripts-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binary, err = site.Build("..", dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/*.txtar: want at least one script, got %d, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := script.Parse(name, text)
			if err != nil {
				t.Fatal(err)
			}
			script.Play(t, s, start(t, s))
		})
	}
}

// start makes a site with the script's first objects, so that they are there when the
// controller starts.
func start(t *testing.T, s *script.Script) *site.Site {
	t.Helper()
	files := map[string][]byte{}
	for _, f := range s.Files {
		if !f.Later {
			files[f.Name] = f.Data
		}
	}
	at, err := site.Start(site.Options{Binary: binary, Dir: t.TempDir(), Files: files, Flags: s.Flags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	})
	return at
}
