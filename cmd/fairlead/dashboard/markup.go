package dashboard

import (
	"fmt"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// The page is made of nodes that escape every text and every attribute; nothing is written
// raw. html/template would do the same, but it calls methods by name, which keeps the
// linker from leaving out what nobody calls: 18 MB of the API client's methods.

// render is the whole page.
func (v *view) render() g.Node {
	title := "Fairlead"
	if v.Errors > 0 {
		title = fmt.Sprintf("(%d) Fairlead", v.Errors)
	}
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")), h.TitleEl(g.Text(title)),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.Link(h.Rel("icon"), h.Href("icon.svg")),
			h.Link(h.Rel("stylesheet"), h.Href("dashboard.css")),
			h.Script(h.Src("dashboard.js"), h.Defer()),
		),
		h.Body(
			h.A(h.Class("skip"), h.Href("#main"), g.Text("Skip to content")),
			v.header(), v.navigation(),
			h.Main(h.ID("main"), v.overview(), v.problemsSection(), v.explainSection(), v.routesSection(), v.poolsSection(), v.certificatesSection(), v.changesSection()),
			footer(),
		),
	))
}

func (v *view) header() g.Node {
	about := []string{v.Version}
	if v.Role != "" {
		about = append(about, v.Role)
	}
	about = append(about, "up "+v.Up)
	if v.Synced != "" {
		about = append(about, "configuration seen "+v.Synced+" ago")
	}
	return h.Header(h.Class("top"),
		h.Div(h.Class("brand"),
			h.Img(h.Src("icon.svg"), h.Alt(""), h.Width("28"), h.Height("28")), h.H1(g.Text("Fairlead")),
			h.Span(h.Class("muted"), live("about"), g.Text(strings.Join(about, " · "))),
		),
		h.Form(h.Class("search"), h.Role("search"), h.Action("./"), h.Method("get"),
			h.Label(h.For("q"), h.Class("hidden"), g.Text("Search hosts, paths, Ingresses, Services, problems")),
			h.Input(h.ID("q"), h.Name("q"), h.Type("search"), h.Value(v.Query.search), h.Placeholder("Search host, path, Ingress, Service…"), h.AutoComplete("off"), g.Attr("spellcheck", "false")),
			g.If(v.Query.sort != sorts[0], h.Input(h.Type("hidden"), h.Name("sort"), h.Value(v.Query.sort))),
			h.Button(g.Text("Search")),
			g.If(v.Query.search != "", h.A(h.Class("button"), h.Href("./"), g.Text("Clear"))),
		),
	)
}

func (v *view) navigation() g.Node {
	entry := func(id, text string, n int, class string) g.Node {
		return h.Li(h.A(h.Href("#"+id), g.Text(text+" "), g.If(n >= 0, h.Span(h.Class("count "+class), g.Text(thousands(n))))))
	}
	return h.Nav(h.Class("sections"), g.Attr("aria-label", "Sections"), h.Ul(live("sections"),
		entry("problems", "Problems", v.Problems.Found, when(v.Errors > 0, "bad")),
		entry("explain", "Explain", -1, ""),
		entry("routes", "Routes", v.Routes.Found, ""),
		entry("pools", "Pools", v.Pools.Found, when(v.Empty+v.Ejected > 0, "warn")),
		entry("certificates", "Certificates", v.Certificates.Found, when(v.Expiring > 0, "warn")),
		entry("changes", "Changes", -1, ""),
	))
}

func (v *view) overview() g.Node {
	tile := func(class, name, value, unit, more string) g.Node {
		return h.Div(h.Class(class), h.Dt(g.Text(name)), h.Dd(g.Text(value), g.If(unit != "", h.Small(g.Text(unit)))), h.Dd(h.Class("sub"), g.Text(more)))
	}
	state, inFlight := "serving", thousands(v.InFlight)+" in flight"
	if !v.Ready {
		state = "not ready"
	}
	if v.Tunnels > 0 {
		inFlight += ", " + count(v.Tunnels, "WebSocket")
	}
	problems := when(v.Warnings > 0, "warn")
	if v.Errors > 0 {
		problems = "bad"
	}
	return h.Section(h.Class("tiles"), g.Attr("aria-label", "Overview"), live("overview"),
		h.Dl(
			tile(when(!v.Ready, "bad"), "State", state, "", fmt.Sprintf("generation %d", v.Generation)),
			tile("", "Requests", v.Rate.perSecond(), "/s", inFlight),
			tile(when(v.Rate.failing(), "bad"), "Answered 5xx", orDash(v.Rate.servers()), "", "4xx "+orDash(v.Rate.clients())),
			tile(problems, "Problems", thousands(v.Errors), plainCount(v.Errors, " error"), count(v.Warnings, "warning")),
			tile("", "Routes", thousands(v.AllRoutes), "", "of "+count(v.Routes.All, "Ingress and Service pair")),
			tile(when(v.Empty+v.Ejected > 0, "warn"), "Pools", thousands(v.Pools.All), "", fmt.Sprintf("%d empty, %s ejected", v.Empty, count(v.Ejected, "endpoint"))),
			tile(when(v.Expiring > 0, "warn"), "Certificates", thousands(v.Certificates.All), "", fmt.Sprintf("%d missing or ending", v.Expiring)),
		),
		v.Chart.render(),
	)
}

// render draws the chart; nil is none.
func (c *chart) render() g.Node {
	if c == nil {
		return nil
	}
	rect := func(class string, x, y, width, height float64) g.Node {
		n := func(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
		return g.El("rect", h.Class(class), g.Attr("x", n(x)), g.Attr("y", n(y)), g.Attr("width", n(width)), g.Attr("height", n(height)))
	}
	bars := g.Map(c.Bars, func(b bar) g.Node {
		return g.Group{
			rect("bar", b.X, b.Y, b.Width, b.Height),
			g.If(b.ErrorHeight > 0, rect("bar-bad", b.X, b.ErrorY, b.Width, b.ErrorHeight)),
		}
	})
	return h.Figure(
		g.El("svg", g.Attr("viewBox", fmt.Sprintf("0 0 %d %d", chartWidth, chartHeight)), g.Attr("preserveAspectRatio", "none"), h.Role("img"),
			g.Attr("aria-label", fmt.Sprintf("Requests per second in the last %d minutes, at most %s", c.Minutes, c.Top)), bars),
		h.FigCaption(g.Text(fmt.Sprintf("Requests per second, last %d minutes, at most %s; ", c.Minutes, c.Top)), h.Span(h.Class("key-bad"), g.Text("5xx")), g.Text(" from the ground up")),
	)
}

func footer() g.Node {
	links := []g.Node{g.Text("Machines read ")}
	for i, path := range []string{"metrics", "debug/table", "debug/problems", "debug/explain?url=http%3A%2F%2Fexample.com%2F", "livez", "readyz"} {
		name, _, _ := strings.Cut(path, "?")
		if i > 0 {
			links = append(links, g.Text(", "))
		}
		links = append(links, h.A(h.Href(path), g.Text("/"+name)))
	}
	return h.Footer(h.P(append(links, g.Text("."))...))
}

// live marks what the script keeps up to date, and names it.
func live(id string) g.Node { return g.Group{h.ID(id), g.Attr("data-live")} }

// section is a part of the page with a heading.
func section(id, title string, isLive bool, children ...g.Node) g.Node {
	return h.Section(append([]g.Node{
		h.ID(id), g.If(isLive, g.Attr("data-live")), g.Attr("aria-labelledby", id+"-title"), h.H2(h.ID(id+"-title"), g.Text(title)),
	}, children...)...)
}

func badge(class string) g.Node { return badgeText(class, class) }

func badgeText(class, text string) g.Node { return h.Span(h.Class("badge "+class), g.Text(text)) }

func muted(text string) g.Node { return h.Span(h.Class("muted"), g.Text(text)) }

func name(text string) g.Node { return h.Span(h.Class("name"), g.Text(text)) }

// more tells that rows were left out, and where they are.
func (l list[T]) more() g.Node {
	if len(l.Rows) >= l.Found {
		return nil
	}
	text := fmt.Sprintf("%s of %s shown: ", thousands(len(l.Rows)), thousands(l.Found))
	if l.More == "" {
		return h.P(h.Class("more"), g.Text(text+"narrow the search."))
	}
	return h.P(h.Class("more"), g.Text(text), h.A(h.Href(l.More), g.Text("show more")), g.Text(", or narrow the search."))
}

// none is what stands in place of an empty list.
func (v *view) none(searched, otherwise string) g.Node {
	if v.Query.search != "" {
		otherwise = searched
	}
	return h.P(h.Class("empty"), g.Text(otherwise))
}

// maxText is how much is shown of a text that somebody else has written.
const maxText = 2000

func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

func when(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// count is a number of things.
func count(n int, what string) string { return thousands(n) + " " + plainCount(n, what) }

func plainCount(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}
