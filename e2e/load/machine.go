package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Machine is what the figures were measured on. What is not known is empty.
type Machine struct {
	CPU         string            `json:"cpu"`
	Cores       int               `json:"cores"`
	Kernel      string            `json:"kernel"`
	Mitigations []string          `json:"mitigations"` // those that the kernel takes
	Programs    map[string]string `json:"programs"`    // what each says of itself
}

func thisMachine(ctx context.Context, programs []string, subjects []subject) Machine {
	m := Machine{Cores: runtime.NumCPU(), Programs: map[string]string{}}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	files, _ := filepath.Glob("/sys/devices/system/cpu/vulnerabilities/*") // the pattern is a good one
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(text), "Mitigation") {
			m.Mitigations = append(m.Mitigations, filepath.Base(file))
		}
	}
	for _, p := range programs {
		if v := version(ctx, p, "-v"); v != "" {
			m.Programs[p] = v
		}
	}
	for _, s := range subjects {
		if s.binary != "" {
			m.Programs[s.name] = strings.Join(append([]string{version(ctx, s.binary, "version"), "(" + s.binary + ")"}, s.flags...), " ")
		}
	}
	return m
}

// version is the first line that the program says of itself. wrk says it with a status of 1.
func version(ctx context.Context, program, flag string) string {
	text, _ := exec.CommandContext(ctx, program, flag).CombinedOutput()
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

// sortedKeys are a map's keys, for output that is the same every time.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
