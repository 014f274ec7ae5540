package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// packageOf is the Debian package of each program that is used.
var packageOf = map[string]string{
	"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "strace": "strace", "taskset": "util-linux",
}

// install makes the programs available. What is missing comes from Debian's packages, which
// needs root. No service of a package is started.
func install(ctx context.Context, out io.Writer, programs ...string) error {
	// nginx and HAProxy are where the PATH of a user who is not root does not look.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin"); err != nil {
		return err
	}
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, packageOf[p])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	if os.Geteuid() != 0 {
		return fmt.Errorf("programs of these packages are missing: apt-get install %s", names)
	}
	fmt.Fprintf(out, "installing %s\n", names)
	allow, err := denyServices("/usr/sbin/policy-rc.d")
	if err != nil {
		return err
	}
	defer allow()
	for _, args := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, text)
		}
	}
	return nil
}

// denyServices keeps packages from starting what they install: an nginx on port 80 would be
// no part of the benchmark. An administrator's own policy file stays as it is. The function
// that it returns takes the policy back.
func denyServices(file string) (allow func(), err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(file))
	}
	return func() { _ = os.Remove(file) }, nil // it was made above
}
