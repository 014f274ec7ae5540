package ingress

import (
	"slices"
	"strings"

	netv1 "k8s.io/api/networking/v1"
)

// classAnnotation names the class in objects from before the field existed.
const classAnnotation = "kubernetes.io/ingress.class"

// classes decides whose an Ingress is.
type classes struct {
	options *Options
	byName  map[string]*netv1.IngressClass
}

func newClasses(o *Options, list []*netv1.IngressClass) classes {
	cs := classes{options: o, byName: make(map[string]*netv1.IngressClass, len(list))}
	for _, c := range list {
		cs.byName[c.Name] = c
	}
	return cs
}

// claims reports whether the Ingress is ours to serve. When it is not, the Problem may say
// why a user would have expected it to be; that of an Ingress of another controller is zero.
func (cs classes) claims(ing *netv1.Ingress) (bool, Problem) {
	if name := ing.Spec.IngressClassName; name != nil && *name != "" {
		return cs.named(ing, *name)
	}
	if name := ing.Annotations[classAnnotation]; name != "" {
		return cs.annotated(ing, name)
	}
	return cs.options.WatchWithoutClass, Problem{}
}

// named judges spec.ingressClassName. Only an IngressClass says whose it is, and a missing
// one is reported as it may be ours, unless the annotation beside it names another class.
func (cs classes) named(ing *netv1.Ingress, name string) (bool, Problem) {
	class := cs.byName[name]
	if class == nil {
		if cs.byOption(name) {
			return true, Problem{}
		}
		if old := ing.Annotations[classAnnotation]; old != "" && old != cs.options.IngressClass && !cs.ours(cs.byName[old]) {
			return false, Problem{}
		}
		return false, found(ClassNotFound, "IngressClass %s not found", name).on(ingressObject(ing), "spec.ingressClassName")
	}
	if !cs.ours(class) {
		return false, Problem{}
	}
	return cs.usable(ing, class, "spec.ingressClassName")
}

// annotated judges the annotation. Where an IngressClass of the name exists, its controller
// decides, so that two of our installations with one class name do not serve the same
// Ingress; otherwise the name must be ours.
func (cs classes) annotated(ing *netv1.Ingress, name string) (bool, Problem) {
	class := cs.byName[name]
	if class == nil {
		return name == cs.options.IngressClass, Problem{}
	}
	if !cs.ours(class) {
		return false, Problem{}
	}
	return cs.usable(ing, class, "metadata.annotations["+classAnnotation+"]")
}

// usable fails closed for a class whose parameters would have to be honoured.
func (cs classes) usable(ing *netv1.Ingress, class *netv1.IngressClass, field string) (bool, Problem) {
	if class.Spec.Parameters == nil {
		return true, Problem{}
	}
	return false, found(ParametersUnsupported, "IngressClass %s has spec.parameters, which are not supported: not served", class.Name).on(ingressObject(ing), field)
}

func (cs classes) ours(class *netv1.IngressClass) bool {
	return class != nil && (slices.Contains(cs.options.ControllerClasses, class.Spec.Controller) || cs.byOption(class.Name))
}

func (cs classes) byOption(name string) bool {
	return cs.options.IngressClassByName && name == cs.options.IngressClass
}

// problems are those of the classes themselves. Classes of others are mentioned only where
// they and ours cannot both be right.
func (cs classes) problems(list []*netv1.IngressClass) []Problem {
	var problems []Problem
	for _, c := range list {
		if p := c.Spec.Parameters; p != nil && cs.ours(c) {
			f := found(ParametersUnsupported, "spec.parameters names %s %s, and parameters are not supported: the Ingresses of this class are not served", p.Kind, p.Name)
			problems = append(problems, f.on(classObject(c), "spec.parameters"))
		}
	}
	if _, ambiguous := DefaultClass(list); slices.ContainsFunc(ambiguous, func(p Problem) bool { return cs.ours(cs.byName[p.Object.Name]) }) {
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
