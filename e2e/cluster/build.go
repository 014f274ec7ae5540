package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// The binaries that tests run, in the module's folder bin. `go build` leaves one alone that is
// up to date; the first build of the control plane takes some minutes.
const (
	controlPlane = "allinone"
	fairlead     = "fairlead"
)

// moduleDir is the folder of this module.
func moduleDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

func binary(name string) string { return filepath.Join(moduleDir(), "bin", name) }

func buildAll() error {
	version, err := kubernetesVersion()
	if err != nil {
		return err
	}
	minor := strings.Split(version, ".")[1]
	const p = "k8s.io/component-base/version."
	ldflags := fmt.Sprintf("-s -w -X %[1]sgitVersion=%[2]s -X %[1]sgitMajor=1 -X %[1]sgitMinor=%[3]s", p, version, minor)
	if err := build(moduleDir(), controlPlane, "./cmd/allinone", "-trimpath", "-ldflags", ldflags); err != nil {
		return err
	}
	if err := build(filepath.Join(moduleDir(), "..", ".."), fairlead, "./cmd/fairlead"); err != nil {
		return err
	}
	return buildNodes()
}

func kubernetesVersion() (string, error) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	cmd.Dir = moduleDir()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("version of k8s.io/kubernetes: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func build(dir, name, pkg string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-o", binary(name)}, flags...), pkg)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}
