// Package site runs the real fairlead binary on loopback, with echo backends for the
// endpoints of its objects: a place to play behaviour scripts without a cluster.
package site

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build compiles cmd/fairlead of the module at root into dir and returns the binary's path.
// FAIRLEAD_BINARY in the environment names a binary to use instead.
func Build(root, dir string) (string, error) {
	if have := os.Getenv("FAIRLEAD_BINARY"); have != "" {
		return filepath.Abs(have)
	}
	binary := filepath.Join(dir, "fairlead")
	args := []string{"build", "-o", binary}
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/fairlead")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/fairlead: %w\n%s", err, out)
	}
	return binary, nil
}
