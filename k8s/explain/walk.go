package explain

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// walk is one Question on its way through the steps.
type walk struct {
	*View
	q          Question
	decision   proxy.Decision
	candidates []proxy.Candidate
	// ing is the Ingress whose rule answers; nil when none does.
	ing *netv1.Ingress

	// key is that of the backend, also when it is not asked; zero for none. What follows is of it.
	key     upstream.Key
	service *corev1.Service // nil when there is none
	port    corev1.ServicePort
	hasPort bool
	to      upstream.Resolution
	// complaints are the Problems of resolving key.
	complaints []ingress.Problem
	report     podReport
	// without is the walk to the rule's backend, where that has no endpoints and the key is that of
	// the annotation default-backend; nil otherwise.
	without *walk

	status int // that the client gets, 0 when the backend decides
}

// behind reports whether a request that the policies answer never gets to a step: the backend
// of a redirect is often one that does not exist.
func behind(step string) bool {
	return slices.Index(StepNames(), step) > slices.Index(StepNames(), Policies)
}

// answered reports whether the policies answer the request as they are configured to.
func (w *walk) answered() bool {
	d := &w.decision
	return !d.Forwarded && d.Rule != nil && d.Rule.Answer == (proxy.Answer{}) && d.Answer == (proxy.Answer{}) && d.Status < 500
}

// Explain answers q.
func (v *View) Explain(q Question) *Explanation {
	w := &walk{View: v, q: q, decision: v.Proxy.Decide(v.Table, q.request())}
	w.candidates = v.Table.Candidates(&w.decision)
	w.locate()
	e := &Explanation{URL: q.URL.String(), Steps: make([]Step, 0, len(StepNames()))}
	for _, s := range []struct {
		name string
		look func() finding
	}{
		{DNS, w.dns},
		{Listener, w.listener},
		{TLS, w.tls},
		{Class, w.class},
		{Host, w.host},
		{Path, w.path},
		{Redirect, w.redirect},
		{Policies, w.policies},
		{Backend, w.backend},
		{Service, w.serviceStep},
		{Port, w.portStep},
		{Endpoints, w.endpoints},
		{Pods, w.podsStep},
		{NetworkPolicy, w.networkPolicy},
		{Probe, w.probe},
	} {
		f := skip("AnsweredBefore", "the request is answered before it gets here")
		if !behind(s.name) || !w.answered() {
			f = s.look()
			if gap, lacking := w.right(s.name); lacking {
				f = worst(gap, f)
			}
		}
		step := f.step(s.name)
		if step.Verdict == Broken && e.FirstBroken == nil {
			e.FirstBroken = &step.Name
		}
		e.Steps = append(e.Steps, step)
	}
	e.Route = w.route()
	if w.status != 0 {
		e.Status = &w.status
	}
	switch {
	case e.FirstBroken != nil:
		e.Verdict = Broken
	case w.status >= 300 && w.status < 400:
		e.Verdict = Redirected
	case w.status >= 400:
		e.Verdict = Denied
	default:
		e.Verdict = Served
	}
	return e
}

// locate finds what the decision leads to. It sets the status that the proxy answers with by
// itself; steps that know of another outcome set theirs when it is still open.
func (w *walk) locate() {
	d := &w.decision
	if d.Rule != nil {
		if w.key = d.Rule.Backend; d.Forwarded {
			w.key = d.Backend // its canary's, perhaps
		}
		w.ing = w.ingresses[types.NamespacedName{Namespace: d.Rule.Origin.Namespace, Name: d.Rule.Origin.Name}]
	} else {
		w.key = d.Backend
	}
	if !d.Forwarded {
		w.status = d.Status
	}
	if w.key == (upstream.Key{}) {
		return
	}
	w.resolve()
	if d.Forwarded && len(w.to.Addresses) == 0 && !w.standIn() {
		w.status = http.StatusServiceUnavailable
	}
}

// resolve finds what the key leads to.
func (w *walk) resolve() {
	w.port, w.hasPort = corev1.ServicePort{}, false
	w.service = w.Snapshot.Services[types.NamespacedName{Namespace: w.key.Namespace, Name: w.key.Service}]
	w.to, w.complaints = ingress.Resolve(w.Options, w.Snapshot, w.key)
	if w.service != nil {
		w.port, w.hasPort = ingress.ServicePort(w.service, w.key)
	}
	w.report = w.lookAtPods()
}

// standIn goes on to the Service that answers while the rule's backend has no endpoints. False:
// there is none that has.
func (w *walk) standIn() bool {
	r := w.decision.Rule
	if r == nil || r.DefaultBackend == nil {
		return false
	}
	own, other := *w, *w
	other.key = *r.DefaultBackend
	other.resolve()
	if len(other.to.Addresses) == 0 {
		return false
	}
	*w = other
	w.without = &own
	return true
}

// settle sets the status when nothing before has decided it.
func (w *walk) settle(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// backendAnswers reports whether the request gets to the backend at all.
func (w *walk) backendAnswers() bool { return w.decision.Forwarded && len(w.to.Addresses) > 0 }

func (w *walk) route() *Route {
	r := w.decision.Rule
	if r == nil || r.PathType == router.HostOnly {
		return nil
	}
	out := &Route{Ingress: r.Origin.String(), Host: shownHost(r.Host), Path: r.Path, PathType: r.PathType.String()}
	if r.PathType == router.Default {
		out.Path = ""
	}
	if r.Backend != (upstream.Key{}) {
		out.Backend = r.Backend.String()
	}
	return out
}

// complaint returns the first Problem of resolving the backend with one of the reasons.
func (w *walk) complaint(reasons ...ingress.Reason) (ingress.Problem, bool) {
	for _, p := range w.complaints {
		for _, r := range reasons {
			if p.Reason == r {
				return p, true
			}
		}
	}
	return ingress.Problem{}, false
}

func shownHost(host string) string {
	if host == "" {
		return "*"
	}
	return strings.ToLower(host)
}

func ingressName(ing *netv1.Ingress) string {
	if ing == nil {
		return ""
	}
	return "Ingress " + ing.Namespace + "/" + ing.Name
}

func originName(r *proxy.Rule) string {
	if r == nil {
		return ""
	}
	return "Ingress " + r.Origin.String()
}

func (w *walk) serviceName() string { return "Service " + w.key.Namespace + "/" + w.key.Service }

// kubectl returns a command on an object of a namespace.
func kubectl(namespace, command string) string {
	if namespace == "" {
		return "kubectl " + command
	}
	return "kubectl -n " + namespace + " " + command
}

func editIngress(r router.Origin) string { return kubectl(r.Namespace, "edit ingress "+r.Name) }

func describeRule(r *proxy.Rule) string {
	text := r.PathType.String()
	if r.PathType != router.Default && r.PathType != router.HostOnly {
		text += " " + strconv.Quote(r.Path)
	}
	return text + " on " + shownHost(r.Host) + " of " + r.Origin.String()
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
		if strings.HasSuffix(what, "ys") {
			what = strings.TrimSuffix(what, "ys") + "ies"
		}
	}
	return strconv.Itoa(n) + " " + what
}
