package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Directory is a Store of files, one a record: DIR/KIND/NAME.json, readable by the owner alone.
// One process at a time has it, by a lock on the file "lock". Make it with OpenDirectory.
type Directory struct {
	dir  string
	lock *os.File
	// changed is told of every record that is there at first, that is kept and, with a nil
	// record, that is deleted.
	changed func(kind, name string, record map[string][]byte)
}

const recordSuffix = ".json"

// OpenDirectory makes the directory if need be, takes its lock, and tells changed of what is
// there. changed may be nil.
func OpenDirectory(dir string, changed func(kind, name string, record map[string][]byte)) (*Directory, error) {
	if changed == nil {
		changed = func(string, string, map[string][]byte) {}
	}
	d := &Directory{dir: dir, changed: changed}
	for _, kind := range []string{KindAccount, KindOrder, KindCertificate} {
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("%s: another process has the lock: %w", dir, err)
	}
	d.lock = lock
	if err := d.tell(); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// tell tells of all records, and removes what a write that was cut short has left.
func (d *Directory) tell() error {
	for _, kind := range []string{KindAccount, KindOrder, KindCertificate} {
		left, err := filepath.Glob(filepath.Join(d.dir, kind, ".new-*"))
		if err != nil {
			return err
		}
		for _, name := range left {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
		names, err := d.List(context.Background(), kind)
		if err != nil {
			return err
		}
		for _, name := range names {
			record, err := d.Get(context.Background(), kind, name)
			if err != nil {
				return err
			}
			d.changed(kind, name, record)
		}
	}
	return nil
}

// Close gives the lock up.
func (d *Directory) Close() error { return d.lock.Close() }

// path refuses names that would be another file: they are host names and hexadecimal digits.
func (d *Directory) path(kind, name string) (string, error) {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\\x00") {
		return "", fmt.Errorf("%q cannot be the name of a file", name)
	}
	return filepath.Join(d.dir, kind, name+recordSuffix), nil
}

// Get implements Store.
func (d *Directory) Get(_ context.Context, kind, name string) (map[string][]byte, error) {
	path, err := d.path(kind, name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	record := make(map[string][]byte)
	if err := json.Unmarshal(text, &record); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return record, nil
}

// Put implements Store. A crash leaves the old record or the new one, never a part.
func (d *Directory) Put(_ context.Context, kind, name string, record map[string][]byte) error {
	path, err := d.path(kind, name)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil {
		return err
	}
	d.changed(kind, name, record)
	return nil
}

// Delete implements Store.
func (d *Directory) Delete(_ context.Context, kind, name string) error {
	path, err := d.path(kind, name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.changed(kind, name, nil)
	return nil
}

// List implements Store.
func (d *Directory) List(_ context.Context, kind string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, kind))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), recordSuffix); ok && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names, nil
}

// syncDirectory makes a rename in dir outlive a loss of power.
func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
