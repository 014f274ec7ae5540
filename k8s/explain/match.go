package explain

import (
	"fmt"
	"strings"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
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

// beforeDefault says what keeps a request that no rule matches from the default backend.
func (w *walk) beforeDefault() string {
	return fmt.Sprintf("by the controller's ConfigMap what no rule matches is answered %d %s", w.decision.Status, w.decision.Reason)
}

// host says by which host the rules were chosen, and what host was perhaps meant.
func (w *walk) host() finding {
	d := &w.decision
	shown := d.Host
	if shown == "" {
		shown = "no host"
	}
	if d.Reason == "bad-host" || d.Reason == "host-mismatch" {
		return broken("BadHost", d.Err.Error(), "ask with a valid Host; the rules' hosts: kubectl get ingress -A")
	}
	if d.Answer != (proxy.Answer{}) && d.Outcome == router.NoHost && d.Reason != "no-host-rule" {
		return skip("NoBackend", "the request is refused before its host is looked at")
	}
	if d.Outcome == router.NoHost {
		if d.Rule == nil && d.Forwarded {
			return warn("DefaultBackendOption", "no rule concerns "+shown+", and "+d.Backend.String()+" answers what no rule matches", w.wantedHost(), "Service "+d.Backend.Namespace+"/"+d.Backend.Service)
		}
		if d.Rule == nil && d.Answer == (proxy.Answer{}) {
			return warn("DefaultBackendOption", "no rule concerns "+shown+", and "+w.beforeDefault(), "")
		}
		detail, objects := "no rule concerns "+shown, []string(nil)
		if near, who := w.nearHosts(); near != "" {
			detail, objects = detail+"; "+near, who
		}
		if left := w.leftOut(); left != "" {
			detail += "; " + left
		}
		return broken("NoHostRule", detail, w.wantedHost(), objects...)
	}
	chosen := "*"
	for _, c := range w.candidates {
		if c.Loss != router.OtherHost {
			chosen = shownHost(c.Rule.Host)
			break
		}
	}
	isolated := 0
	for _, c := range w.candidates {
		if c.Loss == router.OtherHost {
			isolated++
		}
	}
	detail := "the rules of " + chosen + " are asked for " + shown
	if isolated > 0 {
		detail += fmt.Sprintf(", and %s of less specific hosts not", plural(isolated, "rule"))
	}
	object := originName(d.Rule)
	switch {
	case chosen == "*":
		return fine("HostlessMatched", detail, object)
	case strings.HasPrefix(chosen, "*."):
		return fine("WildcardMatched", detail, object)
	}
	return fine("HostMatched", detail, object)
}

func (w *walk) wantedHost() string {
	return "create an Ingress with a rule for the host, or correct the URL: kubectl get ingress -A"
}

// nearHosts says which hosts with rules were perhaps meant.
func (w *walk) nearHosts() (string, []string) {
	host := w.decision.Host
	hosts := w.Table.Hosts()
	owners := func(want string) []string {
		var names []string
		for _, r := range w.Table.Rules() {
			if shownHost(r.Host) == want {
				names = append(names, originName(r))
			}
		}
		return names
	}
	for _, h := range hosts {
		parent, wild := strings.CutPrefix(h, "*")
		switch {
		case wild && parent != "" && strings.HasSuffix(host, parent):
			return h + " has rules, and a wildcard stands for one label only", owners(h)
		case wild && parent == "."+host:
			return h + " has rules, and a wildcard does not stand for the name without a label in front", owners(h)
		case "www."+h == host || h == "www."+host:
			return h + " has rules", owners(h)
		}
	}
	if near := nearest(host, hosts); near != "" {
		return near + " has rules; was it meant?", owners(near)
	}
	return "", nil
}

// leftOut says which Ingresses for the host have rules that were dropped.
func (w *walk) leftOut() string {
	var texts []string
	for object, problems := range w.problems {
		for _, p := range problems {
			dropped := p.Reason == ingress.InvalidHost || p.Reason == ingress.InvalidPath || p.Reason == ingress.InvalidPathType ||
				p.Reason == ingress.CanaryNotServed || p.Reason == ingress.CatchAllDisabled
			if object.Kind == "Ingress" && dropped && w.concerns(object) || object.Kind == "Ingress" && w.find(object.Namespace, object.Name) == nil || object.Kind == "File" {
				texts = append(texts, object.String()+": "+p.Err.Error())
			}
		}
	}
	sortStrings(texts)
	return strings.Join(some(texts, 3), "; ")
}

// concerns reports whether a rule of the Ingress is for the host of the request, or tries to
// be.
func (w *walk) concerns(o ingress.Object) bool {
	ing := w.find(o.Namespace, o.Name)
	if ing == nil {
		return false
	}
	for _, r := range ing.Spec.Rules {
		if r.Host == "" || strings.HasPrefix(strings.ToLower(r.Host), w.decision.Host) {
			return true
		}
	}
	return len(ing.Spec.Rules) == 0
}

// path says which rule of the host answers, why each other does not, and which path was
// perhaps meant.
func (w *walk) path() finding {
	d := &w.decision
	switch d.Reason {
	case "bad-path":
		return broken("BadPath", d.Err.Error(), "correct the URL; the paths that there are: kubectl get ingress -A")
	case "ambiguous-path":
		return broken("AmbiguousPath", d.Err.Error(), "do not encode slashes in paths, or give both readings one rule: kubectl get ingress -A")
	}
	if d.Outcome == router.NoHost {
		return skip("NoBackend", "no rule concerns the host")
	}
	tried, near, objects := w.tried()
	if d.Rule == nil {
		detail := "no rule of the host matches " + d.Path.Match
		for _, part := range []string{near, tried, w.leftOut()} {
			if part != "" {
				detail += "; " + part
			}
		}
		edit := "kubectl get ingress -A"
		if len(objects) > 0 {
			edit = editIngress(w.candidates[0].Rule.Origin)
		}
		if d.Forwarded {
			return warn("DefaultBackendOption", detail+"; "+d.Backend.String()+" answers what no rule matches", "", objects...)
		}
		if d.Answer == (proxy.Answer{}) {
			return warn("DefaultBackendOption", detail+"; "+w.beforeDefault(), "", objects...)
		}
		return broken("NoPathRule", detail, "add a path that matches, or correct the URL: "+edit, objects...)
	}
	f := fine("PathMatched", describeRule(d.Rule)+" matches "+d.Path.Match, append([]string{originName(d.Rule)}, objects...)...)
	if d.Outcome == router.MatchedDefault {
		f.reason = "DefaultBackend"
		f.detail = "no path of the host matches " + d.Path.Match + ", and " + describeRule(d.Rule) + " answers"
		if near != "" {
			f.detail += "; " + near
		}
	}
	if tried != "" {
		f.detail += "; " + tried
	}
	for _, c := range w.candidates {
		if c.Loss == router.Displaced && c.By == d.Rule {
			return warn(Reason(ingress.RouteConflict), fmt.Sprintf("%s and %s match the same requests; the latter is served as it comes first; %s",
				describeRule(c.Rule), describeRule(c.By), f.detail),
				"give one of them another path: "+editIngress(c.Rule.Origin), originName(c.By), originName(c.Rule))
		}
	}
	if f.detail == "" || d.Rule.Answer.Reason != "routing-unsupported" {
		return f
	}
	for _, p := range w.problemsOf("Ingress", d.Rule.Origin.Namespace, d.Rule.Origin.Name) {
		if p.Reason == ingress.RoutingUnsupported && !strings.HasPrefix(p.Field, "metadata.annotations[") {
			return broken(problemReason(p), p.Err.Error(), "correct the path: "+editIngress(d.Rule.Origin), originName(d.Rule))
		}
	}
	if p, ok := w.routingProblem("use-regex", "rewrite-target"); ok {
		return broken(problemReason(p), p.Err.Error(), "take the annotation out: "+editIngress(d.Rule.Origin), originName(d.Rule))
	}
	return f
}

// tried says why the candidates lost, and which of them was perhaps meant.
func (w *walk) tried() (tried, near string, objects []string) {
	const most = 8
	var texts []string
	for _, c := range w.candidates {
		if c.Loss == router.Won {
			continue
		}
		why := map[router.Loss]string{
			router.OtherPath: "does not match", router.OtherHost: "is of a less specific host", router.Displaced: "comes later than " + originOf(c.By),
			router.ExactFirst: "matches, but Exact comes first", router.Shorter: "matches, but is shorter",
			router.LaterType: "matches, but its path type comes later", router.PathMatched: "is not needed, as a path matches",
		}[c.Loss]
		texts = append(texts, describeRule(c.Rule)+" "+why)
		if c.Loss == router.OtherPath && near == "" {
			near = w.nearPath(c.Rule)
		}
		if len(objects) < most {
			objects = append(objects, originName(c.Rule))
		}
	}
	return strings.Join(some(texts, most), "; "), near, objects
}

func originOf(r *proxy.Rule) string {
	if r == nil {
		return ""
	}
	return r.Origin.String()
}

// nearPath says how the path of the request misses that of a rule by a hair, asking the router
// about the path that was perhaps meant.
func (w *walk) nearPath(r *proxy.Rule) string {
	path := w.decision.Path.Match
	matches := func(rule proxy.Rule, path string) bool { return entries([]*proxy.Rule{&rule})[0].MatchesPath(path) }
	other, change := path+"/", "with a slash at the end"
	if strings.HasSuffix(path, "/") && path != "/" {
		other, change = strings.TrimSuffix(path, "/"), "without the slash at the end"
	}
	lower := *r
	lower.Path = strings.ToLower(r.Path)
	switch {
	case r.PathType == router.HostOnly || r.PathType == router.Default:
		return ""
	case matches(*r, other):
		return describeRule(r) + " matches it " + change
	case matches(lower, strings.ToLower(path)):
		return describeRule(r) + " matches it in another case, and case matters"
	case strings.HasPrefix(path, strings.TrimSuffix(r.Path, "/")) && r.PathType != router.Exact:
		return describeRule(r) + " is a part of its text, and prefixes match whole elements only"
	case strings.HasPrefix(path, strings.TrimSuffix(r.Path, "/")+"/") && r.Path != "/":
		return describeRule(r) + " is Exact and does not match what lies below it; pathType Prefix would"
	case r.Path != "/" && policy.Distance(path, r.Path) <= 2:
		return describeRule(r) + " is nearly the same; was it meant?"
	}
	return ""
}
