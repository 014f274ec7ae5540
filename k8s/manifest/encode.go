package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxExpansion bounds what aliases add to a document, in values and bytes of scalars together.
const maxExpansion = 1 << 20

// encoder writes the value of a node as JSON, as kubectl understands YAML: version 1.1, in
// which yes and on are booleans, with merge keys. It can tell afterwards which value stands at
// an offset of the JSON. One encoder is used for all objects of a document.
type encoder struct {
	json  []byte
	marks []mark

	depth     int
	aliases   int // open ones
	expansion int
}

// mark is the place of one value.
type mark struct {
	offset int // in json
	parent int // in marks; -1 for the whole
	node   *yaml.Node
	key    string // in a mapping
	index  int    // in a sequence; -1 in a mapping
}

// encode fills e.json and e.marks from n. Its errors are of type *lineError.
func (e *encoder) encode(n *yaml.Node) error {
	*e = encoder{json: e.json[:0], marks: e.marks[:0], expansion: e.expansion}
	return e.value(n, mark{parent: -1, index: -1})
}

func (e *encoder) value(n *yaml.Node, m mark) error {
	m.offset, m.node = len(e.json), n
	self := len(e.marks)
	e.marks = append(e.marks, m)

	if e.depth++; e.depth > maxDepth {
		return &lineError{n.Line, fmt.Errorf("nested deeper than %d levels", maxDepth)}
	}
	defer func() { e.depth-- }()
	if n.Kind == yaml.AliasNode {
		e.aliases++
		defer func() { e.aliases-- }()
		n = n.Alias
	}
	if err := e.charge(n); err != nil {
		return err
	}
	switch n.Kind {
	case yaml.MappingNode:
		return e.mapping(n, self)
	case yaml.SequenceNode:
		e.json = append(e.json, '[')
		for i, c := range n.Content {
			if i > 0 {
				e.json = append(e.json, ',')
			}
			if err := e.value(c, mark{parent: self, index: i}); err != nil {
				return err
			}
		}
		e.json = append(e.json, ']')
		return nil
	}
	v, err := scalar(n)
	if err != nil {
		return &lineError{n.Line, err}
	}
	e.json = append(e.json, v...)
	return nil
}

// exhausted reports that aliases have made the document too large.
func (e *encoder) exhausted() bool { return e.expansion > maxExpansion }

// charge counts n against maxExpansion when it is there through an alias.
func (e *encoder) charge(n *yaml.Node) error {
	if e.aliases == 0 {
		return nil
	}
	if e.expansion += 1 + len(n.Value); e.exhausted() {
		return &lineError{n.Line, errors.New("aliases make the document too large")}
	}
	return nil
}

func (e *encoder) mapping(n *yaml.Node, self int) error {
	pairs, err := e.pairs(n)
	if err != nil {
		return err
	}
	e.json = append(e.json, '{')
	for i, f := range pairs {
		if i > 0 {
			e.json = append(e.json, ',')
		}
		e.json = append(appendString(e.json, f.name), ':')
		if err := e.value(f.value, mark{parent: self, key: f.name, index: -1}); err != nil {
			return err
		}
	}
	e.json = append(e.json, '}')
	return nil
}

// pair is one entry of a mapping.
type pair struct {
	name  string
	value *yaml.Node
}

// pairs returns the entries of a mapping: its own, then those it merges that it has not.
func (e *encoder) pairs(n *yaml.Node) ([]pair, error) {
	pairs := make([]pair, 0, len(n.Content)/2)
	seen := make(map[string]struct{}, len(n.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		name, err := keyName(key)
		if err != nil {
			return nil, err
		}
		if _, ok := seen[name]; ok {
			return nil, &lineError{key.Line, fmt.Errorf("the key %q is there twice", name)}
		}
		seen[name] = struct{}{}
		pairs = append(pairs, pair{name, value})
	}
	for _, m := range merges {
		merged, err := e.merge(m)
		if err != nil {
			return nil, err
		}
		for _, f := range merged {
			if _, ok := seen[f.name]; !ok {
				seen[f.name] = struct{}{}
				pairs = append(pairs, f)
			}
		}
	}
	return pairs, nil
}

// merge returns the entries that the value of a key "<<" brings: of a mapping, or of several
// with the first in front.
func (e *encoder) merge(n *yaml.Node) ([]pair, error) {
	if e.depth++; e.depth > maxDepth {
		return nil, &lineError{n.Line, fmt.Errorf("nested deeper than %d levels", maxDepth)}
	}
	e.aliases++
	defer func() { e.depth--; e.aliases-- }()
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if err := e.charge(n); err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.MappingNode:
		for _, c := range n.Content {
			if err := e.charge(c); err != nil {
				return nil, err
			}
		}
		return e.pairs(n)
	case yaml.SequenceNode:
		var all []pair
		for _, c := range n.Content {
			merged, err := e.merge(c)
			if err != nil {
				return nil, err
			}
			all = append(all, merged...)
		}
		return all, nil
	}
	return nil, &lineError{n.Line, errors.New("the key << merges a mapping, or a list of mappings; got a scalar")}
}

// keyName returns a key as the string that JSON wants.
func keyName(key *yaml.Node) (string, error) {
	line := key.Line
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Kind != yaml.ScalarNode {
		return "", &lineError{line, errors.New("a key of a mapping is a mapping or a list; wanted a string")}
	}
	if key.Tag == "!!str" && !isBool11(key) {
		return key.Value, nil
	}
	v, err := scalar(key)
	if err != nil {
		return "", &lineError{line, err}
	}
	switch {
	case v[0] == '"':
		return key.Value, nil
	case key.ShortTag() == "!!float":
		f, _ := strconv.ParseFloat(string(v), 64)       // it was written as one
		return strconv.FormatFloat(f, 'g', -1, 32), nil // as sigs.k8s.io/yaml does
	}
	return string(v), nil
}

// scalar returns the JSON of a scalar.
func scalar(n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!null":
		return []byte("null"), nil
	case "!!bool", "!!int", "!!float":
		var v any
		if err := n.Decode(&v); err != nil {
			// Not err itself, which has the value: it may be that of a Secret.
			return nil, fmt.Errorf("a value does not fit its tag %s", n.ShortTag())
		}
		return number(v)
	case "!!binary":
		return nil, errors.New("a value has the tag !!binary; write base64 as a string")
	}
	if isBool11(n) {
		return strconv.AppendBool(nil, strings.ContainsAny(n.Value[:1], "yY") || strings.EqualFold(n.Value, "on")), nil
	}
	return appendString(nil, n.Value), nil
}

// isBool11 reports whether n is a boolean in YAML 1.1 and a string in 1.2.
func isBool11(n *yaml.Node) bool {
	if n.Style != 0 || n.Tag != "!!str" {
		return false
	}
	switch n.Value {
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON",
		"n", "N", "no", "No", "NO", "off", "Off", "OFF":
		return true
	}
	return false
}

func number(v any) ([]byte, error) {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(nil, v), nil
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case uint64:
		return strconv.AppendUint(nil, v, 10), nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, errors.New("infinity and NaN are no values of an object")
		}
		return json.Marshal(v)
	}
	return nil, fmt.Errorf("a value of type %T is no value of an object", v)
}

// appendString writes s as a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			quoted, _ := json.Marshal(s) // a string always has a form
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// at returns the innermost value that has begun before offset: the one that a decoder has
// complained of after reading that far.
func (e *encoder) at(offset int) int {
	last := 0
	for i, m := range e.marks {
		if m.offset >= offset {
			break
		}
		last = i
	}
	return last
}

// path returns the field path of mark i.
func (e *encoder) path(i int) string {
	m := e.marks[i]
	if m.parent < 0 {
		return ""
	}
	return join(e.path(m.parent), m)
}

func join(parent string, m mark) string {
	switch {
	case m.index >= 0:
		return parent + "[" + strconv.Itoa(m.index) + "]"
	case strings.ContainsAny(m.key, "./["):
		return parent + "[" + m.key + "]"
	case parent == "":
		return m.key
	}
	return parent + "." + m.key
}
