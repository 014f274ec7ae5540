package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// objectReader reads the objects of one document.
type objectReader struct {
	document *document
	encoder  *encoder
	known    map[contentKey]*content // decoded before
}

// read adds the object at n, or those in it when it is a List. path is where n is, and item
// the kind that the List around it says its items are.
func (r *objectReader) read(n *yaml.Node, path []int, item string) {
	line := n.Line
	if n = resolve(n); n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.document.add(line, ingress.Problem{
			Severity: ingress.Error, Reason: InvalidObject,
			Err: fmt.Errorf("wanted an object with apiVersion and kind, got %s", nodeKind(n)),
		})
		return
	}
	apiVersion, name := text(n, "apiVersion"), text(n, "kind")
	if items, ok := listOf(apiVersion, name); ok {
		r.list(n, path, items)
		return
	}
	if name == "" && apiVersion == "" && item != "" {
		k, _ := kindNamed(item)
		apiVersion, name = k.apiVersion(), item
	}
	o := &object{
		id:   ingress.Object{Kind: name, Namespace: text(n, "metadata", "namespace"), Name: text(n, "metadata", "name")},
		line: line,
		path: path,
	}
	k, ok := r.kind(o, apiVersion)
	if !ok {
		return
	}
	switch {
	case k.clustered:
		o.id.Namespace = ""
	case o.id.Namespace == "":
		o.id.Namespace = metav1.NamespaceDefault
	}
	r.document.objects = append(r.document.objects, o)
	o.content = r.content(o, k, n)
}

func (r *objectReader) list(n *yaml.Node, path []int, item string) {
	items := resolve(child(n, "items"))
	if items == nil || items.Kind != yaml.SequenceNode || len(path) > maxLinks {
		return // empty
	}
	for i, it := range items.Content {
		r.read(it, append(slices.Clone(path), i), item)
	}
}

// kind returns the kind of o, or reports why it has none here.
func (r *objectReader) kind(o *object, apiVersion string) (kind, bool) {
	p := ingress.Problem{Object: o.id, Severity: ingress.Error, Reason: InvalidObject}
	switch {
	case o.id.Kind == "" && apiVersion == "":
		p.Object, p.Err = ingress.Object{}, errors.New("wanted an object with apiVersion and kind, got a mapping without both")
	case o.id.Kind == "":
		p.Object, p.Err = ingress.Object{}, fmt.Errorf("kind is missing beside apiVersion %s", apiVersion)
	case apiVersion == "":
		p.Err = errors.New("apiVersion is missing")
	default:
		k, ok := kindNamed(o.id.Kind)
		switch {
		case ok && k.apiVersion() == apiVersion:
			return k, true
		case ok && slices.Contains(k.old, apiVersion):
			p.Field, p.Err = "apiVersion", fmt.Errorf("%s is served no more; wanted %s, whose fields differ", apiVersion, k.apiVersion())
		case ok && apiGroup(apiVersion) == k.group:
			p.Field, p.Err = "apiVersion", fmt.Errorf("wanted %s, got %s", k.apiVersion(), apiVersion)
		case o.id.Kind == "Endpoints" && apiVersion == "v1":
			p.Severity, p.Reason = ingress.Warning, UnknownKind
			p.Err = errors.New("not used; write an EndpointSlice with the label kubernetes.io/service-name")
		default:
			p.Severity, p.Reason = ingress.Warning, UnknownKind
			p.Err = fmt.Errorf("not used: no object of kind %s in %s is needed to serve", o.id.Kind, apiVersion)
		}
	}
	r.document.add(o.line, p)
	return kind{}, false
}

func apiGroup(apiVersion string) string {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return group
}

// content decodes o, or reports why the API server would refuse it and returns nil.
func (r *objectReader) content(o *object, k kind, n *yaml.Node) *content {
	severity := ingress.Warning
	if k.used {
		severity = ingress.Error
	}
	refuse := func(line int, reason ingress.Reason, field string, err error) {
		r.document.add(line, ingress.Problem{Object: o.id, Severity: severity, Reason: reason, Field: field, Err: err})
	}
	if err := r.encoder.encode(n); err != nil {
		refuse(lineOfError(err), InvalidYAML, "", err)
		return nil
	}
	key := contentKey{k.name, sha256.Sum256(r.encoder.json)}
	if c := r.known[key]; c != nil {
		return c
	}
	obj := k.new()
	unknown, err := kjson.UnmarshalStrict(r.encoder.json, obj)
	if err != nil {
		line, path, err := r.explain(o, k, err)
		refuse(line, InvalidObject, path, err)
		return nil
	}
	for _, err := range unknown {
		path := ""
		if e := (kjson.FieldError)(nil); errors.As(err, &e) {
			path = e.FieldPath()
		}
		refuse(lineOf(n, path), UnknownField, path, describeUnknown(path, reflect.TypeOf(obj)))
	}
	if len(unknown) > 0 {
		return nil
	}
	obj.SetNamespace(o.id.Namespace)
	errs := append(checkName(obj, k), k.check(obj)...)
	for _, err := range errs {
		refuse(lineOf(n, err.Field), InvalidObject, err.Field, errors.New(err.ErrorBody()))
	}
	if len(errs) > 0 {
		return nil
	}
	if !k.used {
		return &content{key: key}
	}
	obj.SetManagedFields(nil)
	return &content{key, obj}
}

// explain returns the place and the meaning of an error of decoding. The decoder of the API
// server keeps the offset of what it stumbled over to itself; encoding/json, which it was made
// from, tells.
func (r *objectReader) explain(o *object, k kind, err error) (line int, path string, _ error) {
	wrong := (*json.UnmarshalTypeError)(nil)
	if !errors.As(json.NewDecoder(bytes.NewReader(r.encoder.json)).Decode(k.new()), &wrong) || wrong.Field == "" {
		return o.line, "", err
	}
	i := r.encoder.at(int(wrong.Offset))
	got := wrong.Value
	if got == "bool" {
		got = "true or false"
	}
	text := fmt.Sprintf("wanted %s, got %s", goKind(wrong.Type), got)
	if wrong.Type.Kind() == reflect.String && wrong.Value != "object" && wrong.Value != "array" {
		text += "; put it in quotes"
	}
	return r.encoder.marks[i].node.Line, r.encoder.path(i), errors.New(text)
}

// goKind names the values that a Go type takes.
func goKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int32:
		return "an integer of 32 bits"
	case reflect.Int64, reflect.Int:
		return "an integer"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "base64 in a string"
		}
		return "a list"
	}
	return "a mapping"
}

func nodeKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	return fmt.Sprintf("%.40q", n.Value)
}
