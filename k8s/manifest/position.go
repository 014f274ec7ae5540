package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// resolve returns what an alias stands for, and any other node itself.
func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// own returns the value of a key that a mapping has itself, or nil.
func own(n *yaml.Node, key string) *yaml.Node {
	var f finder
	return f.child(n, key)
}

// finder finds entries of mappings, their own and those they merge. left bounds the visits of
// the latter, which aliases can multiply without end.
type finder struct{ left int }

// maxVisits is for finder.left. Real documents merge a handful of entries.
const maxVisits = 100_000

// child returns the value of a key of a mapping, or nil.
func (f *finder) child(n *yaml.Node, key string) *yaml.Node {
	_, v := f.entry(n, func(k string) int {
		if k == key {
			return 1
		}
		return 0
	})
	return v
}

// text returns the string at a path of keys, or "" when there is none.
func (f *finder) text(n *yaml.Node, path ...string) string {
	for _, key := range path {
		n = resolve(f.child(n, key))
	}
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// entry returns the key and the value of the entry of a mapping that matches best; match
// returns 0 for none. Entries of its own come before merged ones.
func (f *finder) entry(n *yaml.Node, match func(key string) int) (key, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	best := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := resolve(n.Content[i])
		if k.Kind != yaml.ScalarNode {
			continue
		}
		if m := match(k.Value); m > best {
			best, key, value = m, n.Content[i], n.Content[i+1]
		}
	}
	if best > 0 {
		return key, value
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != "!!merge" {
			continue
		}
		merged := resolve(n.Content[i+1])
		if merged.Kind != yaml.SequenceNode {
			merged = &yaml.Node{Content: []*yaml.Node{merged}}
		}
		for _, m := range merged.Content {
			m = resolve(m)
			if f.left -= 1 + len(m.Content); f.left < 0 {
				return nil, nil
			}
			if key, value = f.entry(m, match); value != nil {
				return key, value
			}
		}
	}
	return nil, nil
}

// lineOf returns the line of a field below n, or of the nearest one around it that is there.
// Fields are written as in ingress.Problem: "spec.rules[0].host", and for keys with dots
// "metadata.annotations[example.com/key]"; without brackets these are found too.
func lineOf(n *yaml.Node, field string) int {
	line := n.Line
	f := finder{left: maxVisits}
	for n = resolve(n); n != nil && field != ""; n = resolve(n) {
		switch n.Kind {
		case yaml.SequenceNode:
			number, rest, ok := strings.Cut(strings.TrimPrefix(field, "["), "]")
			i, err := strconv.Atoi(number)
			if !ok || err != nil || i < 0 || i >= len(n.Content) {
				return line
			}
			n, field = n.Content[i], strings.TrimPrefix(rest, ".")
			line = n.Line
		case yaml.MappingNode:
			var taken int
			key, value := f.entry(n, func(k string) int {
				if l := begins(field, k); l > 0 {
					taken = max(taken, l)
					return l
				}
				return 0
			})
			if value == nil {
				return line
			}
			line = key.Line
			n, field = value, strings.TrimPrefix(field[taken:], ".")
		default:
			return line
		}
	}
	return line
}

// begins returns how many bytes of field the key takes, with its brackets, when field begins
// with it, else 0.
func begins(field, key string) int {
	if rest, ok := strings.CutPrefix(field, "["); ok {
		if strings.HasPrefix(rest, key) && strings.HasPrefix(rest[len(key):], "]") {
			return len(key) + 2
		}
		return 0
	}
	if rest, ok := strings.CutPrefix(field, key); ok && key != "" && (rest == "" || rest[0] == '.' || rest[0] == '[') {
		return len(key)
	}
	return 0
}
