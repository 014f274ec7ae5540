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
	for _, k := range known {
		if strings.EqualFold(k, last) {
			return fmt.Errorf("unknown field %q; wanted %q", last, k)
		}
	}
	return fmt.Errorf("unknown field %q; known are %s", last, strings.Join(known, ", "))
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
