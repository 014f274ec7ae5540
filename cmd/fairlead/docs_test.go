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

// The page of failures names tests that exist.
func TestFailureModesAreTested(t *testing.T) {
	page, err := os.ReadFile("../../docs/failure-modes.md")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
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
	named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(page, -1)
	if len(named) < 40 {
		t.Fatalf("the page names %d tests", len(named))
	}
	for _, m := range named {
		if !have[string(m[1])] {
			t.Errorf("docs/failure-modes.md names %s, and there is no such test", m[1])
		}
	}
	for prefix, last := range map[string]int{"C": 15, "R": 10} {
		for n := 1; n <= last; n++ {
			if row := fmt.Sprintf("\n| %s%d |", prefix, n); !strings.Contains(string(page), row) {
				t.Errorf("docs/failure-modes.md lacks the row %s%d", prefix, n)
			}
		}
	}
}
