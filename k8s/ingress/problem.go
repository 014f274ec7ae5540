package ingress

import (
	"cmp"
	"fmt"
	"slices"

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

func (o Object) compare(p Object) int {
	return cmp.Or(cmp.Compare(o.Kind, p.Kind), cmp.Compare(o.Namespace, p.Namespace), cmp.Compare(o.Name, p.Name))
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
	if c := cmp.Or(p.Object.compare(q.Object), cmp.Compare(p.Reason, q.Reason), cmp.Compare(p.Field, q.Field)); c != 0 {
		return c
	}
	return cmp.Compare(p.Err.Error(), q.Err.Error())
}

// Reason is the kind of a Problem: an UpperCamel word of a closed set, the same in Events,
// metrics, /debug/problems and the documentation.
type Reason string

// finding is a Problem before it is known whose it is.
type finding struct {
	reason Reason
	err    error
}

func found(r Reason, format string, args ...any) finding {
	return finding{reason: r, err: fmt.Errorf(format, args...)}
}

func (f finding) on(o Object, field string) Problem {
	return Problem{Object: o, Severity: f.reason.severity(), Reason: f.reason, Field: field, Err: f.err}
}

// sorted sorts problems in place and removes those that say the same.
func sorted(problems []Problem) []Problem {
	slices.SortFunc(problems, Problem.Compare)
	return slices.CompactFunc(problems, func(p, q Problem) bool { return p.Compare(q) == 0 })
}

// maxListed is how many mistakes of one object are listed. All are looked at with every change, and told
// of in many places: an object of 1 MiB has room for 40,000.
const maxListed = 100

// listed leaves the mistakes of one object that are listed, errors first.
func listed(problems []Problem) []Problem {
	if len(problems) <= maxListed {
		return problems
	}
	all := sorted(slices.Clone(problems))
	if len(all) <= maxListed {
		return all
	}
	slices.SortStableFunc(all, func(p, q Problem) int { return cmp.Compare(q.Severity, p.Severity) })
	list := slices.Clone(all[:maxListed])
	last := &list[maxListed-1]
	last.Err = fmt.Errorf("%w (and more mistakes of this %s, which are not listed)", last.Err, last.Object.Kind)
	return list
}

// listedOfEach leaves of the Problems of each object those that are listed.
func listedOfEach(problems []Problem) []Problem {
	if len(problems) <= maxListed {
		return problems
	}
	count := make(map[Object]int)
	for i := range problems {
		count[problems[i].Object]++
	}
	many := make(map[Object][]Problem)
	few := problems[:0:0]
	for i := range problems {
		if o := problems[i].Object; count[o] > maxListed {
			many[o] = append(many[o], problems[i])
		} else {
			few = append(few, problems[i])
		}
	}
	for _, list := range many {
		few = append(few, listed(list)...)
	}
	return few
}
