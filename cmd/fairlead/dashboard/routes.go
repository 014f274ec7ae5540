package dashboard

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// routeRow is the routes of one Ingress to one Service: what is counted together.
type routeRow struct {
	Ingress string
	Service string // empty when no Service is asked
	Routes  []routeText
	Rate    Rate
	// Pools are those that the routes lead to.
	Pools []poolSum
	// Answers are what routes are answered without a backend.
	Answers []string
}

// routeText is one route.
type routeText struct {
	Host, Path, Type string
	Explain          string // address that explains it; empty when there is no URL for it
}

// poolSum is a pool in a word.
type poolSum struct {
	Port       string
	Ready, All int
}

// How many routes of a row are shown before the rest is folded, and of the rest.
const (
	shownRoutes  = 3
	foldedRoutes = 100
)

// first is the routes that are shown at once.
func (row *routeRow) first() []routeText { return row.Routes[:min(len(row.Routes), shownRoutes)] }

// rest is the others; of very many the first.
func (row *routeRow) rest() []routeText {
	return row.Routes[len(row.first()):min(len(row.Routes), shownRoutes+foldedRoutes)]
}

func (v *view) routes(rules []*proxy.Rule, rates map[label]Rate, pools map[upstream.Key]*poolRow, bindings []certs.Binding, q query) {
	secure := make(map[string]bool, len(bindings))
	for _, b := range bindings {
		secure[b.Host] = true
	}
	rows := make(map[label]*routeRow)
	var order []*routeRow
	matching := make(map[*routeRow]bool)
	for _, r := range rules {
		if r.PathType == router.HostOnly {
			continue
		}
		v.AllRoutes++
		k := label{r.Origin.Namespace, r.Origin.Name, r.Backend.Service}
		row := rows[k]
		if row == nil {
			row = &routeRow{Ingress: r.Origin.String(), Rate: rates[k]}
			if r.Backend.Service != "" {
				row.Service = r.Backend.Namespace + "/" + r.Backend.Service
			}
			rows[k] = row
			order = append(order, row)
		}
		row.add(r, pools, secure)
		if !matching[row] && q.matches(row.Ingress, row.Service, strings.ToLower(r.Host)+r.Path, r.Answer.Reason) {
			matching[row] = true
		}
	}
	found := slices.DeleteFunc(order, func(r *routeRow) bool { return !matching[r] })
	slices.SortStableFunc(found, func(a, b *routeRow) int {
		byName := cmp.Or(cmp.Compare(a.Routes[0].Host, b.Routes[0].Host), cmp.Compare(a.Routes[0].Path, b.Routes[0].Path), cmp.Compare(a.Ingress, b.Ingress))
		byRate := cmp.Compare(b.Rate.Requests, a.Rate.Requests)
		switch q.sort {
		case "name":
			return byName
		case "rate":
			return cmp.Or(byRate, byName)
		}
		return cmp.Or(cmp.Compare(b.Rate.ServerErrors, a.Rate.ServerErrors), byRate, byName)
	})
	v.Routes = cut(q, found, len(rows))
}

func (row *routeRow) add(r *proxy.Rule, pools map[upstream.Key]*poolRow, secure map[string]bool) {
	text := routeText{Host: strings.ToLower(r.Host), Path: r.Path, Type: r.PathType.String(), Explain: explainAddress(r, secure)}
	if text.Host == "" {
		text.Host = "*"
	}
	if r.PathType == router.Default {
		text.Path = ""
	}
	row.Routes = append(row.Routes, text)
	if r.Answer != (proxy.Answer{}) {
		if answer := fmt.Sprintf("%d %s", r.Answer.Status, r.Answer.Reason); !slices.Contains(row.Answers, answer) {
			row.Answers = append(row.Answers, answer)
		}
		return
	}
	p := pools[r.Backend]
	if p == nil || slices.ContainsFunc(row.Pools, func(s poolSum) bool { return s.Port == r.Backend.Port }) {
		return
	}
	row.Pools = append(row.Pools, poolSum{r.Backend.Port, p.Ready, p.All})
}

// explainAddress asks about a URL that the rule is for, over TLS when its host is one of secure. A
// regular expression is none.
func explainAddress(r *proxy.Rule, secure map[string]bool) string {
	if r.PathType == router.Regexp {
		return ""
	}
	host, u := strings.ToLower(r.Host), url.URL{Scheme: "http", Path: r.Path}
	_, parent, _ := strings.Cut(host, ".")
	if secure[host] || secure["*."+parent] {
		u.Scheme = "https"
	}
	switch rest, wild := strings.CutPrefix(host, "*."); {
	case host == "":
		u.Host = "any-host.invalid"
	case wild:
		u.Host = "any-host." + rest
	default:
		u.Host = host
	}
	if r.Path == "" || r.PathType == router.Default {
		u.Path = "/"
	}
	return "./?" + url.Values{"url": {u.String()}}.Encode() + "#explain"
}
