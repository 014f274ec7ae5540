package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// stdin is the path that stands for standard input.
const stdin = "-"

// tree is the list of the files to read, as one walk found them.
type tree struct {
	entries  []entry // ordered by argument, then by path
	problems []Problem
	dirs     map[string]struct{} // the real paths of the directories walked
	points   map[string]struct{} // what decides where the paths lead; see chase
	files    map[string]struct{} // the real paths of entries
	changed  time.Time           // when the list of one of the directories last did

	// watch, when it is not nil, is told of each directory in which a change matters, before
	// the directory is read, so that no change falls between.
	watch func(dir string)
}

// entry is a file to read.
type entry struct {
	path string // for people
	real string // see chase
	info fs.FileInfo
}

func newTree() *tree {
	return &tree{
		dirs:   make(map[string]struct{}),
		points: make(map[string]struct{}),
		files:  make(map[string]struct{}),
	}
}

// add adds a path that a user named: a directory, a file of any name, or "-".
func (t *tree) add(path string) error {
	if path == stdin {
		t.entries = append(t.entries, entry{path: stdin})
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return t.walk(path)
	}
	real, _, err := chase(path)
	if err != nil {
		real = path // of a pipe that has no name, as /dev/fd/63
	}
	t.file(entry{path, real, info})
	return nil
}

// walk adds the manifests below the directory root. It fails when root itself cannot be read.
func (t *tree) walk(root string) error {
	real, err := t.chase(root)
	if err != nil {
		return err
	}
	from := len(t.entries)
	if err := t.dir(root, real); err != nil {
		return err
	}
	slices.SortFunc(t.entries[from:], func(a, b entry) int { return strings.Compare(a.path, b.path) })
	return nil
}

// chase is the function chase, with the watching of what it goes through.
func (t *tree) chase(path string) (string, error) {
	real, points, err := chase(path)
	for _, p := range points {
		if _, ok := t.points[p]; ok {
			continue
		}
		t.points[p] = struct{}{}
		if t.watch != nil {
			t.watch(filepath.Dir(p))
		}
	}
	return real, err
}

// dir adds what is below one directory. Each is read once, whatever links lead to it.
func (t *tree) dir(path, real string) error {
	if _, ok := t.dirs[real]; ok {
		return nil
	}
	t.dirs[real] = struct{}{}
	if t.watch != nil {
		t.watch(real)
	}
	list, err := os.ReadDir(real)
	if err != nil {
		return err
	}
	// After the reading: a file that is renamed meanwhile can be missing under both names.
	if info, err := os.Stat(real); err == nil && info.ModTime().After(t.changed) {
		t.changed = info.ModTime()
	}
	for _, d := range list {
		if strings.HasPrefix(d.Name(), ".") {
			continue
		}
		path, real := filepath.Join(path, d.Name()), filepath.Join(real, d.Name())
		if err := t.dirEntry(path, real, d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.problems = append(t.problems, fileProblem(path, FileUnreadable, err))
		}
	}
	return nil
}

func (t *tree) dirEntry(path, real string, d fs.DirEntry) error {
	if d.Type()&fs.ModeSymlink == 0 {
		if d.IsDir() {
			return t.dir(path, real)
		}
		if !isManifest(path) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return t.regular(entry{path, real, info})
	}
	target, err := t.chase(real)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && isManifest(path) {
			return fmt.Errorf("the symbolic link leads to %s, which does not exist", target)
		}
		return err
	}
	info, err := os.Stat(target)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return t.dir(path, target)
	case isManifest(path):
		return t.regular(entry{path, target, info})
	}
	return nil
}

// regular adds a file that was found. Opening anything but a regular one can block for ever.
func (t *tree) regular(e entry) error {
	if !e.info.Mode().IsRegular() {
		return fmt.Errorf("wanted a regular file, got %s", e.info.Mode().Type())
	}
	t.file(e)
	return nil
}

// file adds e, once however many links lead to it.
func (t *tree) file(e entry) {
	if _, ok := t.files[e.real]; ok {
		return
	}
	t.files[e.real] = struct{}{}
	t.entries = append(t.entries, e)
}

// concerns reports whether a change of the file or directory name, by its real path, can
// change what the tree holds. created tells that it may be a directory that was not there.
func (t *tree) concerns(name string, created bool) bool {
	if _, ok := t.points[name]; ok {
		return true
	}
	if _, ok := t.dirs[name]; ok {
		return true
	}
	if _, ok := t.files[name]; ok {
		return true
	}
	if _, ok := t.dirs[filepath.Dir(name)]; !ok {
		return false
	}
	return !strings.HasPrefix(filepath.Base(name), ".") && (created || isManifest(name))
}

// isManifest reports whether a file of that name is read. It leaves out what editors put
// beside the files they work on.
func isManifest(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// fileProblem is a Problem of a whole file.
func fileProblem(path string, reason ingress.Reason, err error) Problem {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		err = e.Err // the path is in the Problem
	}
	severity := ingress.Error
	if reason == WatchUnavailable {
		severity = ingress.Warning
	}
	return Problem{File: path, Problem: ingress.Problem{
		Object:   ingress.Object{Kind: "File", Name: path},
		Severity: severity,
		Reason:   reason,
		Err:      err,
	}}
}
