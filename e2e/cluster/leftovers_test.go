package cluster

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestLeftovers: what a run that was killed left is removed at the next start; what a living one has is not.
func TestLeftovers(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	living := exec.Command("sleep", "600")
	if err := living.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = living.Process.Kill(); _ = living.Wait() })
	left := func(pid int) []string {
		paths := []string{traces(pid)}
		hierarchies, err := filepath.Glob(filepath.Join(cgroupRoot, "*", "cgroup.procs"))
		if _, two := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); two == nil {
			hierarchies = []string{filepath.Join(cgroupRoot, "cgroup.procs")}
		}
		if err != nil || len(hierarchies) == 0 {
			t.Fatalf("cgroups in %s: %v, %v", cgroupRoot, hierarchies, err)
		}
		for _, h := range hierarchies {
			paths = append(paths, filepath.Join(filepath.Dir(h), cgroupPrefix(pid)+"-1-node1", "kubepods"))
		}
		for _, path := range paths {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return paths
	}
	gone, kept := left(dead.Process.Pid), left(living.Process.Pid)
	removeLeftovers()
	for _, path := range gone {
		if _, err := os.Stat(filepath.Dir(path)); path != traces(dead.Process.Pid) && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	for _, path := range kept {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if err := removeTraces(living.Process.Pid); err != nil {
		t.Error(err)
	}
}
