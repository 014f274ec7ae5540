package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests is the folder of the manifests, seen from this one.
const manifests = "../../deploy"

// Object is an object of the API.
type Object map[string]any

// String returns "KIND NAME".
func (o Object) String() string {
	return fmt.Sprintf("%v %v", o["kind"], o.at("metadata", "name"))
}

// at is what lies at a path, nil where there is nothing.
func (o Object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// kustomize builds a kustomization of the folder of manifests.
func kustomize(dir string) ([]Object, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(manifests, dir))
	if err != nil {
		return nil, err
	}
	text, err := built.AsYaml()
	if err != nil {
		return nil, err
	}
	return parse(text)
}

// helm renders the chart as the release "fairlead" of the namespace "fairlead" with values, in YAML.
func helm(values string) ([]Object, error) {
	cmd := exec.Command("go", "tool", "helm", "template", "fairlead", filepath.Join(manifests, "helm", "fairlead"),
		"--namespace", "fairlead", "--kube-version", "1.37.0", "--values", "-")
	cmd.Stdin = strings.NewReader(values)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("helm template: %w: %s", err, errs.String())
	}
	return parse(out.Bytes())
}

// parse reads objects, in the order of their kinds and names.
func parse(text []byte) ([]Object, error) {
	var objects []Object
	for d := yamlv3.NewDecoder(bytes.NewReader(text)); ; {
		var document yamlv3.Node
		err := d.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		one, err := yamlv3.Marshal(&document)
		if err != nil {
			return nil, err
		}
		var o Object
		if err := yaml.UnmarshalStrict(one, &o); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, one)
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.String(), b.String()) })
	return objects, nil
}
