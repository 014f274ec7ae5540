// Package image packs programs that need nothing else, as CGO_ENABLED=0 builds them, into OCI
// image archives: no container engine, no base image, no network. What `docker load`, `podman
// load`, `ctr images import` and `skopeo copy oci-archive:` read.
package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is a program to pack. The same Image of the same files is the same archive, byte for byte.
type Image struct {
	Name     string            // NAME:TAG
	Program  string            // what it is called in the image, in whose root it lies
	Binaries map[string]string // files on disk, by architecture, as GOARCH has it
	Args     []string          // arguments of a container that gives none
	Ports    []string          // exposed: "80/tcp"
	Labels   map[string]string // org.opencontainers.image.*; also annotations of the index
	Created  time.Time         // 1970 if zero
}

// user is who the programs run as: nobody who is known anywhere.
const user = "65532:65532"

// Write writes the archive to the file at path.
func Write(file string, i Image) error {
	if len(i.Binaries) == 0 {
		return fmt.Errorf("image %s: want a binary for one architecture at least, got none", i.Name)
	}
	dir, err := os.MkdirTemp(filepath.Dir(file), ".image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	index, err := i.index()
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	root := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	_, tag, _ := strings.Cut(path.Base(i.Name), ":")
	root = mutate.AppendManifests(root, mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{
		MediaType:   types.OCIImageIndex,
		Annotations: map[string]string{"io.containerd.image.name": fullName(i.Name), "org.opencontainers.image.ref.name": tag},
	}})
	if _, err := layout.Write(dir, root); err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	return pack(file, dir)
}

// fullName is what container engines make of a name without a registry.
func fullName(name string) string {
	first, _, ok := strings.Cut(name, "/")
	switch {
	case !ok:
		return "docker.io/library/" + name
	case strings.ContainsAny(first, ".:") || first == "localhost":
		return name
	}
	return "docker.io/" + name
}

// index has one image for each architecture.
func (i Image) index() (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range slices.Sorted(maps.Keys(i.Binaries)) {
		image, err := i.platform(arch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return mutate.Annotations(index, i.Labels).(v1.ImageIndex), nil
}

func (i Image) platform(arch string) (v1.Image, error) {
	content, err := layerTar(i.Program, i.Binaries[arch])
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: i.Created.UTC()}
	if i.Created.IsZero() {
		created = v1.Time{Time: time.Unix(0, 0).UTC()}
	}
	if image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: created, CreatedBy: "e2e/image/pack"}}); err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, created
	config.Config = v1.Config{
		User: user, Entrypoint: []string{"/" + i.Program}, Cmd: i.Args, WorkingDir: "/", Labels: i.Labels,
		Env: []string{"PATH=/"}, ExposedPorts: map[string]struct{}{},
	}
	for _, port := range i.Ports {
		config.Config.ExposedPorts[port] = struct{}{}
	}
	return mutate.ConfigFile(image, config)
}

// layerTar is a layer with one file, which belongs to root and which all may execute.
func layerTar(name, file string) ([]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(content)), ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}

// pack writes the files below dir to the tar archive file, in the order of their names.
func pack(file, dir string) error {
	var names []string
	err := filepath.WalkDir(dir, func(name string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	for _, name := range names {
		if err := add(w, dir, name); err != nil {
			_ = out.Close()
			return err
		}
	}
	if err := w.Close(); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}

func add(w *tar.Writer, dir, name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	inside, err := filepath.Rel(dir, name)
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(inside), Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}
