package manifest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// chase follows the symbolic links of path. real is where it leads, absolute and without
// links. points are the links on the way, and real: when one of them is made, replaced or
// removed, path leads elsewhere. With an error, real is what is missing or unreadable.
//
// A mounted ConfigMap changes by replacing the link ..data, a git-sync checkout by replacing
// a link further up; so the points matter as much as the file.
func chase(path string) (real string, points []string, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return path, nil, err
	}
	const separator = string(filepath.Separator)
	volume := filepath.VolumeName(path)
	real = volume + separator
	rest := strings.Split(path[len(volume):], separator)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			real = filepath.Dir(real)
			continue
		}
		next := filepath.Join(real, name)
		info, err := os.Lstat(next)
		if err != nil {
			return next, append(points, next), err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			real = next
			continue
		}
		points = append(points, next)
		if links++; links > maxLinks {
			return next, points, &fs.PathError{Op: "open", Path: path, Err: errors.New("too many symbolic links")}
		}
		target, err := os.Readlink(next)
		if err != nil {
			return next, points, err
		}
		if filepath.IsAbs(target) {
			volume := filepath.VolumeName(target)
			real, target = volume+separator, target[len(volume):]
		}
		rest = append(strings.Split(target, separator), rest...)
	}
	return real, append(points, real), nil
}
