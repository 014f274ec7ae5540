package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// objectReader reads the objects of one document.
type objectReader struct {
	document *document
	encoder  encoder
	finder   finder
	known    map[contentKey]*content // decoded before
}

// read adds the object at n, or those in it when it is a List. path is where n is, and item
// the kind that the List around it says its items are.
func (r *objectReader) read(n *yaml.Node, path []int, item string) {
	line, written := n.Line, n
	if n = resolve(n); n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		got := "a list"
		if n.Kind == yaml.ScalarNode {
			got = "a single value" // which may be a secret
		}
		r.document.add(line, ingress.Problem{
			Severity: ingress.Error, Reason: InvalidObject,
			Err: errors.New("wanted an object with apiVersion and kind, got " + got),
		})
		return
	}
	if r.encoder.exhausted() {
		return // and reported
	}
	apiVersion, name := r.finder.text(n, "apiVersion"), r.finder.text(n, "kind")
	if items, ok := listOf(apiVersion, name); ok && n == written {
		r.list(n, path, items)
		return
	}
	if name == "" && apiVersion == "" && item != "" {
		k, _ := kindNamed(item)
		apiVersion, name = k.apiVersion(), item
	}
	o := &object{
		id:   ingress.Object{Kind: name, Namespace: r.finder.text(n, "metadata", "namespace"), Name: r.finder.text(n, "metadata", "name")},
		line: line,
		path: path,
	}
	k, known := kindNamed(name)
	switch {
	case k.clustered:
		o.id.Namespace = ""
	case known && o.id.Namespace == "":
		o.id.Namespace = metav1.NamespaceDefault
	}
	if !known || k.apiVersion() != apiVersion {
		r.otherKind(o, k, apiVersion)
		return
	}
	if o.content = r.content(o.id, k, written); o.content != nil {
		o.id = o.content.id
		r.document.objects = append(r.document.objects, o)
	}
}

// list reads the items of a List. Those that an alias or a merge brings are not: aliases of
// lists of aliases would be endless.
func (r *objectReader) list(n *yaml.Node, path []int, item string) {
	items := own(n, "items")
	if items == nil {
		return
	}
	if items.Kind != yaml.SequenceNode {
		if items.Tag != "!!null" {
			r.document.add(items.Line, ingress.Problem{
				Severity: ingress.Error, Reason: InvalidObject, Field: "items",
				Err: fmt.Errorf("items: wanted a list, got %s", nodeKind(items)),
			})
		}
		return
	}
	for i, it := range items.Content {
		r.read(it, append(slices.Clone(path), i), item)
	}
}

// otherKind reports an object of a kind or version that is not read. k is the kind of the same
// name, if there is one.
func (r *objectReader) otherKind(o *object, k kind, apiVersion string) {
	p := ingress.Problem{Object: o.id, Severity: ingress.Error, Reason: InvalidObject}
	switch {
	case o.id.Kind == "" && apiVersion == "":
		p.Object, p.Err = ingress.Object{}, errors.New("wanted an object with apiVersion and kind, got a mapping without both")
	case o.id.Kind == "":
		p.Object, p.Err = ingress.Object{}, fmt.Errorf("kind is missing beside apiVersion %s", apiVersion)
	case apiVersion == "":
		p.Err = errors.New("apiVersion is missing")
	case slices.Contains(k.old, apiVersion):
		p.Field, p.Err = "apiVersion", fmt.Errorf("apiVersion %s is served no more; wanted %s, which has other fields", apiVersion, k.apiVersion())
	case k.name != "" && apiGroup(apiVersion) == k.group:
		p.Field, p.Err = "apiVersion", fmt.Errorf("wanted apiVersion %s, got %s", k.apiVersion(), apiVersion)
	case o.id.Kind == "Endpoints" && apiVersion == "v1":
		p.Severity, p.Reason = ingress.Warning, UnknownKind
		p.Err = errors.New("not used; write an EndpointSlice with the label kubernetes.io/service-name")
	case ofKubernetes(o.id.Kind, apiVersion):
		return
	default:
		p.Severity, p.Reason = ingress.Warning, UnknownKind
		p.Err = fmt.Errorf("not used: serving needs no %s of %s", o.id.Kind, apiVersion)
	}
	r.document.add(o.line, p)
}

func apiGroup(apiVersion string) string {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		return ""
	}
	return group
}

// content decodes n, or reports why the API server would refuse it and returns nil.
func (r *objectReader) content(id ingress.Object, k kind, n *yaml.Node) *content {
	severity := ingress.Warning
	if k.served {
		severity = ingress.Error
	}
	refuse := func(line int, reason ingress.Reason, field string, err error) {
		r.document.add(line, ingress.Problem{Object: id, Severity: severity, Reason: reason, Field: field, Err: err})
	}
	if err := r.encoder.encode(n); err != nil {
		refuse(lineOfError(err), InvalidYAML, "", err)
		return nil
	}
	n = resolve(n)
	key := contentKey{k.name, sha256.Sum256(r.encoder.json)}
	if c := r.known[key]; c != nil {
		return c
	}
	obj := k.new()
	unknown, err := kjson.UnmarshalStrict(r.encoder.json, obj)
	if err != nil {
		line, path, err := r.explain(k, n, err)
		refuse(line, InvalidObject, path, err)
		return nil
	}
	for _, err := range unknown {
		path := ""
		if e := kjson.FieldError(nil); errors.As(err, &e) {
			path = e.FieldPath()
		}
		refuse(lineOf(n, path), UnknownField, path, describeUnknown(path, reflect.TypeOf(obj)))
	}
	if len(unknown) > 0 {
		return nil
	}
	switch {
	case k.clustered:
		obj.SetNamespace("")
	case obj.GetNamespace() == "":
		obj.SetNamespace(metav1.NamespaceDefault)
	}
	id.Namespace, id.Name = obj.GetNamespace(), obj.GetName()
	errs := append(checkName(obj, k), k.check(obj)...)
	for _, err := range errs {
		refuse(lineOf(n, err.Field), InvalidObject, err.Field, named(err.Field, err.ErrorBody()))
	}
	if len(errs) > 0 {
		return nil
	}
	obj.SetManagedFields(nil)
	return &content{key, id, obj}
}

// explain returns the place and the meaning of an error of decoding. The decoder of the API
// server keeps the offset of what it stumbled over to itself; encoding/json, which it was made
// from, tells.
func (r *objectReader) explain(k kind, n *yaml.Node, err error) (line int, path string, _ error) {
	if bad := base64.CorruptInputError(0); errors.As(err, &bad) {
		if line, path, ok := badBase64(n); ok {
			return line, path, named(path, "wanted base64; text as it is belongs in stringData")
		}
	}
	wrong := (*json.UnmarshalTypeError)(nil)
	if !errors.As(json.NewDecoder(bytes.NewReader(r.encoder.json)).Decode(k.new()), &wrong) || wrong.Field == "" {
		return n.Line, "", err
	}
	i := r.encoder.at(int(wrong.Offset))
	node, path := resolve(r.encoder.marks[i].node), r.encoder.path(i)
	if field := embedded.ReplaceAllString(wrong.Field, ""); !strings.HasPrefix(indexes.ReplaceAllString(path, ""), field) {
		// The offset is one within a value that decodes itself, as an IntOrString does.
		return lineOf(n, field), field, named(field, "cannot be of type "+wrong.Value)
	}
	got := nodeKind(node)
	if k.name == "Secret" && node.Kind == yaml.ScalarNode {
		// Problems are logged and shown: no values of Secrets.
		kind, _, _ := strings.Cut(wrong.Value, " ")
		got = "a " + kind
	}
	text := fmt.Sprintf("wanted %s, got %s", goKind(wrong.Type), got)
	switch {
	case wrong.Type.Kind() == reflect.String && node.Kind == yaml.ScalarNode:
		text += "; put it in quotes"
	case wrong.Type == reflect.TypeFor[netv1.ServiceBackendPort]() && node.Kind == yaml.ScalarNode:
		key := "name"
		if node.Tag == "!!int" {
			key = "number"
		}
		text += fmt.Sprintf("; write port: {%s: %.60s}", key, node.Value)
	}
	return r.encoder.marks[i].node.Line, path, named(path, text)
}

// indexes are the parts of a field path that encoding/json leaves out.
var indexes = regexp.MustCompile(`\[[^]]*\]`)

// embedded are the names of embedded structs in a field path of encoding/json, such as the
// IngressRuleValue of a rule: JSON has none of them.
var embedded = regexp.MustCompile(`\b[A-Z][A-Za-z]*\.`)

// badBase64 returns the first value of a Secret's data that is not base64.
func badBase64(n *yaml.Node) (line int, path string, ok bool) {
	data := resolve(own(n, "data"))
	if data == nil || data.Kind != yaml.MappingNode {
		return 0, "", false
	}
	for i := 0; i+1 < len(data.Content); i += 2 {
		if _, err := base64.StdEncoding.DecodeString(resolve(data.Content[i+1]).Value); err != nil {
			return data.Content[i].Line, "data[" + resolve(data.Content[i]).Value + "]", true
		}
	}
	return 0, "", false
}

// named puts the last part of a field path in front of text: a Problem's text is shown without
// its field too.
func named(path, text string) error {
	end := len(path)
	if strings.HasSuffix(path, "]") {
		end = max(strings.LastIndexByte(path, '['), 0)
	}
	name := path[strings.LastIndexByte(path[:end], '.')+1:]
	if name == "" {
		return errors.New(text)
	}
	return errors.New(name + ": " + text)
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
	case yaml.AliasNode:
		return "an alias"
	}
	if n.Tag == "!!str" && !isBool11(n) {
		return fmt.Sprintf("%.60q", n.Value)
	}
	return fmt.Sprintf("%.60s", n.Value)
}
