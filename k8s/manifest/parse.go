package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep values nest. Objects have some ten levels.
const maxDepth = 1000

// lineError is an error at a line, counted from 1 within a document.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// parseDocument returns the top values of one chunk: one for YAML, one or more for JSON. With
// an error it returns those before it.
func parseDocument(text string) ([]*yaml.Node, error) {
	inner, brace := strings.CutPrefix(strings.TrimLeft(text, " \t\r\n"), "{")
	if !brace {
		return parseYAML(text)
	}
	roots, err := parseJSON(text)
	if err == nil || len(roots) > 0 {
		return roots, err
	}
	// {a: b} is YAML.
	flow, yamlErr := parseYAML(text)
	if yamlErr != nil && strings.HasPrefix(strings.TrimLeft(inner, " \t\r\n"), `"`) {
		return nil, err
	}
	return flow, yamlErr
}

func parseYAML(text string) ([]*yaml.Node, error) {
	var roots []*yaml.Node
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return roots, yamlError(err, strings.Count(strings.TrimSuffix(text, "\n"), "\n")+1)
		}
		if len(doc.Content) == 1 {
			roots = append(roots, doc.Content[0])
		}
	}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlError takes the line out of the text of err, for a document of that many lines. The
// parser, other than the scanner beneath it, counts lines from 0.
func yamlError(err error, lines int) error {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	if m == nil {
		return &lineError{1, err}
	}
	text = text[len(m[0]):]
	line, _ := strconv.Atoi(m[1])
	for _, begin := range []string{
		"did not find expected <", "did not find expected node content", "did not find expected key",
		"did not find expected '-' indicator", "did not find expected ','", "found undefined tag handle",
		"found incompatible YAML document", "found duplicate %",
	} {
		if strings.HasPrefix(text, begin) {
			line++
			break
		}
	}
	return &lineError{min(max(line, 1), lines), errors.New(text)}
}

// parseJSON reads a stream of JSON values as YAML nodes. A YAML parser is no substitute: it
// refuses the surrogate pairs that JSON writers escape other planes with.
func parseJSON(text string) ([]*yaml.Node, error) {
	p := jsonParser{text: text, d: json.NewDecoder(strings.NewReader(text)), line: 1}
	p.d.UseNumber()
	var roots []*yaml.Node
	for {
		n, err := p.value(0)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			return roots, p.locate(err)
		}
		roots = append(roots, n)
	}
}

type jsonParser struct {
	text string
	d    *json.Decoder
	off  int // up to where line breaks were counted
	line int // at off
}

// token returns the next token, with line set to where it is.
func (p *jsonParser) token() (json.Token, error) {
	t, err := p.d.Token()
	p.advance(int(p.d.InputOffset()))
	return t, err
}

func (p *jsonParser) advance(off int) {
	if off > p.off {
		p.line += strings.Count(p.text[p.off:off], "\n")
		p.off = off
	}
}

// locate gives err its line.
func (p *jsonParser) locate(err error) error {
	if e := (*json.SyntaxError)(nil); errors.As(err, &e) {
		p.advance(min(int(e.Offset), len(p.text)))
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		p.advance(len(p.text))
		err = errors.New("the JSON ends early")
	}
	return &lineError{p.line, err}
}

func (p *jsonParser) value(depth int) (*yaml.Node, error) {
	t, err := p.token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: p.line}
	switch t := t.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
		}
		return n, p.content(n, t, depth+1)
	case string:
		n.Tag, n.Style, n.Value = "!!str", yaml.DoubleQuotedStyle, t
	case json.Number:
		n.Tag, n.Value = "!!int", t.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(t)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

// content fills n with what follows the opening delimiter, up to the closing one.
func (p *jsonParser) content(n *yaml.Node, open json.Delim, depth int) error {
	n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for p.d.More() {
		// In an object keys and values alternate, and the decoder sees to it that keys are strings.
		v, err := p.value(depth)
		if err != nil {
			return noEOF(err)
		}
		n.Content = append(n.Content, v)
	}
	_, err := p.token()
	return noEOF(err)
}

// noEOF makes the end of the text within a value an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
