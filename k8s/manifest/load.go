package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	netv1 "k8s.io/api/networking/v1"
)

// maxFile bounds one file. What kubectl prints of a thousand objects is some 3 MiB.
const maxFile = 16 << 20

// racy is how close a file's time may be to the time it was read for a later write to leave
// the same time: the step of the clock of file systems, with room.
const racy = 100 * time.Millisecond

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
	m, _ := newLoader().load(t, everything)
	return m, nil
}

// loader reads trees again and again, and does again only what changed. It is not safe for
// concurrent use.
type loader struct {
	// What the last load used; each load keeps of it what it uses itself.
	files     map[string]*file     // by path
	documents map[string]*document // by text
	objects   map[contentKey]*content
	classed   map[*netv1.Ingress]*netv1.Ingress // see build

	encoder encoder
	now     func() time.Time
}

// file is one file as it was read.
type file struct {
	info    fs.FileInfo // nil when it could not be read
	racy    bool        // info may not tell of the next change
	chunks  []chunk
	problem *Problem // of the file as a whole
}

func newLoader() *loader {
	return &loader{now: time.Now}
}

// everything is for load: all files may have changed.
func everything(string) bool { return true }

// load makes Manifests of the files of t. It reads those again that differ from when they
// were last read, and those whose real path is dirty. settled is false when one of these may
// be in the midst of being written.
func (l *loader) load(t *tree, dirty func(real string) bool) (m *Manifests, settled bool) {
	settled = true
	old := *l
	l.files = make(map[string]*file, len(t.entries))
	l.documents = make(map[string]*document, len(old.documents))
	l.objects = make(map[contentKey]*content, len(old.objects))
	var b builder
	b.problems = append(b.problems, t.problems...)
	for _, e := range t.entries {
		f, done := old.read(e, dirty)
		if f == nil {
			continue // gone since the walk
		}
		settled = settled && done
		l.files[e.path] = f
		if f.problem != nil {
			b.problems = append(b.problems, *f.problem)
		}
		for i, c := range f.chunks {
			d := l.document(&old, c.text)
			f.chunks[i].text = d.text // lets go of the text of the file
			if d.broken && f != old.files[e.path] {
				settled = false
			}
			b.add(e.path, c.line, d)
		}
	}
	m, l.classed = b.build(old.classed)
	return m, settled
}

// read returns the file of e, nil when there is none any more. done is false when the file
// was just read and looks as if its writer had not finished.
func (l *loader) read(e entry, dirty func(string) bool) (f *file, done bool) {
	f = l.files[e.path]
	if f != nil && f.info != nil && !f.racy && !dirty(e.real) && e.info != nil && unchanged(f.info, e.info) {
		return f, true
	}
	now := l.now()
	text, info, done, err := readFile(e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true
	}
	f = &file{info: info, racy: info != nil && now.Sub(info.ModTime()) < racy}
	if err != nil {
		p := fileProblem(e.path, FileUnreadable, err)
		f.info, f.problem = nil, &p
		return f, true
	}
	f.chunks = split(text)
	// An editor that is about to write has often emptied the file before.
	return f, done && len(f.chunks) > 0
}

func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// readFile returns the text of a file. done is false when the file changed meanwhile.
func readFile(e entry) (text string, info fs.FileInfo, done bool, err error) {
	if e.path == stdin {
		text, err = readText(os.Stdin)
		return text, nil, true, err
	}
	r, err := os.Open(e.path)
	if err != nil {
		return "", nil, true, err
	}
	defer r.Close()
	before, err := r.Stat()
	if err != nil {
		return "", nil, true, err
	}
	if text, err = readText(r); err != nil {
		return "", before, true, err
	}
	after, err := r.Stat()
	if err != nil {
		return "", nil, true, err
	}
	return text, before, !before.Mode().IsRegular() || unchanged(before, after), nil
}

func readText(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	return textOf(b)
}

// document returns the document of text: the one of the last load when it had the same.
func (l *loader) document(old *loader, text string) *document {
	d := l.documents[text]
	if d == nil {
		if d = old.documents[text]; d == nil {
			d = l.decode(old, text)
		}
		l.documents[d.text] = d
		for _, o := range d.objects {
			if o.content != nil {
				l.objects[o.content.key] = o.content
			}
		}
	}
	return d
}

func (l *loader) decode(old *loader, text string) *document {
	d := &document{text: strings.Clone(text)} // not a part of the text of a whole file
	roots, err := parseDocument(d.text)
	for i, root := range roots {
		r := objectReader{document: d, encoder: &l.encoder, known: old.objects}
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
