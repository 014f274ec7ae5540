// Package manifest reads Kubernetes objects from YAML and JSON files into the Snapshot that a
// cluster gives too. Loading a file is applying it: what the API server would refuse is
// refused, with the file and the line, and what it would fill in is filled in.
package manifest

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Problem is a mistake in a file, with its place. The Object of one that concerns a whole file
// has the Kind "File".
type Problem struct {
	// File is the path as it was given, or found under the directory that was given.
	File string
	// Line counts from 1; 0 stands for the whole file.
	Line int
	ingress.Problem
}

// comparePlace orders Problems by file and line: the order they are mended in.
func comparePlace(p, q Problem) int {
	return cmp.Or(
		strings.Compare(p.File, q.File),
		cmp.Compare(p.Line, q.Line),
		p.Compare(q.Problem),
	)
}

// Manifests is what one reading of files gave. It does not change, and is safe for concurrent
// use.
type Manifests struct {
	snapshot *ingress.Snapshot
	problems []Problem
	places   map[ingress.Object]place // the UID of the keys is empty

	mu     sync.Mutex
	parsed *document    // guarded by mu: the document that roots are of
	roots  []*yaml.Node // guarded by mu
}

// place is where an object was read.
type place struct {
	file string
	line int // of the first line of doc, from 1
	doc  *document
	obj  *object
}

// Snapshot returns the objects. Its LocalEndpoints is true.
func (m *Manifests) Snapshot() *ingress.Snapshot { return m.snapshot }

// Problems returns what is wrong with the files, ordered by file and line. It is shared: read
// only.
func (m *Manifests) Problems() []Problem { return m.problems }

// Position returns the file and line of a field of an object, for a field as in
// ingress.Problem; of the nearest field around it when it is not written down; of the object
// when field is empty. It reports false for an object that was not read from a file.
func (m *Manifests) Position(o ingress.Object, field string) (file string, line int, ok bool) {
	o.UID = ""
	p, ok := m.places[o]
	if !ok {
		return "", 0, false
	}
	line = p.obj.line
	if field != "" {
		if node := p.obj.in(m.parse(p.doc)); node != nil {
			line = lineOf(node, field)
		}
	}
	return p.file, p.line + line - 1, true
}

// parse returns the nodes of d again. They are not kept for every document, being twenty times
// the size of the text; the last ones are, because Problems come sorted by object.
func (m *Manifests) parse(d *document) []*yaml.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parsed != d {
		m.roots, _ = parseDocument(d.text) // it parsed before
		m.parsed = d
	}
	return m.roots
}

// sameProblems reports whether people would be shown the same, lines aside.
func sameProblems(a, b []Problem) bool {
	return slices.EqualFunc(a, b, func(p, q Problem) bool {
		return p.File == q.File && p.Severity == q.Severity && p.Compare(q.Problem) == 0
	})
}
