package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
)

// view is what the template shows.
type view struct {
	Version string
	Up      string
	Ready   bool
	Role    string
	Synced  string // how long ago; empty when it is not known

	Generation       uint64
	Rate             Rate
	InFlight         int
	Tunnels          int
	Errors, Warnings int // Problems
	Ejected, Empty   int // endpoints, pools
	Expiring         int // certificates that are served and end soon, or none are
	AllRoutes        int
	Chart            *chart

	Query        query
	Problems     list[Problem]
	Routes       list[*routeRow]
	Unmatched    Rate
	Pools        list[*poolRow]
	Certificates list[certificateRow]
	Generations  []generationRow
	Asked        *asked
}

// methods are those to choose from.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// asked is the form of a question, and its answer.
type asked struct {
	URL, Method, ClientIP, Header string
	Mistake                       string // why there is no answer
	Answer                        *explain.Explanation
	Status                        string
	First                         *explain.Step // the first that is broken; may be nil
}

func (d *Dashboard) page(ctx context.Context, q query, probe bool) *view {
	now := d.now()
	v := &view{
		Version: d.Version, Up: age(now.Sub(d.Started)), Ready: d.Ready(), Role: d.Role(), Query: q,
		InFlight: d.Proxy.InFlight(), Tunnels: d.Proxy.Tunnels(),
	}
	if t := d.Synced(); !t.IsZero() {
		v.Synced = age(now.Sub(t))
	}
	table := d.Proxy.Table()
	v.Generation = table.Generation()
	v.problems(d.Problems(), q)
	rates, sum, courses := d.Rates.current()
	v.Rate, v.Unmatched, v.Chart = sum, rates[label{}], newChart(courses)
	pools := d.pools(table.Keys())
	bindings := d.Certs.Set().Bindings()
	v.routes(table.Rules(), rates, pools, bindings, q)
	v.pools(pools, q)
	v.certificates(bindings, now, q)
	v.generations(d.History.Generations(), now)
	v.Asked = d.answer(ctx, q.asked, probe)
	return v
}

// problems lists errors before warnings.
func (v *view) problems(all []Problem, q query) {
	var found []Problem
	for _, p := range all {
		if p.Severity == "error" {
			v.Errors++
		} else {
			v.Warnings++
		}
		if q.matches(p.Object, p.Reason, p.Text, p.Field, p.File) {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b Problem) int { return cmp.Compare(a.Severity, b.Severity) }) // "error" before "warning"
	v.Problems = cut(q, found, len(all))
}

// place is where a Problem is in a file, or empty.
func (p Problem) place() string {
	if p.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

func (d *Dashboard) answer(ctx context.Context, form url.Values, probe bool) *asked {
	a := &asked{
		URL: form.Get("url"), Method: form.Get("method"), ClientIP: form.Get("client-ip"),
		Header: strings.Join(form["header"], "\n"),
	}
	if a.URL == "" {
		return a
	}
	e, err := d.Explain(ctx, form, probe)
	if err != nil {
		a.Mistake = err.Error()
		return a
	}
	a.Answer = e
	a.Status = "the backend decides"
	if e.Status != nil {
		a.Status = fmt.Sprintf("%d %s", *e.Status, http.StatusText(*e.Status))
	}
	if e.FirstBroken != nil {
		a.First = e.Step(*e.FirstBroken)
	}
	return a
}

// generationRow is a Generation with its age.
type generationRow struct {
	Generation
	Time, Ago, Cost string
	Rest            int // changes that are not told
}

func (v *view) generations(list []Generation, now time.Time) {
	for _, g := range list {
		rest := 0
		if len(g.Told) > 0 {
			rest = g.Added + g.Removed + g.Changed + g.Certificates - len(g.Told)
		}
		v.Generations = append(v.Generations, generationRow{
			g, g.At.UTC().Format(time.RFC3339), age(now.Sub(g.At)), g.Took.Round(10 * time.Microsecond).String(), rest,
		})
	}
}

// age is a duration in its two largest units.
func age(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// perSecond is a rate for people.
func perSecond(r float64) string {
	switch {
	case r == 0:
		return "0"
	case r < 0.01:
		return "<0.01"
	case r < 10:
		return fmt.Sprintf("%.2f", r)
	case r < 100:
		return fmt.Sprintf("%.1f", r)
	}
	return thousands(int(r + 0.5))
}

// thousands is n with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ratio is a part of a rate for people; empty when nothing came.
func ratio(part, of float64) string {
	switch p := 100 * part / of; {
	case of == 0:
		return ""
	case part == 0:
		return "0 %"
	case p < 0.1:
		return "<0.1 %"
	case p < 10:
		return fmt.Sprintf("%.1f %%", p)
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// perSecond is the rate of all requests.
func (r Rate) perSecond() string { return perSecond(r.Requests) }

// clients is the part that was answered 4xx.
func (r Rate) clients() string { return ratio(r.ClientErrors, r.Requests) }

// servers is the part that was answered 5xx.
func (r Rate) servers() string { return ratio(r.ServerErrors, r.Requests) }

// failing reports whether there is a 5xx among the answers.
func (r Rate) failing() bool { return r.ServerErrors > 0 }
