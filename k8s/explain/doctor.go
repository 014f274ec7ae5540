package explain

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/router"
)

// Finding is a Step that is not well, of a URL or of the controller's surroundings.
type Finding struct {
	Step
	URL string `json:"url,omitempty"` // empty when no single one is concerned
}

// Checkup is what Doctor found, the worst first.
type Checkup struct {
	Findings []Finding `json:"findings"`
}

// Doctor looks at the controller's surroundings, and at one URL of every rule. Findings that
// say the same of several URLs are given once, with the first of them.
func (v *View) Doctor() *Checkup {
	c := &Checkup{Findings: []Finding{}}
	seen := make(map[string]bool)
	add := func(s Step, url string) {
		if s.Verdict != Broken && s.Verdict != Warning || s.Reason == "NoStatusAddress" {
			return
		}
		key := s.Name + " " + string(s.Reason) + " " + strings.Join(s.Objects, ",")
		if !seen[key] {
			seen[key] = true
			c.Findings = append(c.Findings, Finding{s, url})
		}
	}
	for _, s := range v.surroundings() {
		add(s, "")
	}
	for _, u := range v.urls() {
		e := v.Explain(Question{URL: u})
		for _, s := range e.Steps {
			add(s, e.URL)
		}
	}
	slices.SortStableFunc(c.Findings, func(a, b Finding) int {
		return strings.Compare(string(a.Verdict), string(b.Verdict)) // "broken" before "warning"
	})
	return c
}

// Broken reports whether a finding is worse than a warning.
func (c *Checkup) Broken() bool {
	return slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Verdict == Broken })
}

// surroundings are the classes, the way in, the Leases and the cluster's DNS.
func (v *View) surroundings() []Step {
	var steps []Step
	if len((&walk{View: v}).ourClasses()) == 0 {
		steps = append(steps, broken(ReasonClassMissing, "no IngressClass belongs to this controller",
			"create one with spec.controller fairlead.dev/ingress-controller: kubectl get ingressclasses").step(Class))
	}
	steps = append(steps, v.rights()...)
	for _, s := range v.frontServices() {
		w := &walk{View: v, q: Question{URL: &url.URL{Scheme: "http", Host: "any"}}}
		steps = append(steps, w.frontService(s, "80").step(Listener))
	}
	if f, dead := v.dnsPods(); dead {
		steps = append(steps, f.step(DNS))
	}
	for _, l := range v.around.Leases {
		if l.Namespace != v.Controller.Namespace || !strings.HasPrefix(l.Name, "fairlead") || l.Spec.RenewTime == nil || l.Spec.LeaseDurationSeconds == nil {
			continue
		}
		if age := v.now.Sub(l.Spec.RenewTime.Time); age.Seconds() > 2*float64(*l.Spec.LeaseDurationSeconds) {
			steps = append(steps, warn("LeaseExpired", fmt.Sprintf("Lease %s/%s was renewed %s ago: nobody writes status and Events", l.Namespace, l.Name, age.Round(1e9)),
				"see whether the controller runs: "+kubectl(l.Namespace, "get pods"), "Lease "+l.Namespace+"/"+l.Name).step(Listener))
		}
	}
	return steps
}

// ReasonClassMissing is that no IngressClass is ours.
const ReasonClassMissing Reason = "ClassMissing"

// urls are one for each rule that is served, and for each host of a rule of an Ingress that is
// not ours by mistake.
func (v *View) urls() []*url.URL {
	var list []*url.URL
	seen := make(map[string]bool)
	add := func(host, path string) {
		if path == "" {
			path = "/"
		}
		if host == "" {
			host = "any-host.invalid"
		}
		if rest, wild := strings.CutPrefix(host, "*."); wild {
			host = "any-host." + rest
		}
		scheme := "http"
		if _, bound := v.binding(host); bound {
			scheme = "https"
		}
		u := &url.URL{Scheme: scheme, Host: host, Path: path}
		if !seen[u.String()] {
			seen[u.String()] = true
			list = append(list, u)
		}
	}
	for _, r := range v.Table.Rules() {
		if r.PathType != router.HostOnly {
			add(strings.ToLower(r.Host), r.Path)
		}
	}
	for _, ing := range v.Snapshot.Ingresses {
		c := v.classes.Claim(ing)
		if c.Problem.Err == nil && c.Class != "" {
			continue
		}
		for _, r := range ing.Spec.Rules {
			if r.HTTP == nil {
				continue
			}
			for _, p := range r.HTTP.Paths {
				add(strings.ToLower(r.Host), p.Path)
			}
		}
	}
	return list
}

// WriteText writes the findings for people.
func (c *Checkup) WriteText(w io.Writer, colour bool) error {
	var b strings.Builder
	for _, f := range c.Findings {
		if f.URL != "" {
			fmt.Fprintf(&b, "%s\n", f.URL)
		}
		f.writeText(&b, colour)
	}
	if len(c.Findings) == 0 {
		b.WriteString("nothing is wrong\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
