package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/router"
)

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
		if named, who := w.namedByOthers(); named != "" {
			detail, objects = detail+"; "+named, who
		} else if near, who := w.nearHosts(); near != "" {
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

// beforeDefault says what keeps a request that no rule matches from the default backend.
func (w *walk) beforeDefault() string {
	return fmt.Sprintf("by the controller's ConfigMap what no rule matches is answered %d %s", w.decision.Status, w.decision.Reason)
}

func (w *walk) wantedHost() string {
	return "create an Ingress with a rule for the host, or correct the URL: kubectl get ingress -A"
}

// namedByOthers says which Ingresses that are not ours have rules for the very host and none that
// matches. Those that match are told by the step class.
func (w *walk) namedByOthers() (string, []string) {
	if w.decision.Host == "" {
		return "", nil
	}
	var texts, names []string
	for _, o := range w.others[w.decision.Host] {
		if _, matches := w.rival(o); matches {
			continue
		}
		class := "it names no IngressClass"
		if o.claim.Class != "" {
			class = "its class is " + o.claim.Class
		}
		if name := ingressName(o.Ingress); !slices.Contains(names, name) {
			texts, names = append(texts, name+" has the host, not for this path, and is not ours: "+class), append(names, name)
		}
	}
	return strings.Join(some(texts, 3), "; "), names
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
