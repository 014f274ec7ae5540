package main

import (
	"cmp"
	"fmt"
	"os"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/fairlead-ingress/fairlead/proxy"
)

// checkBodies reads where the bodies of requests are kept. A directory that was named must be
// there; without the system's, long bodies are streamed.
func (s *settings) checkBodies(bad *mistakes) {
	disk, err := resource.ParseQuantity(cmp.Or(s.bodyBufferDisk, "1Gi"))
	if err != nil || disk.Sign() < 0 {
		bad.value("body-buffer-disk", s.bodyBufferDisk, "a size such as 1Gi, or 0")
	}
	if s.bodies.Disk = disk.Value(); s.bodies.Disk == 0 {
		s.bodies.Disk = -1
	}
	if s.bodyBufferDir == "" || s.bodies.Disk < 0 {
		return
	}
	if err := writable(s.bodyBufferDir); err != nil {
		*bad = append(*bad, fmt.Errorf("--body-buffer-dir: %w", err))
	}
	s.bodies.Dir = s.bodyBufferDir
}

// bodyLimits is bodies, with the system's directory where none was named.
func (s *settings) bodyLimits(log *zap.Logger) proxy.BodyLimits {
	limits := s.bodies
	if limits.Dir != "" || limits.Disk < 0 {
		return limits
	}
	if err := writable(os.TempDir()); err != nil {
		log.Warn("no files for the bodies of requests: what is longer than memory holds is streamed; --body-buffer-dir names a directory", zap.Error(err))
		return limits
	}
	limits.Dir = os.TempDir()
	return limits
}

// writable returns why no file can be made in dir.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, "fairlead-body-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // a file without content, at worst
	if _, err := f.WriteString("0"); err != nil {
		return err
	}
	return f.Close()
}
