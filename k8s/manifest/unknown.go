package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// describeUnknown says what could have stood where the field at path does.
func describeUnknown(path string, t reflect.Type) error {
	names := strings.FieldsFunc(path, func(r rune) bool { return r == '.' })
	if len(names) == 0 {
		return errors.New("unknown field")
	}
	for _, name := range names[:len(names)-1] {
		name, _, _ = strings.Cut(name, "[")
		f, ok := fieldOf(t, name)
		if !ok {
			return fmt.Errorf("unknown field %q", names[len(names)-1])
		}
		t = f
	}
	last := names[len(names)-1]
	known := fieldNames(element(t))
	if near := nearest(last, known); near != "" {
		return fmt.Errorf("unknown field %q; wanted %q", last, near)
	}
	if len(known) == 0 || len(known) > manyFields {
		return fmt.Errorf("unknown field %q", last)
	}
	return fmt.Errorf("unknown field %q; wanted one of %s", last, strings.Join(known, ", "))
}

// manyFields are more than a message can list.
const manyFields = 10

// nearest returns the word that name was probably meant to be, or "".
func nearest(name string, words []string) string {
	best, most := "", 1+len(name)/4
	for _, w := range words {
		if strings.EqualFold(name, w) {
			return w
		}
		if d := distance(name, w); d <= most {
			best, most = w, d-1
		}
	}
	return best
}

// distance is how many letters to insert, remove, replace or exchange with the next make a
// into b.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	next := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}

// element returns the struct that t leads to through pointers and lists.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	if t = element(t); t.Kind() != reflect.Struct {
		return nil, false
	}
	for f := range t.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == name && tag != "" {
			return f.Type, true
		}
		if tag == "" && f.Anonymous {
			if found, ok := fieldOf(f.Type, name); ok {
				return found, true
			}
		}
	}
	return nil, false
}

func fieldNames(t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for f := range t.Fields() {
		switch tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); {
		case tag != "" && tag != "-":
			names = append(names, tag)
		case tag == "" && f.Anonymous:
			names = append(names, fieldNames(element(f.Type))...)
		}
	}
	return names
}
