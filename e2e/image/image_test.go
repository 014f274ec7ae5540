package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestWrite reads the archive back as a registry's client does.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	binaries := map[string]string{}
	for _, arch := range []string{"amd64", "arm64"} {
		binaries[arch] = filepath.Join(dir, arch)
		if err := os.WriteFile(binaries[arch], []byte("program for "+arch), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	write := func(name string) []byte {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := Write(file, Image{
			Name: "fairlead:dev", Program: "fairlead", Binaries: binaries, Created: created,
			Labels: map[string]string{"org.opencontainers.image.version": "v1.2.3"},
		}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	archive := write("one.tar")
	if !bytes.Equal(archive, write("two.tar")) {
		t.Error("packed twice, the archives differ")
	}

	opened := filepath.Join(dir, "opened")
	unpack(t, archive, opened)
	index, err := layout.ImageIndexFromPath(opened)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	root, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := root.Manifests[0].Annotations["io.containerd.image.name"]; got != "docker.io/library/fairlead:dev" {
		t.Errorf("name %q, want docker.io/library/fairlead:dev", got)
	}
	inner, err := index.ImageIndex(root.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 2 {
		t.Fatalf("%d images, want 2", len(manifest.Manifests))
	}
	for _, m := range manifest.Manifests {
		image, err := inner.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		check(t, m.Platform.Architecture, image, created)
	}
}

func check(t *testing.T, arch string, image v1.Image, created time.Time) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != arch || config.Config.User != "65532:65532" || !config.Created.Equal(created) {
		t.Errorf("%s: config %+v", arch, config)
	}
	if got := config.Config.Labels["org.opencontainers.image.version"]; got != "v1.2.3" {
		t.Errorf("%s: version label %q, want v1.2.3", arch, got)
	}
	content := mutate.Extract(image)
	defer func() { _ = content.Close() }()
	r := tar.NewReader(content)
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if h.Name != "fairlead" || h.Mode&0o111 == 0 || h.Uid != 0 || string(text) != "program for "+arch {
		t.Errorf("%s: file %q of mode %o: %q", arch, h.Name, h.Mode, text)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("%s: more than one file", arch)
	}
}

func unpack(t *testing.T, archive []byte, dir string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.tar")
	for _, i := range []Image{
		{Name: "none:1"},
		{Name: "gone:1", Binaries: map[string]string{"amd64": "/does/not/exist"}},
	} {
		if err := Write(out, i); err == nil {
			t.Errorf("%s: packed", i.Name)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: left an archive", i.Name)
		}
	}
}

func TestFullName(t *testing.T) {
	for name, want := range map[string]string{
		"fairlead:dev":                 "docker.io/library/fairlead:dev",
		"team/fairlead:dev":            "docker.io/team/fairlead:dev",
		"registry.example/fairlead:v1": "registry.example/fairlead:v1",
		"localhost/fairlead:v1":        "localhost/fairlead:v1",
		"registry:5000/fairlead:v1":    "registry:5000/fairlead:v1",
	} {
		if got := fullName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
