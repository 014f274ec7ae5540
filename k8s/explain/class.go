package explain

import (
	"fmt"
	"strings"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/router"
)

// rival is an Ingress that is not ours and whose rules match the request.
type rival struct {
	other
	wins bool // if it were ours, it would answer in place of what does
}

// rivals asks the router what the Ingresses that are not ours would do if they were.
func (w *walk) rivals() []rival {
	host := w.decision.Host
	if w.decision.Path.Match == "" {
		return nil // the request is refused before anything is matched
	}
	keys := []string{host, ""}
	if i := strings.IndexByte(host, '.'); i > 0 {
		keys = []string{host, "*" + host[i:], ""}
	}
	if host == "" {
		keys = keys[1:]
	}
	seen := make(map[other]bool)
	var found []rival
	for _, key := range keys {
		for _, o := range w.others[key] {
			if id := (other{Ingress: o.Ingress}); !seen[id] {
				seen[id] = true
				if r, ok := w.rival(o); ok {
					found = append(found, r)
				}
			}
		}
	}
	return found
}

func (w *walk) rival(o other) (rival, bool) {
	rules, _ := ingress.Rules(w.Options, o.Ingress)
	routes := entries(rules)
	alone, _ := router.Build(routes)
	if r, _ := alone.Lookup(w.decision.Host, w.decision.Path.Match); r == nil {
		return rival{}, false
	}
	for _, c := range w.candidates {
		routes = append(routes, entries([]*proxy.Rule{c.Rule})...)
	}
	together, _ := router.Build(routes)
	r, _ := together.Lookup(w.decision.Host, w.decision.Path.Match)
	// A host of ours that is more specific may be isolated from it, and then nothing answers.
	return rival{o, r != nil && r.Origin.Namespace == o.Namespace && r.Origin.Name == o.Name}, true
}

func entries(rules []*proxy.Rule) []*router.Route {
	routes := make([]*router.Route, len(rules))
	for i, r := range rules {
		routes[i] = &router.Route{Host: r.Host, Path: r.Path, PathType: r.PathType, Origin: r.Origin, Target: r.Target()}
	}
	return routes
}

// class says which Ingresses match and are not ours. A mistake comes before what somebody
// else's controller is meant to serve.
func (w *walk) class() finding {
	rivals := w.rivals()
	if w.ing == nil && len(rivals) == 0 {
		return skip("NoIngress", "no Ingress asks for this host and path, of whatever class")
	}
	var mistakes, foreign []finding
	for _, r := range rivals {
		f := w.judgeRival(r)
		if r.claim.Whose == ingress.Foreign {
			foreign = append(foreign, f)
		} else {
			mistakes = append(mistakes, f)
		}
	}
	list := append(mistakes, foreign...)
	if w.ing == nil {
		f := list[0]
		for _, more := range list[1:] {
			f.detail += "; " + more.detail
			f.objects = append(f.objects, more.objects...)
		}
		f.verdict = Broken
		return f
	}
	name := "none"
	if c := w.classes.Claim(w.ing); c.Class != "" {
		name = c.Class
	}
	f := fine("ClassOurs", ingressName(w.ing)+" is ours by its class "+name, ingressName(w.ing))
	for i, r := range rivals {
		if r.claim.Whose != ingress.Foreign && r.wins {
			g := w.judgeRival(rivals[i])
			g.verdict = Warning
			return worst(f, g)
		}
		f.detail += "; " + ingressName(r.Ingress) + " matches too and is not ours"
		f.objects = append(f.objects, ingressName(r.Ingress))
	}
	return f
}

func (w *walk) judgeRival(r rival) finding {
	name := ingressName(r.Ingress)
	ours := w.ourClasses()
	patch := "see which IngressClasses there are: kubectl get ingressclasses"
	if len(ours) > 0 {
		patch = "give it our class: " + kubectl(r.Namespace, fmt.Sprintf(`patch ingress %s --type=merge -p '{"spec":{"ingressClassName":%q}}'`, r.Name, ours[0]))
	}
	class := "IngressClass " + r.claim.Class
	switch r.claim.Whose {
	case ingress.Classless:
		return broken("NoClass", name+" matches and names no IngressClass", patch, name)
	case ingress.OursUnusable:
		return broken(Reason(ingress.ParametersUnsupported), name+" matches, and its "+class+" has spec.parameters, which are not supported",
			"take them out; spec.parameters can be removed: "+kubectl("", fmt.Sprintf(`patch ingressclass %s --type=json -p '[{"op":"remove","path":"/spec/parameters"}]'`, r.claim.Class)), name, class)
	case ingress.NobodyKnown:
		detail := name + " matches, and its " + class + " does not exist"
		if near := nearest(r.claim.Class, ours); near != "" {
			detail += "; there is IngressClass " + near
		}
		return broken(Reason(ingress.ClassNotFound), detail, patch, name, class)
	}
	if r.claim.Annotated {
		return broken("ForeignAnnotation", fmt.Sprintf("%s matches, and its annotation kubernetes.io/ingress.class says %q, which is not ours", name, r.claim.Class), patch, name)
	}
	controller := ""
	if r.claim.Object != nil {
		controller = r.claim.Object.Spec.Controller
	}
	return broken("ForeignClass", fmt.Sprintf("%s matches, and its %s is of controller %s", name, class, controller), patch, name, class)
}

func (w *walk) ourClasses() []string {
	var names []string
	for _, c := range w.Snapshot.Classes {
		if w.classes.Ours(c) && c.Spec.Parameters == nil {
			names = append(names, c.Name)
		}
	}
	sortStrings(names)
	return names
}
