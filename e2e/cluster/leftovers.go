package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
)

// cgroupPrefix begins the names of what a run leaves on the machine while it runs: the cgroups of nodes and a
// folder for everything else. pid is that of the process that go test started.
func cgroupPrefix(pid int) string { return fmt.Sprintf("fairlead-e2e-%d", pid) }

// traces is that folder, which is the inner process's for temporary files.
func traces(pid int) string { return filepath.Join(os.TempDir(), cgroupPrefix(pid)) }

// removeTraces removes what a run has left in /sys/fs/cgroup, where no process may be in there, and its folder.
func removeTraces(pid int) error {
	var errs []error
	for _, group := range cgroups(cgroupPrefix(pid) + "-*") {
		var below []string
		_ = filepath.WalkDir(group, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				below = append(below, path)
			}
			return nil
		})
		for _, path := range slices.Backward(below) {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(traces(pid)))...)
}

// cgroups are those whose names match a pattern, in every hierarchy, wherever the caller's own lies. Those of
// version 2 lie at the top.
func cgroups(name string) []string {
	var all []string
	for _, pattern := range []string{"", "*", "*/*", "*/*/*", "*/*/*/*"} {
		found, _ := filepath.Glob(filepath.Join(cgroupRoot, pattern, name))
		all = append(all, found...)
	}
	return all
}

// removeLeftovers removes what runs have left that were killed: their processes have ended with them, and
// nothing else was able to clean up.
func removeLeftovers() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), "fairlead-e2e-*"))
	runs := regexp.MustCompile(`^fairlead-e2e-([0-9]+)(-|$)`)
	ended := map[int]bool{}
	for _, path := range append(cgroups("fairlead-e2e-*"), folders...) {
		m := runs.FindStringSubmatch(filepath.Base(path))
		if m == nil {
			continue
		}
		if pid, err := strconv.Atoi(m[1]); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			ended[pid] = true
		}
	}
	for pid := range ended {
		if err := removeTraces(pid); err != nil {
			fmt.Fprintln(os.Stderr, "left by a run that was killed:", err)
		}
	}
}
