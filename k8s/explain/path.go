package explain

import (
	"fmt"
	"strings"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/router"
)

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
