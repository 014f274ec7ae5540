package manifest

import (
	"errors"
	"strings"
	"time"

	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Load reads the files at paths: files of any name, directories as Options.Dir says, and
// standard input for "-". A path that cannot be read is an error; mistakes in files are
// Problems.
func Load(paths ...string) (*Manifests, error) {
	t := newTree()
	for _, path := range paths {
		if err := t.add(path); err != nil {
			return nil, err
		}
	}
	return new(loader).load(t, everything, 0).manifests, nil
}

// loader is what one load used, for the next to do again only what changed. The zero value is
// for the first.
type loader struct {
	files     map[string]*file     // by path
	documents map[string]*document // by text
	objects   map[contentKey]*content
	classed   map[*netv1.Ingress]*netv1.Ingress // see build
}

// everything is for load: all files may have changed.
func everything(string) bool { return true }

// reading is what a load came to.
type reading struct {
	manifests *Manifests
	next      *loader // for the next load, once the manifests are in use
	settled   bool    // false when something may be in the midst of a change
}

// load makes Manifests of the files of t. It reads those again that differ from when they
// were last read, and those whose real path is dirty. quiet is how long ago writers who are
// done wrote last. l does not change.
func (l *loader) load(t *tree, dirty func(real string) bool, quiet time.Duration) reading {
	settled := time.Since(t.changed) >= quiet
	next := &loader{
		files:     make(map[string]*file, len(t.entries)),
		documents: make(map[string]*document, len(l.documents)),
		objects:   make(map[contentKey]*content, len(l.objects)),
	}
	b := builder{places: make(map[ingress.Object]place), problems: t.problems}
	for _, e := range t.entries {
		f := l.files[e.path]
		if !f.current(e) || dirty(e.real) {
			var done bool
			f, done = read(e, quiet)
			settled = settled && done
			if f == nil {
				continue
			}
		}
		next.files[e.path] = f
		if f.problem != nil {
			b.problems = append(b.problems, *f.problem)
		}
		for i, c := range f.chunks {
			d := next.document(l, c.text)
			f.chunks[i].text = d.text // lets go of the text of the file
			if d.broken && f != l.files[e.path] {
				settled = false
			}
			b.add(e.path, c.line, d)
		}
	}
	var m *Manifests
	m, next.classed = b.build(l.classed)
	return reading{m, next, settled}
}

// document returns the document of text: that of the last load when it had the same.
func (l *loader) document(last *loader, text string) *document {
	d := l.documents[text]
	if d != nil {
		return d
	}
	if d = last.documents[text]; d == nil {
		d = decode(text, last.objects)
	}
	l.documents[d.text] = d
	for _, o := range d.objects {
		l.objects[o.content.key] = o.content
	}
	return d
}

// decode makes the document of text. It takes objects that are known from there.
func decode(text string, known map[contentKey]*content) *document {
	d := &document{text: strings.Clone(text)} // not a part of the text of a whole file
	roots, err := parseDocument(d.text)
	r := objectReader{document: d, known: known, finder: finder{left: maxVisits}}
	for i, root := range roots {
		r.read(root, []int{i}, "")
	}
	if err != nil {
		d.broken = true
		d.add(lineOfError(err), ingress.Problem{Severity: ingress.Error, Reason: InvalidYAML, Err: err})
	}
	return d
}

func lineOfError(err error) int {
	if e := (*lineError)(nil); errors.As(err, &e) {
		return e.line
	}
	return 1
}
