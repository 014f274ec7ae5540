// Package explain says why a URL does what it does: every decision from the client's side to
// the Pod, in the order in which a request meets them, and the first that goes wrong.
//
// It decides nothing itself. Whose an Ingress is, which rule answers, which certificate is
// served and where a backend leads is asked of the code that serves; what is added here is what
// no proxy looks at: Pods, NetworkPolicies, DNS answers, and what somebody may have meant. It
// is pure: no client, no clock but that of the options, no network.
package explain

// Verdict is how one step, or a URL as a whole, comes out.
type Verdict string

// The verdicts of a Step.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // served all the same, or not to be known from here
	Broken  Verdict = "broken"
	Skipped Verdict = "skipped" // means nothing for this URL
)

// The verdicts of an Explanation. It may also be Broken.
const (
	Served     Verdict = "served"
	Redirected Verdict = "redirected"
	Denied     Verdict = "denied" // as configured
)

// The names of the steps, in order.
const (
	DNS           = "dns"
	Listener      = "listener"
	TLS           = "tls"
	Class         = "class"
	Host          = "host"
	Path          = "path"
	Redirect      = "redirect"
	Policies      = "policies"
	Backend       = "backend"
	Service       = "service"
	Port          = "port"
	Endpoints     = "endpoints"
	Pods          = "pods"
	NetworkPolicy = "networkpolicy"
	Probe         = "probe"
)

// StepNames returns the names of all steps, in order.
func StepNames() []string {
	return []string{
		DNS, Listener, TLS, Class, Host, Path, Redirect, Policies, Backend, Service, Port, Endpoints, Pods, NetworkPolicy, Probe,
	}
}

// Step is one decision on the way.
type Step struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Reason  Reason  `json:"reason"`
	// Objects are what was looked at and matters, as "Kind namespace/name" or "Kind name".
	Objects []string `json:"objects"`
	// Detail says what was found.
	Detail string `json:"detail"`
	// Remedy is what to do, in one line. That of a broken step ends with a kubectl command.
	Remedy string `json:"remedy"`
}

// Route is the rule that answers.
type Route struct {
	Ingress  string `json:"ingress"` // namespace/name
	Host     string `json:"host"`    // "*" for a rule without
	Path     string `json:"path"`
	PathType string `json:"pathType"`
	Backend  string `json:"backend"` // namespace/service:port; empty when there is no Service
}

// Explanation is the answer to one Question.
type Explanation struct {
	URL     string  `json:"url"`
	Verdict Verdict `json:"verdict"`
	// Status is what the client gets; nil when the backend decides.
	Status *int   `json:"status"`
	Route  *Route `json:"route"`
	// Steps are always all of StepNames, in order.
	Steps []Step `json:"steps"`
	// FirstBroken is the name of the first step that is broken; nil when none is.
	FirstBroken *string `json:"firstBroken"`
}

// Step returns the step of that name.
func (e *Explanation) Step(name string) *Step {
	for i := range e.Steps {
		if e.Steps[i].Name == name {
			return &e.Steps[i]
		}
	}
	return nil
}

// finding is a Step without its name.
type finding struct {
	verdict Verdict
	reason  Reason
	objects []string
	detail  string
	remedy  string
}

func fine(r Reason, detail string, objects ...string) finding {
	return finding{OK, r, objects, detail, ""}
}

func skip(r Reason, detail string, objects ...string) finding {
	return finding{Skipped, r, objects, detail, ""}
}

func warn(r Reason, detail, remedy string, objects ...string) finding {
	return finding{Warning, r, objects, detail, remedy}
}

func broken(r Reason, detail, remedy string, objects ...string) finding {
	return finding{Broken, r, objects, detail, remedy}
}

func (f finding) step(name string) Step {
	s := Step{Name: name, Verdict: f.verdict, Reason: f.reason, Objects: []string{}, Detail: f.detail, Remedy: f.remedy}
	seen := make(map[string]bool, len(f.objects))
	for _, o := range f.objects {
		if o != "" && !seen[o] {
			seen[o] = true
			s.Objects = append(s.Objects, o)
		}
	}
	return s
}

// worst returns the finding with the worst verdict, the first of several; the others' details
// follow its own.
func worst(list ...finding) finding {
	rank := map[Verdict]int{Skipped: 0, OK: 1, Warning: 2, Broken: 3}
	best := 0
	for i, f := range list {
		if rank[f.verdict] > rank[list[best].verdict] {
			best = i
		}
	}
	w := list[best]
	for i, f := range list {
		if i != best && rank[f.verdict] >= rank[Warning] {
			w.detail += "; " + f.detail
			w.objects = append(w.objects, f.objects...)
			if w.remedy == "" {
				w.remedy = f.remedy
			}
		}
	}
	return w
}
