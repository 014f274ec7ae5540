package ingress

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Object identifies an API object in a Problem.
type Object struct {
	Kind      string
	Namespace string // empty for objects of the cluster
	Name      string
	UID       types.UID // may be empty
}

// String returns "Kind namespace/name", or "Kind name".
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Severity says whether a Problem changes what requests get.
type Severity uint8

const (
	// Warning: everything is served as written.
	Warning Severity = iota
	// Error: a route does not do what is written (dropped, 404, 503, failing closed, the
	// default certificate).
	Error
)

func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Problem is one mistake of a user, on the object where it can be mended.
type Problem struct {
	Object   Object
	Severity Severity
	Reason   Reason
	// Field is the path of the mistake in the object, as kubectl writes it
	// ("spec.rules[0].http.paths[1].backend"); empty for the object as a whole.
	Field string
	// Err says which thing, what was wanted and what came.
	Err error
}

// Compare orders Problems by object, reason, field and text: the order they are shown in.
func (p Problem) Compare(q Problem) int {
	if c := strings.Compare(p.Object.String(), q.Object.String()); c != 0 {
		return c
	}
	if c := strings.Compare(string(p.Reason), string(q.Reason)); c != 0 {
		return c
	}
	if c := strings.Compare(p.Field, q.Field); c != 0 {
		return c
	}
	return strings.Compare(p.Err.Error(), q.Err.Error())
}

// Reason is the kind of a Problem: an UpperCamel word of a closed set, the same in Events,
// metrics, /debug/problems and the documentation.
type Reason string
