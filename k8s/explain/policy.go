package explain

import (
	"fmt"
	"strings"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// annotations are the Problems of the answering Ingress's annotations.
func (w *walk) annotations() []ingress.Problem {
	if w.ing == nil {
		return nil
	}
	var list []ingress.Problem
	for _, p := range w.problemsOf("Ingress", w.ing.Namespace, w.ing.Name) {
		if strings.HasPrefix(p.Field, "metadata.annotations[") && !strings.Contains(p.Field, "kubernetes.io/ingress.class]") {
			list = append(list, p)
		}
	}
	return list
}

// routingProblem is a Problem of an annotation that changes the routing and whose key has one
// of the words in it.
func (w *walk) routingProblem(words ...string) (ingress.Problem, bool) {
	for _, p := range w.annotations() {
		for _, word := range words {
			if p.Reason == ingress.RoutingUnsupported && strings.Contains(p.Field, word) {
				return p, true
			}
		}
	}
	return ingress.Problem{}, false
}

func annotationOf(p ingress.Problem) string {
	return strings.TrimSuffix(strings.TrimPrefix(p.Field, "metadata.annotations["), "]")
}

func (w *walk) dropAnnotation(p ingress.Problem) string {
	return kubectl(w.ing.Namespace, "annotate ingress "+w.ing.Name+" "+annotationOf(p)+"-")
}

// redirect says where the request is sent instead.
func (w *walk) redirect() finding {
	d := &w.decision
	switch {
	case d.Rule == nil:
		return skip("NoBackend", "no rule answers")
	case d.Status >= 300 && d.Status < 400:
		return fine("Redirects", fmt.Sprintf("the request is answered %d to %s", d.Status, d.Header.Get("Location")), originName(d.Rule))
	case d.Rule.Answer.Reason == "routing-unsupported":
		if p, ok := w.routingProblem("redirect", "app-root"); ok {
			return broken(problemReason(p), p.Err.Error(), "take the annotation out, or have the application redirect: "+w.dropAnnotation(p), originName(d.Rule))
		}
	}
	return fine("NoRedirect", "the request is not redirected")
}

// policies says what the Ingress's annotations do to the request.
func (w *walk) policies() finding {
	d := &w.decision
	client := ""
	if d.ClientIP.IsValid() {
		client = "; the client is " + d.ClientIP.String()
		if w.q.ClientIP != d.ClientIP {
			client += " by X-Forwarded-For, as " + w.q.ClientIP.String() + " is a trusted proxy"
		}
	}
	switch d.Reason {
	case "method-refused":
		return fine("MethodRefused", "requests with method "+w.q.Method+" are never proxied")
	case "target-too-long":
		return fine("TargetTooLong", "the request target is longer than the proxy takes")
	}
	if d.Rule == nil {
		return skip("NoBackend", "no rule answers")
	}
	var refused, tuning []ingress.Problem
	for _, p := range w.annotations() {
		switch {
		case p.Reason == ingress.AnnotationRefused, p.Reason == ingress.RoutingUnsupported && d.Rule.Answer.Reason == "routing-unsupported":
			refused = append(refused, p)
		case p.Reason != ingress.RoutingUnsupported || !strings.Contains(p.Field, "app-root"):
			tuning = append(tuning, p)
		}
	}
	object := originName(d.Rule)
	failing := !d.Forwarded && d.Status >= 500
	isPolicy := d.Rule.Answer.Reason == "policy-refused" || d.Rule.Answer == d.Answer && failing
	switch {
	case isPolicy && len(refused) > 0, d.Rule.Answer.Reason == "routing-unsupported" && len(refused) > 0 && !w.toldElsewhere():
		return broken(problemReason(refused[0]), texts(refused), "take the annotation out, if that is safe: "+w.dropAnnotation(refused[0]), object)
	case isPolicy:
		return broken("FailedClosed", "every request is answered "+fmt.Sprint(d.Status)+" "+d.Reason, "see the Ingress's events: "+kubectl(d.Rule.Origin.Namespace, "describe ingress "+d.Rule.Origin.Name), object)
	case !d.Forwarded && d.Rule.Answer.Status == 0 && d.Status >= 400 && d.Status < 500:
		return fine("DeniedAsConfigured", fmt.Sprintf("the request is answered %d %s%s", d.Status, d.Reason, client), object)
	case !d.Forwarded && d.Rule.Answer.Status == 0 && d.Status < 300:
		return fine("AnsweredByPolicy", fmt.Sprintf("the request is answered %d%s", d.Status, client), object)
	case len(tuning) > 0:
		return warn(problemReason(tuning[0]), texts(tuning)+client, "see whether it can be done without: "+kubectl(w.ing.Namespace, "describe ingress "+w.ing.Name), object)
	case d.Rule.Policies == nil:
		return fine("NoPolicies", "no policy applies"+client, object)
	}
	passed := ""
	if names := proxy.PolicyNames(d.Rule); len(names) > 0 {
		passed = ", in this order: " + strings.Join(names, ", ")
	}
	return fine("PoliciesPass", "the policies let the request pass"+passed+client, object)
}

// toldElsewhere reports whether a step before has the annotation that keeps the rule from
// being honoured.
func (w *walk) toldElsewhere() bool {
	_, told := w.routingProblem("redirect", "app-root", "use-regex", "rewrite-target")
	return told || w.path().verdict == Broken
}

func texts(problems []ingress.Problem) string {
	list := make([]string, len(problems))
	for i, p := range problems {
		list[i] = p.Err.Error()
	}
	return strings.Join(some(list, 5), "; ")
}

// canaryText says what the canary of the rule has to do with the backend.
func canaryText(d *proxy.Decision) string {
	c := d.Rule.Canary
	who := " of the canary Ingress " + c.Origin.String()
	switch {
	case d.Backend == c.Backend && d.Backend != d.Rule.Backend:
		return "," + who + ", which the request asks for"
	case d.Weighed:
		return fmt.Sprintf(", but for %d of %d such requests: these go to %s%s", c.Policy.Weight, c.Policy.Total, c.Backend, who)
	}
	return "; " + c.Backend.String() + who + " does not get this request"
}

// bindingText says what binds requests to endpoints.
func bindingText(set *policy.Set) string {
	switch {
	case set == nil:
	case set.Affinity != nil:
		return "; cookie " + set.Affinity.Name + " binds a client to one endpoint"
	case set.Balance.Size > 0:
		return fmt.Sprintf("; upstream-hash-by binds requests to %d of its endpoints", set.Balance.Size)
	}
	return ""
}

// standsIn says why the rule's backend is not the one that answers. All steps that follow are of the
// one that does.
func (w *walk) standsIn() finding {
	f := worst(w.without.serviceStep(), w.without.portStep(), w.without.endpoints())
	f.verdict, f.reason = Warning, "DefaultBackendAnnotation"
	f.detail = "the backend is " + w.without.key.String() + "; " + f.detail + "; " + w.serviceName() + " of the annotation default-backend answers in its place"
	f.objects = append([]string{originName(w.decision.Rule), w.serviceName()}, f.objects...)
	return f
}

// backend says what kind of thing the rule leads to.
func (w *walk) backend() finding {
	d := &w.decision
	if d.Rule == nil {
		if w.key == (upstream.Key{}) {
			return skip("NoBackend", "no rule answers")
		}
		return fine("DefaultBackendOption", w.key.String()+" answers what no rule matches", w.serviceName())
	}
	if w.key != (upstream.Key{}) && d.Rule.PathType != router.HostOnly {
		if w.without != nil {
			return w.standsIn()
		}
		detail, objects := "the backend is "+w.key.String(), []string{originName(d.Rule), w.serviceName()}
		if c := d.Rule.Canary; c != nil {
			detail += canaryText(d)
			objects = append(objects, "Ingress "+c.Origin.String())
		}
		return fine("ServiceBackend", detail+bindingText(d.Rule.Policies), objects...)
	}
	edit := editIngress(d.Rule.Origin)
	for _, p := range w.problemsOf("Ingress", d.Rule.Origin.Namespace, d.Rule.Origin.Name) {
		if p.Reason == ingress.UnsupportedBackend && (d.Reason == "unsupported-backend" || d.Rule.Policies != nil) ||
			p.Reason == ingress.BackendMissing && (d.Reason == "backend-missing" || d.Rule.Policies != nil) {
			return broken(problemReason(p), p.Err.Error(), "name a Service: "+edit, originName(d.Rule))
		}
	}
	return skip("NoBackend", "the rule names no Service")
}
