package manifest

import (
	"crypto/sha256"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// document is what one chunk of text holds. It does not change once it was read, and may
// stand in several files. Lines count from 1 in it.
type document struct {
	text     string
	objects  []*object // those that are accepted
	problems []docProblem
	broken   bool // the text ends in an error of syntax
}

// object is one API object of a document, also one of the items of a List.
type object struct {
	id      ingress.Object // that of content
	content *content
	line    int
	path    []int // the number of the top value, then of the item for each List around
}

// content is a decoded object, shared by all places that have the same JSON.
type content struct {
	key    contentKey
	id     ingress.Object // without a UID
	object metav1.Object
}

type contentKey struct {
	kind string // some lists leave it out of the JSON of their items
	json [sha256.Size]byte
}

// docProblem is a Problem at a line of a document. A zero Object stands for the file.
type docProblem struct {
	line    int
	problem ingress.Problem
}

func (d *document) add(line int, p ingress.Problem) {
	d.problems = append(d.problems, docProblem{line, p})
}

// in returns the node of o among the top values of its document.
func (o *object) in(roots []*yaml.Node) *yaml.Node {
	if o.path[0] >= len(roots) {
		return nil
	}
	n := resolve(roots[o.path[0]])
	for _, i := range o.path[1:] {
		items := own(n, "items")
		if items == nil || i >= len(items.Content) {
			return nil
		}
		n = resolve(items.Content[i])
	}
	return n
}
