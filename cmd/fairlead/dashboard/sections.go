package dashboard

import (
	"fmt"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
)

func (v *view) problemsSection() g.Node {
	if len(v.Problems.Rows) == 0 {
		return section("problems", "Problems", true, v.none("No problem matches the search.", "No mistakes are known in the configuration."))
	}
	return section("problems", "Problems", true, h.Ul(h.Class("problems"), g.Map(v.Problems.Rows, func(p Problem) g.Node {
		return h.Li(h.Class(p.Severity),
			h.P(badge(p.Severity), g.Text(" "), h.Strong(g.Text(p.Reason)), g.Text(" "), h.Span(h.Class("object"), g.Text(p.Object))),
			h.P(g.Text(clip(p.Text))),
			g.If(p.Field != "" || p.File != "", h.P(h.Class("muted"), h.Code(g.Text(p.Field)), g.Text(" "), h.Code(g.Text(p.place())))),
		)
	})), v.Problems.more())
}

func (v *view) explainSection() g.Node {
	a := v.Asked
	return section("explain", "Explain a URL", false,
		h.Form(h.Class("ask"), h.Action("./#explain"), h.Method("get"),
			h.Div(h.Class("line"),
				h.Label(h.For("method"), h.Class("hidden"), g.Text("Method")),
				h.Select(h.ID("method"), h.Name("method"), g.Map(methods, func(m string) g.Node { return h.Option(g.If(m == a.Method, h.Selected()), g.Text(m)) })),
				h.Label(h.For("url"), h.Class("hidden"), g.Text("URL")),
				h.Input(h.ID("url"), h.Name("url"), h.Value(a.URL), h.Placeholder("https://shop.example/cart"), h.Required(), h.AutoComplete("off"),
					g.Attr("autocapitalize", "off"), g.Attr("spellcheck", "false"), g.Attr("inputmode", "url")),
				h.Button(h.Class("primary"), g.Text("Explain")),
				h.Button(g.Attr("formmethod", "post"), h.Name("probe"), h.Value("true"), g.Attr("aria-describedby", "probe-help"), g.Text("Probe")),
			),
			h.Details(g.If(a.ClientIP+a.Header != "", g.Attr("open")), h.Summary(g.Text("Client and headers")),
				h.Div(h.Class("line"),
					h.Label(h.For("client-ip"), g.Text("Client address")), h.Input(h.ID("client-ip"), h.Name("client-ip"), h.Value(a.ClientIP), h.Placeholder("192.0.2.7"), h.AutoComplete("off")),
					h.Label(h.For("header"), g.Text("Headers, one a line")), h.Textarea(h.ID("header"), h.Name("header"), h.Rows("2"), h.Placeholder("Cookie: a=b"), g.Attr("spellcheck", "false"), g.Text(a.Header)),
				)),
			h.P(h.ID("probe-help"), h.Class("muted"), g.Text("Probe also looks the name up and sends a GET for the path to the endpoints that the URL leads to, from here.")),
		),
		g.If(a.Mistake != "", h.P(h.Class("mistake"), h.Role("alert"), g.Text(a.Mistake))),
		g.Iff(a.Answer != nil, a.render),
	)
}

func (a *asked) render() g.Node {
	e := a.Answer
	columns := []column{text("Step"), text("Verdict"), text("What was found")}
	steps := g.Map(e.Steps, func(s explain.Step) g.Node {
		found := g.Group{h.Strong(g.Text(string(s.Reason))), g.Text(" " + s.Detail)}
		if s.Remedy != "" && (s.Verdict == explain.Broken || s.Verdict == explain.Warning) {
			found = append(found, h.Br(), h.Code(g.Text(s.Remedy)))
		}
		return row(string(s.Verdict), columns, g.Text(s.Name), badge(string(s.Verdict)), found)
	})
	return h.Div(h.Class("answer"), h.Role("status"),
		h.P(h.Class("verdict"), badge(string(e.Verdict)), g.Text(" "), h.Code(g.Text(e.URL)), g.Text(" "+a.Status)),
		g.Iff(e.Route != nil, func() g.Node {
			r := e.Route
			return h.P(h.Class("muted"), g.Text(strings.Join(strings.Fields(r.Host+" "+r.Path+" "+r.PathType+" of Ingress "+r.Ingress), " ")+when(r.Backend != "", " → "+r.Backend)))
		}),
		g.Iff(a.First != nil, func() g.Node {
			return g.Group{
				h.P(h.Class("first"), h.Strong(g.Text("First broken: "+a.First.Name+".")), g.Text(" "+a.First.Detail)),
				h.P(h.Class("remedy"), h.Code(g.Text(a.First.Remedy))),
			}
		}),
		table("steps", "The steps from the client to the Pod", columns, steps),
	)
}

func (v *view) routesSection() g.Node {
	order := h.P(h.Class("sorts"), g.Text("Sorted by "), g.Map(sorts, func(s string) g.Node {
		if s == v.Query.sort {
			return g.Group{h.Strong(g.Attr("aria-current", "true"), g.Text(s)), g.Text(" ")}
		}
		return g.Group{h.A(h.Href(v.Query.with("sort", s)+"#routes"), g.Text(s)), g.Text(" ")}
	}), muted("· rates of the last 15 to 30 seconds, for each Ingress and Service"))
	unmatched := g.If(v.Unmatched.Requests > 0, h.P(h.Class("muted"), g.Text("Without a matching rule: "+v.Unmatched.perSecond()+" requests/s.")))
	if len(v.Routes.Rows) == 0 {
		return section("routes", "Routes", true, v.none("No route matches the search.", "No routes are served."), unmatched)
	}
	columns := []column{text("Route"), text("Ingress → Service"), number("Requests/s"), number("4xx"), number("5xx"), text("Endpoints")}
	rows := g.Map(v.Routes.Rows, func(r *routeRow) g.Node {
		routes := g.Group{g.Map(r.first(), routeText.render)}
		if rest := r.rest(); len(rest) > 0 {
			routes = append(routes, h.Details(h.ID("routes "+r.Ingress+" "+r.Service), h.Summary(g.Text(fmt.Sprintf("%s more", thousands(len(r.Routes)-shownRoutes)))), g.Map(rest, routeText.render),
				g.If(len(r.Routes) > shownRoutes+foldedRoutes, h.P(h.Class("muted"), g.Text("and more: /debug/table has them all")))))
		}
		leads := g.Group{name(r.Ingress)}
		if r.Service != "" {
			leads = append(leads, muted(" → "), name(r.Service))
		}
		ends := g.Group{
			g.Map(r.Pools, func(p poolSum) g.Node {
				return h.Span(h.Class("pool "+when(p.Ready == 0, "bad")), g.Text(fmt.Sprintf(":%s %d/%d ", p.Port, p.Ready, p.All)))
			}),
			g.Map(r.Answers, func(a string) g.Node { return badgeText("error", a) }),
		}
		servers := g.Node(g.Text(orDash(r.Rate.servers())))
		if r.Rate.failing() {
			servers = h.Strong(h.Class("bad"), servers)
		}
		return row(when(r.Rate.failing(), "failing"), columns, routes, leads, g.Text(r.Rate.perSecond()), g.Text(orDash(r.Rate.clients())), servers, ends)
	})
	return section("routes", "Routes", true, order, table("stack", "Routes with their rates", columns, rows), v.Routes.more(), unmatched)
}

func (r routeText) render() g.Node {
	where := h.Span(g.Text(r.Host + r.Path))
	switch {
	case r.Explain != "":
		where = h.A(h.Href(r.Explain), g.Attr("title", "Explain"), g.Text(r.Host+r.Path))
	case r.Path != "":
		where = h.Span(g.Text(r.Host + " " + r.Path))
	}
	return h.Span(h.Class("route"), where, g.Text(" "), h.Span(h.Class("type"), g.Text(r.Type)))
}

func (v *view) poolsSection() g.Node {
	if len(v.Pools.Rows) == 0 {
		return section("pools", "Pools", true, v.none("No pool matches the search.", "No backend is routed to."))
	}
	columns := []column{text("Service and port"), text("State"), number("In flight"), text("Endpoints")}
	inner := []column{text("Address"), text("State"), number("In flight"), number("Connections"), number("Attempts"), number("Failed")}
	rows := g.Map(v.Pools.Rows, func(p *poolRow) g.Node {
		key := g.Group{name(p.Key)}
		if p.Protocol != "" && p.Protocol != "http" {
			key = append(key, muted(" "+p.Protocol))
		}
		if len(p.Endpoints) == 0 {
			return row("", columns, key, badge(p.state()), g.Text(fmt.Sprint(p.InFlight)), g.Text("none"))
		}
		endpoints := g.Map(p.Endpoints, func(e endpointRow) g.Node {
			return row("", inner, h.Code(g.Text(e.Address)), badge(e.state()), g.Text(fmt.Sprint(e.InFlight)), g.Text(fmt.Sprint(e.Connections)), g.Text(fmt.Sprint(e.Attempts)), g.Text(fmt.Sprint(e.Failed)))
		})
		return row("", columns, key, badge(p.state()), g.Text(fmt.Sprint(p.InFlight)),
			h.Details(h.ID("pool "+p.Key), h.Summary(g.Text(fmt.Sprintf("%d of %d ready", p.Ready, p.All))),
				table("stack inner", "Endpoints of "+p.Key, inner, endpoints), g.If(p.Rest > 0, h.P(h.Class("muted"), g.Text(fmt.Sprintf("and %d more", p.Rest))))))
	})
	return section("pools", "Pools", true, table("stack", "Pools with their endpoints", columns, rows), v.Pools.more())
}

func (v *view) certificatesSection() g.Node {
	if len(v.Certificates.Rows) == 0 {
		return section("certificates", "Certificates", true, v.none("No certificate matches the search.", "No TLS host is configured."))
	}
	columns := []column{text("Host"), text("State"), text("Ends"), text("Issuer"), text("From")}
	rows := g.Map(v.Certificates.Rows, func(c certificateRow) g.Node {
		ends, by := g.Node(g.Text(c.Reason)), g.Node(muted("default certificate"))
		if c.Until != "" {
			ends, by = g.Group{g.Text(c.Until), muted(" " + c.Left)}, g.Group{g.Text(c.Issuer), muted(" " + c.Kind)}
		}
		return row("", columns, name(c.Host), badge(c.State), ends, by, name(c.Source))
	})
	return section("certificates", "Certificates", true, table("stack", "Hosts with their certificates", columns, rows), v.Certificates.more())
}

func (v *view) changesSection() g.Node {
	if len(v.Generations) == 0 {
		return section("changes", "Recent changes", true, h.P(h.Class("empty"), g.Text("Nothing is live yet.")))
	}
	sign := func(class, text string) g.Node {
		return g.Group{h.Span(h.Class("sign "+class), g.Text(text)), g.Text(" ")}
	}
	return section("changes", "Recent changes", true, h.Ol(h.Class("generations"), g.Map(v.Generations, func(r generationRow) g.Node {
		return h.Li(
			h.P(h.Strong(g.Text(fmt.Sprintf("Generation %d ", r.Number))), h.Time(g.Attr("datetime", r.Time), g.Attr("title", r.Time), g.Text(r.Ago+" ago")),
				muted(fmt.Sprintf(" · made in %s · %s · %s, %s", r.Cost, count(r.Routes, "route"), count(r.Errors, "error"), count(r.Warnings, "warning")))),
			h.P(g.If(r.Added > 0, sign("added", fmt.Sprintf("+%d", r.Added))), g.If(r.Removed > 0, sign("removed", fmt.Sprintf("−%d", r.Removed))),
				g.If(r.Changed > 0, sign("changed", fmt.Sprintf("~%d", r.Changed))), g.If(r.Added+r.Removed+r.Changed > 0, g.Text("routes ")),
				g.If(r.Certificates > 0, g.Group{sign("changed", fmt.Sprintf("~%d", r.Certificates)), g.Text("certificates")})),
			g.Iff(len(r.Told) > 0, func() g.Node {
				return h.Details(h.ID(fmt.Sprintf("generation %d %s", r.Number, r.Time)), g.If(len(r.Told) <= 3, g.Attr("open")), h.Summary(g.Text("What changed")),
					h.Ul(g.Map(r.Told, func(t Told) g.Node { return h.Li(sign(t.Sign, t.Sign), g.Text(t.Text)) })),
					g.If(r.Rest > 0, h.P(h.Class("muted"), g.Text(fmt.Sprintf("and %d more", r.Rest)))))
			}),
		)
	})))
}
