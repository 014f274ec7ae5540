package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/fairlead-ingress/fairlead/k8s/explain"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/observe"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// hostile is text that must never become markup.
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'` + "`${1}{{.}}"

// site is a Dashboard of rules, with what it is asked.
func site(t testing.TB, rules []*proxy.Rule, edit func(*Dashboard)) *httptest.Server {
	t.Helper()
	pools := upstream.NewRegistry(upstream.Options{AllowLocal: true})
	p := proxy.New(pools)
	table, _ := p.Compile(proxy.Config{Hosts: proxy.ByHost(rules)})
	p.Swap(table)
	d := &Dashboard{
		Version: "v1", Started: time.Now(), Proxy: p, Pools: pools, Certs: new(certs.Store),
		Rates: NewRates(func() []observe.Count { return nil }, nil), History: NewHistory(),
		Problems: func() []Problem { return nil }, Ready: func() bool { return true }, Role: func() string { return "leader" },
		Synced: time.Now,
		Explain: func(context.Context, url.Values, bool) (*explain.Explanation, error) {
			return nil, errors.New("nothing was to be explained")
		},
	}
	if edit != nil {
		edit(d)
	}
	mux := http.NewServeMux()
	d.Register(mux)
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		s.Close()
		pools.Close()
	})
	return s
}

func get(t testing.TB, s *httptest.Server, path string) (*http.Response, *html.Node) {
	t.Helper()
	resp, err := s.Client().Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	doc, err := html.Parse(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, doc
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// in returns the nodes of an element below the node with an id.
func in(doc *html.Node, id, element string) (found []*html.Node) {
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || attr(n, "id") != id {
			continue
		}
		for m := range n.Descendants() {
			if m.Type == html.ElementNode && m.Data == element {
				found = append(found, m)
			}
		}
	}
	return found
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for m := range n.Descendants() {
		if m.Type == html.TextNode {
			b.WriteString(m.Data)
		}
	}
	return b.String()
}

// Nothing that a user of the cluster, or whoever asks, has written becomes markup.
func TestHostileText(t *testing.T) {
	rules := []*proxy.Rule{
		{Host: "a.example", Path: "/" + hostile, PathType: router.Prefix, Origin: router.Origin{Namespace: "shop", Name: hostile}, Backend: upstream.Key{Namespace: "shop", Service: hostile, Port: hostile}},
		{Host: "b.example", Path: "/(" + hostile, PathType: router.Prefix, Origin: router.Origin{Namespace: "shop", Name: "b"}, Answer: proxy.Answer{Status: 503, Reason: hostile}},
	}
	first := explain.Policies
	s := site(t, rules, func(d *Dashboard) {
		d.Version = hostile
		d.Role = func() string { return hostile }
		d.Problems = func() []Problem {
			return []Problem{{Severity: "error", Reason: hostile, Object: "Ingress " + hostile, Field: hostile, Text: hostile, File: hostile, Line: 1}}
		}
		d.Explain = func(_ context.Context, asked url.Values, _ bool) (*explain.Explanation, error) {
			if asked.Get("method") != "" {
				return nil, errors.New(hostile)
			}
			e := &explain.Explanation{URL: hostile, Verdict: explain.Broken, Route: &explain.Route{Ingress: hostile, Host: hostile, Path: hostile, PathType: hostile, Backend: hostile}, FirstBroken: &first}
			for _, name := range explain.StepNames() {
				e.Steps = append(e.Steps, explain.Step{Name: name, Verdict: explain.Broken, Reason: explain.Reason(hostile), Detail: hostile, Remedy: hostile, Objects: []string{hostile}})
			}
			return e, nil
		}
		d.Pools.Pool(rules[0].Backend).Set(upstream.Resolution{Addresses: []upstream.Address{{Host: hostile, Port: 1}}})
		d.Certs.Swap(certs.NewSet([]certs.Binding{{Host: hostile, Reason: hostile, Source: hostile}}, nil))
		d.History.take(Live{Table: d.Proxy.Table()})
		table, _ := d.Proxy.Compile(proxy.Config{Hosts: proxy.ByHost(rules[:1])})
		d.Proxy.Swap(table)
		d.History.take(Live{Table: table, Certificates: []certs.Binding{{Host: hostile, Reason: hostile}}})
	})
	q := url.QueryEscape(hostile)
	for _, path := range []string{
		"/", "/?q=" + q, "/?q=script&sort=" + q + "&limit=" + q, "/?url=" + q, "/?url=" + q + "&method=GET",
		"/?url=x&client-ip=" + q + "&header=" + q,
	} {
		resp, doc := get(t, s, path)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
		seen := 0
		for n := range doc.Descendants() {
			if n.Type == html.TextNode && strings.Contains(n.Data, "alert(1)") {
				seen++
			}
			if n.Type != html.ElementNode {
				continue
			}
			if n.Data == "script" && attr(n, "src") != "dashboard.js" || n.Data == "img" && attr(n, "src") != "icon.svg" {
				t.Errorf("%s: element %s %v", path, n.Data, n.Attr)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("%s: attribute %s=%q", path, a.Key, a.Val)
				}
				if (a.Key == "href" || a.Key == "src" || a.Key == "action") && (strings.Contains(a.Val, ":") || strings.HasPrefix(a.Val, "/")) {
					t.Errorf("%s: %s=%q is not relative", path, a.Key, a.Val)
				}
			}
		}
		if seen == 0 {
			t.Errorf("%s: the text is not shown at all", path)
		}
	}
}

func TestHeaders(t *testing.T) {
	s := site(t, nil, nil)
	for path, want := range map[string]string{
		"/": "text/html; charset=utf-8", "/dashboard.css": "text/css; charset=utf-8", "/dashboard.js": "text/javascript; charset=utf-8", "/icon.svg": "image/svg+xml",
	} {
		resp, _ := get(t, s, path)
		if got := resp.Header.Get("Content-Type"); got != want {
			t.Errorf("%s: Content-Type %q, want %q", path, got, want)
		}
		csp := resp.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
}

// A probe makes connections: it needs a POST, and one of the page itself.
func TestProbeIsAskedForExplicitly(t *testing.T) {
	var probed []bool
	s := site(t, nil, func(d *Dashboard) {
		d.Explain = func(_ context.Context, _ url.Values, probe bool) (*explain.Explanation, error) {
			probed = append(probed, probe)
			return nil, errors.New("x")
		}
	})
	post := func(site string) int {
		r, err := http.NewRequest(http.MethodPost, s.URL+"/", strings.NewReader("url=http://a.example/&probe=true"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	get(t, s, "/?url=http://a.example/&probe=true")
	if code := post("cross-site"); code != http.StatusForbidden {
		t.Errorf("another site's page may ask: %d", code)
	}
	if !slices.Equal(probed, []bool{false}) {
		t.Fatalf("probed %v, want nothing but an explanation", probed)
	}
	if code := post("same-origin"); code != http.StatusOK || !slices.Equal(probed, []bool{false, true}) {
		t.Errorf("the page itself: %d, probed %v", code, probed)
	}
}

func manyRules(n int) []*proxy.Rule {
	rules := make([]*proxy.Rule, n)
	for i := range rules {
		name := fmt.Sprintf("app-%05d", i)
		rules[i] = &proxy.Rule{
			Host: name + ".example", Path: "/", PathType: router.Prefix, Origin: router.Origin{Namespace: "shop", Name: name},
			Backend: upstream.Key{Namespace: "shop", Service: name, Port: "80"},
		}
	}
	return rules
}

// The page of a large cluster is no larger than that of a small one, and finds everything.
func TestManyRoutes(t *testing.T) {
	s := site(t, manyRules(10_000), nil)
	for path, want := range map[string]int{"/?sort=name": fewRows, "/?q=app-0123&sort=name": 10, "/?q=APP-04711.EXAMPLE": 1, "/?limit=200": 200, "/?limit=1000000": manyRows, "/?q=nothing": 0} {
		_, doc := get(t, s, path)
		rows := 0
		for _, tr := range in(doc, "routes", "tr") {
			if tr.Parent.Data == "tbody" {
				rows++
			}
		}
		if rows != want {
			t.Errorf("%s: %d routes, want %d", path, rows, want)
		}
	}
	_, doc := get(t, s, "/?q=app-&sort=name")
	if links := in(doc, "routes", "a"); attr(links[len(links)-1], "href") != "./?limit=500&q=app-&sort=name" {
		t.Errorf("more is at %v", links[len(links)-1].Attr)
	}
	if text := textOf(doc); !strings.Contains(text, "50 of 10,000 shown") {
		t.Error("it is not said that there are more")
	}
}

// One Ingress with very many routes, and a mistake with a very long text, are shown in part.
func TestLargeRow(t *testing.T) {
	rules := manyRules(5000)
	for _, r := range rules {
		r.Origin.Name, r.Backend.Service = "one", "one"
	}
	s := site(t, rules, func(d *Dashboard) {
		d.Problems = func() []Problem { return []Problem{{Severity: "error", Text: strings.Repeat("é", 1<<20)}} }
	})
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) > 64<<10 || !strings.Contains(string(body), "4,997 more") {
		t.Errorf("the page has %d bytes, %v", len(body), err)
	}
}

// Tables can be read by those who do not see them: every cell has its column's name, every
// row a heading, every control a label.
func TestAccessible(t *testing.T) {
	rules := manyRules(3)
	s := site(t, rules, func(d *Dashboard) {
		d.Pools.Pool(rules[0].Backend).Set(upstream.Resolution{Addresses: []upstream.Address{{Host: "192.0.2.1", Port: 1}}})
		d.Certs.Swap(certs.NewSet([]certs.Binding{{Host: "a.example", Reason: "none"}}, nil))
	})
	_, doc := get(t, s, "/")
	labels := map[string]bool{}
	tables := 0
	for n := range doc.Descendants() {
		if n.Data == "label" {
			labels[attr(n, "for")] = true
		}
	}
	for n := range doc.Descendants() {
		switch n.Data {
		case "input", "select", "textarea":
			if attr(n, "type") != "hidden" && !labels[attr(n, "id")] {
				t.Errorf("%s %q has no label", n.Data, attr(n, "name"))
			}
		case "th":
			if attr(n, "scope") == "" || attr(n, "role") == "" {
				t.Errorf("heading %q: %v", textOf(n), n.Attr)
			}
		case "table":
			tables++
			if n.FirstChild.Data != "caption" || attr(n, "role") != "table" {
				t.Error("a table has no caption or role")
			}
		case "section":
			if attr(n, "aria-label")+attr(n, "aria-labelledby") == "" {
				t.Error("a section has no name")
			}
		}
	}
	if tables < 4 {
		t.Errorf("%d tables, want routes, pools, endpoints and certificates", tables)
	}
}

func BenchmarkPage(b *testing.B) {
	s := site(b, manyRules(10_000), nil)
	for b.Loop() {
		resp, err := s.Client().Get(s.URL + "/?q=app-0")
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}
