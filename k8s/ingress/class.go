package ingress

import (
	"slices"
	"strings"

	netv1 "k8s.io/api/networking/v1"
)

// classAnnotation names the class in objects from before the field existed.
const classAnnotation = "kubernetes.io/ingress.class"

// Classes decides whose an Ingress is.
type Classes struct {
	options Options
	byName  map[string]*netv1.IngressClass
}

// NewClasses returns what decides by the IngressClasses of list.
func NewClasses(o Options, list []*netv1.IngressClass) *Classes {
	return newClasses(o.withDefaults(), list)
}

func newClasses(o Options, list []*netv1.IngressClass) *Classes {
	cs := &Classes{options: o, byName: make(map[string]*netv1.IngressClass, len(list))}
	for _, c := range list {
		cs.byName[c.Name] = c
	}
	return cs
}

// Whose says whose an Ingress is, and by what that was found.
type Whose uint8

const (
	// Ours: we serve it.
	Ours Whose = iota + 1
	// NobodyKnown: the IngressClass that it names does not exist.
	NobodyKnown
	// Foreign: its class, or what the annotation names, is another controller's.
	Foreign
	// Classless: it names no class.
	Classless
	// OursUnusable: its class is ours and has spec.parameters, so it is not served.
	OursUnusable
)

// Claim is what was decided of one Ingress.
type Claim struct {
	Whose
	// Class is the name that the Ingress gives; "" for none.
	Class string
	// Object is the IngressClass of that name; nil when there is none.
	Object *netv1.IngressClass
	// Annotated says that the annotation kubernetes.io/ingress.class gives the name.
	Annotated bool
	// Problem says why a user would have expected it to be ours; zero for an Ingress that is
	// ours, or plainly somebody else's.
	Problem Problem
}

// Claim decides whose an Ingress is.
func (cs *Classes) Claim(ing *netv1.Ingress) Claim {
	if name := ing.Spec.IngressClassName; name != nil && *name != "" {
		return cs.named(ing, *name)
	}
	if name := ing.Annotations[classAnnotation]; name != "" {
		return cs.annotated(ing, name)
	}
	if cs.options.WatchWithoutClass {
		return Claim{Whose: Ours}
	}
	return Claim{Whose: Classless}
}

// named judges spec.ingressClassName. Only an IngressClass says whose it is, and a missing
// one is reported as it may be ours, unless the annotation beside it names another class.
func (cs *Classes) named(ing *netv1.Ingress, name string) Claim {
	c := Claim{Whose: Foreign, Class: name, Object: cs.byName[name]}
	if c.Object == nil {
		if cs.byOption(name) {
			c.Whose = Ours
			return c
		}
		c.Whose = NobodyKnown
		if old := ing.Annotations[classAnnotation]; old != "" && old != cs.options.IngressClass && !cs.Ours(cs.byName[old]) {
			return c
		}
		c.Problem = found(ClassNotFound, "IngressClass %s not found", name).on(ingressObject(ing), "spec.ingressClassName")
		return c
	}
	if !cs.Ours(c.Object) {
		return c
	}
	return cs.usable(ing, c, "spec.ingressClassName")
}

// annotated judges the annotation. Where an IngressClass of the name exists, its controller
// decides, so that two of our installations with one class name do not serve the same
// Ingress; otherwise the name must be ours.
func (cs *Classes) annotated(ing *netv1.Ingress, name string) Claim {
	c := Claim{Whose: Foreign, Class: name, Object: cs.byName[name], Annotated: true}
	if c.Object == nil {
		if name == cs.options.IngressClass {
			c.Whose = Ours
		}
		return c
	}
	if !cs.Ours(c.Object) {
		return c
	}
	return cs.usable(ing, c, "metadata.annotations["+classAnnotation+"]")
}

// usable fails closed for a class whose parameters would have to be honoured.
func (cs *Classes) usable(ing *netv1.Ingress, c Claim, field string) Claim {
	if c.Whose = Ours; c.Object.Spec.Parameters == nil {
		return c
	}
	c.Whose = OursUnusable
	c.Problem = found(ParametersUnsupported, "IngressClass %s has spec.parameters, which are not supported: not served", c.Class).on(ingressObject(ing), field)
	return c
}

// Ours reports whether we serve the Ingresses of a class; false for nil.
func (cs *Classes) Ours(class *netv1.IngressClass) bool {
	return class != nil && (slices.Contains(cs.options.ControllerClasses, class.Spec.Controller) || cs.byOption(class.Name))
}

func (cs *Classes) byOption(name string) bool {
	return cs.options.IngressClassByName && name == cs.options.IngressClass
}

// problems are those of the classes themselves. Classes of others are mentioned only where
// they and ours cannot both be right.
func (cs *Classes) problems(list []*netv1.IngressClass) []Problem {
	var problems []Problem
	for _, c := range list {
		if p := c.Spec.Parameters; p != nil && cs.Ours(c) {
			f := found(ParametersUnsupported, "spec.parameters names %s %s, and parameters are not supported: the Ingresses of this class are not served", p.Kind, p.Name)
			problems = append(problems, f.on(classObject(c), "spec.parameters"))
		}
	}
	if _, ambiguous := DefaultClass(list); slices.ContainsFunc(ambiguous, func(p Problem) bool { return cs.Ours(cs.byName[p.Object.Name]) }) {
		problems = append(problems, ambiguous...)
	}
	return problems
}

// DefaultClass returns the class that a new Ingress without one gets, as the API server's
// admission chooses it: of the classes marked as default the newest, and of equally old ones
// the first by name. It is nil when there is none; when there are several, each has a
// Problem.
func DefaultClass(list []*netv1.IngressClass) (*netv1.IngressClass, []Problem) {
	var marked []*netv1.IngressClass
	for _, c := range list {
		if c.Annotations[netv1.AnnotationIsDefaultIngressClass] == "true" {
			marked = append(marked, c)
		}
	}
	if len(marked) == 0 {
		return nil, nil
	}
	slices.SortFunc(marked, func(a, b *netv1.IngressClass) int {
		if c := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	if len(marked) == 1 {
		return marked[0], nil
	}
	names := make([]string, len(marked))
	for i, c := range marked {
		names[i] = c.Name
	}
	f := found(DefaultClassAmbiguous, "%d IngressClasses are marked as default (%s): new Ingresses without a class get %s",
		len(marked), strings.Join(names, ", "), names[0])
	var problems []Problem
	for _, c := range marked {
		problems = append(problems, f.on(classObject(c), "metadata.annotations["+netv1.AnnotationIsDefaultIngressClass+"]"))
	}
	return marked[0], sorted(problems)
}

func classObject(c *netv1.IngressClass) Object {
	return Object{Kind: "IngressClass", Name: c.Name, UID: c.UID}
}

func ingressObject(ing *netv1.Ingress) Object {
	return Object{Kind: "Ingress", Namespace: ing.Namespace, Name: ing.Name, UID: ing.UID}
}
