package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// images are those that every node has, by the programs of bin that they hold. Nothing can be
// pulled.
var images = []struct{ name, program, args string }{
	{"test.local/pause:1", "pause", ""},
	{"test.local/coredns:1", "coredns", ""},
	{"test.local/web:1", "web", ""},
	{"test.local/backends:1", "backends", ""},
	{"fairlead:dev", fairlead, "serve"},
}

// buildNodes builds what nodes need, beside what every cluster does.
func buildNodes() error {
	for _, program := range []struct{ dir, name, pkg string }{
		{moduleDir(), "pause", "./cmd/pause"},
		{filepath.Join(moduleDir(), "coredns"), "coredns", "."},
		{filepath.Join(moduleDir(), ".."), "web", "./echo/web"},
		{filepath.Join(moduleDir(), ".."), "backends", "./site/backends"},
		{filepath.Join(moduleDir(), ".."), "pack", "./image/pack"},
		{filepath.Join(moduleDir(), ".."), "steady", "./steady"},
		{filepath.Join(moduleDir(), ".."), "helm", "helm.sh/helm/v3/cmd/helm"},
	} {
		if err := build(program.dir, program.name, program.pkg, "-trimpath", "-ldflags", "-s -w"); err != nil {
			return err
		}
	}
	scripts := exec.Command("go", "test", "-c", "-o", binary("scripts"), "./live")
	scripts.Dir = filepath.Join(moduleDir(), "..")
	if out, err := scripts.CombinedOutput(); err != nil {
		return fmt.Errorf("build ./live: %w: %s", err, out)
	}
	for _, image := range images {
		out, err := exec.Command(binary("pack"), "-out", archive(image.program), "-name", image.name, "-args", image.args,
			runtime.GOARCH+"="+binary(image.program)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("pack %s: %w: %s", image.name, err, out)
		}
	}
	return nil
}

func archive(program string) string { return binary(program) + ".oci.tar" }

// archives are the files of the images, which buildNodes wrote.
func archives() ([]string, error) {
	var files []string
	for _, image := range images {
		if _, err := os.Stat(archive(image.program)); err != nil {
			return nil, err
		}
		files = append(files, archive(image.program))
	}
	return files, nil
}

// missingPrograms are the programs of a node that this machine lacks.
func missingPrograms() string {
	var missing []string
	for _, program := range []string{"containerd", "ctr", "runc", "/usr/lib/cni/bridge", "/usr/lib/cni/portmap", "nft", "iptables", "conntrack", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	return strings.Join(missing, " ")
}
