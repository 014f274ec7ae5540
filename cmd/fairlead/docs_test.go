package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The pages that promise something name tests that exist.
func TestPromisesAreTested(t *testing.T) {
	have := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			have[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for page, least := range map[string]int{"failure-modes.md": 40, "performance.md": 7} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(text, -1)
		if len(named) < least {
			t.Errorf("docs/%s names %d tests, want %d at least", page, len(named), least)
		}
		for _, m := range named {
			if !have[string(m[1])] {
				t.Errorf("docs/%s names %s, and there is no such test", page, m[1])
			}
		}
	}
}

// The page of failures has a row for each of the control plane and of rollouts.
func TestFailureModesAreComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/failure-modes.md")
	if err != nil {
		t.Fatal(err)
	}
	for prefix, last := range map[string]int{"C": 15, "R": 10} {
		for n := 1; n <= last; n++ {
			if row := fmt.Sprintf("\n| %s%d |", prefix, n); !strings.Contains(string(page), row) {
				t.Errorf("docs/failure-modes.md lacks the row %s%d", prefix, n)
			}
		}
	}
}

// Decisions are numbered from 1, each number once, and their titles have it.
func TestDecisionsAreNumbered(t *testing.T) {
	pages, err := filepath.Glob("../../docs/adr/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(err, len(pages))
	}
	for i, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if n := i + 1; !strings.HasPrefix(filepath.Base(page), fmt.Sprintf("%04d-", n)) || !strings.HasPrefix(string(text), fmt.Sprintf("# %d. ", n)) {
			t.Errorf("%s: want the number %d in its name and its title", page, n)
		}
	}
}
