package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// maxFile bounds one file. What kubectl prints of a thousand objects is some 3 MiB.
const maxFile = 16 << 20

// racy is how close a file's time may be to the time it was read for a later write to leave
// the same time: the step of the clock of file systems, with room.
const racy = 100 * time.Millisecond

var errTooLarge = fmt.Errorf("larger than %d MiB", maxFile>>20)

// file is one file as it was read.
type file struct {
	info    fs.FileInfo // nil when it could not be read
	racy    bool        // info may not tell of the next change
	chunks  []chunk
	problem *Problem // of the file as a whole
}

// current reports whether e is still as it was when f was read. f may be nil.
func (f *file) current(e entry) bool {
	return f != nil && f.info != nil && e.info != nil && !f.racy && unchanged(f.info, e.info)
}

// read reads the file of e. It returns nil when the file is gone since the walk. done is false
// when the file looks as if its writer had not finished, or is gone, as it may have another
// name now.
func read(e entry, quiet time.Duration) (f *file, done bool) {
	now := time.Now()
	text, info, done, err := readFile(e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	f = &file{info: info}
	if info != nil {
		age := now.Sub(info.ModTime())
		f.racy, done = age < racy, done && age >= quiet
	}
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
	if before.Mode().IsRegular() && before.Size() > maxFile {
		return "", before, true, errTooLarge
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
		return "", errTooLarge
	}
	return textOf(b)
}

var utf8BOM, utf16LE, utf16BE = []byte("\xef\xbb\xbf"), []byte("\xff\xfe"), []byte("\xfe\xff")

// textOf returns the bytes of a file as text without its byte order mark.
func textOf(b []byte) (string, error) {
	if bytes.HasPrefix(b, utf16LE) || bytes.HasPrefix(b, utf16BE) {
		return "", errors.New("the file is UTF-16; wanted UTF-8")
	}
	return string(bytes.TrimPrefix(b, utf8BOM)), nil
}
