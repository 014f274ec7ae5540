package policy

import (
	"slices"
	"strings"
)

// Class is what a key protects, and so what becomes of a bad value.
type Class uint8

const (
	// Tuning: a bad value is left out, the rules serve.
	Tuning Class = iota
	// Routing: what the rules lead to depends on it. With a bad value they answer 503.
	Routing
	// Guard: access depends on it. With a bad value the rules fail closed.
	Guard
)

func (c Class) String() string {
	switch c {
	case Routing:
		return "routing"
	case Guard:
		return "guard"
	}
	return "tuning"
}

// outcome is what a bad value of the class comes to.
func (c Class) outcome() Outcome {
	switch c {
	case Routing:
		return Unroutable
	case Guard:
		return Refused
	}
	return Invalid
}

// Key is an annotation key that a feature has.
type Key struct {
	Name    string
	Aliases []string // other names of it, read where the first is absent
	Class   Class
	Value   string // what is accepted: "true or false", "seconds", ...
	// Default is what counts without the annotation; SpecDefault in the spec profile, where
	// it is another.
	Default, SpecDefault string
	Doc                  string // one line
	// Global: the ConfigMap has a key of the same name, which is the default.
	Global bool
	// GlobalOnly: it is a key of the ConfigMap and no annotation.
	GlobalOnly bool
	// Own: ingress-nginx has no such annotation, and it is read under Prefix alone.
	Own bool
}

// KeyDoc documents a key for the list of annotations.
type KeyDoc struct {
	Key
	Feature string // empty for a key that no feature has
	// Outcome is of any value, for a key that no feature has.
	Outcome Outcome
}

// Keys returns all keys that are known, by name: those of the features, and those that are only
// recognised.
func Keys() []KeyDoc {
	var all []KeyDoc
	for _, f := range chain {
		for _, k := range f.keys {
			all = append(all, KeyDoc{Key: k, Feature: f.name})
		}
	}
	for _, k := range keys {
		class := Tuning
		switch k.outcome {
		case Refused:
			class = Guard
		case Unroutable, Dropped, OtherHosts:
			class = Routing
		}
		all = append(all, KeyDoc{Key: Key{Name: k.name, Class: class, Doc: k.doc}, Outcome: k.outcome})
	}
	slices.SortFunc(all, func(a, b KeyDoc) int { return strings.Compare(a.Name, b.Name) })
	return all
}
