package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// Both commands run, in small: what they print is of a fairlead that did the work. How much memory
// one takes is for a quiet machine and a large number.
func TestMemoryCommands(t *testing.T) {
	need(t, "taskset")
	binary, err := site.Build(filepath.Join("..", ".."), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := idleCommand(t.Context(), []string{"-n", "50", "-binary", binary}, &out, io.Discard); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"http  50 idle connections: ", "https 50 idle connections: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want a line %q, got %q", want, &out)
		}
	}
	out.Reset()
	err = bulkCommand(t.Context(), []string{"-size", "8m", "-binary", binary}, &out, io.Discard)
	if err != nil && !strings.Contains(err.Error(), "memory grew") {
		t.Error(err)
	}
	if lines := strings.Count(out.String(), " 8 MiB in "); lines != len(bulkWays) {
		t.Errorf("want %d lines, got %q", len(bulkWays), &out)
	}
}

func TestMemoryCommandMistakes(t *testing.T) {
	for _, args := range [][]string{{"-n", "0"}, {"-n", "x"}, {"more"}} {
		if err := idleCommand(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("idle %q: want an error", args)
		}
	}
	for _, args := range [][]string{{"-size", "0"}, {"-size", "-1g"}, {"-size", "9999999g"}, {"more"}} {
		if err := bulkCommand(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("bulk %q: want an error", args)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "64k": 64 << 10, "256m": 256 << 20, "10g": 10 << 30} {
		if n, err := parseSize(text); err != nil || n != want {
			t.Errorf("%q: want %d, got %d, %v", text, want, n, err)
		}
	}
	for _, text := range []string{"", "k", "0", "-1", "1t", "1 k", "9999999g"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q: want an error, got %d", text, n)
		}
	}
}
