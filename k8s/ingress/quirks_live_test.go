package ingress_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// quirkCase is a request that depends on one quirk.
type quirkCase struct {
	name   string
	beside string // a quirk that must be on for it to be seen
	keys   map[string]string
	path   string // of the rule; default "/"
	// others are the annotations of another Ingress of the host, with the path "/other".
	others map[string]string
	tls    []string // hosts of a TLS section; none: there is no section
	method string   // default GET
	url    string   // default http://a.example/
	body   string
	fields []string
	// before is how many requests come first, which do not depend on it.
	before  int
	handler http.HandlerFunc // of the backend
	// see is what is looked at of the answer; default the status.
	see     func(*http.Response) string
	on, off string
	// spared is the URL of a request that does not depend on the quirk, if there is one.
	spared string
}

func location(r *http.Response) string { return r.Header.Get("Location") }

func field(name string) func(*http.Response) string {
	return func(r *http.Response) string { return r.Header.Get(name) }
}

var quirkCases = []quirkCase{
	{name: "https-redirect", tls: []string{"a.example"}, on: "308", off: "200", spared: "https://a.example/"},
	{name: "tls-section-for-all-hosts", beside: "https-redirect", tls: []string{"b.example"}, on: "308", off: "200", spared: "https://a.example/"},
	{name: "redirect-cuts-slash", keys: map[string]string{"force-ssl-redirect": "true"}, url: "http://a.example/x/", see: location, on: "https://a.example/x", off: "https://a.example/x/", spared: "http://a.example/x"},
	{name: "trailing-slash-redirect", path: "/a/", url: "http://a.example/a", on: "301", off: "200", spared: "http://a.example/a/"},
	{name: "hsts-default", url: "https://a.example/", see: field("Strict-Transport-Security"), on: "max-age=31536000; includeSubDomains", off: "", spared: "http://a.example/"},
	{name: "body-limit-default", method: "POST", body: strings.Repeat("x", 1<<20+1), on: "413", off: "200", spared: "http://a.example/"},
	{name: "limit-status-503", keys: map[string]string{"limit-rpm": "1", "limit-burst-multiplier": "1"}, before: 2, on: "503", off: "429"},
	{name: "regex-host-wide", others: map[string]string{"use-regex": "true"}, path: "/a", url: "http://a.example/abc", on: "200", off: "404", spared: "http://a.example/a/b"},
	{name: "regex-any-case", keys: map[string]string{"use-regex": "true"}, path: "/a", url: "http://a.example/ABC", on: "200", off: "404", spared: "http://a.example/abc"},
	{name: "rewrite-target-regex", keys: map[string]string{"rewrite-target": "/x"}, path: "/a", url: "http://a.example/abc", on: "200", off: "404", spared: "http://a.example/a/b"},
	{name: "bad-use-regex", keys: map[string]string{"use-regex": "perhaps"}, on: "200", off: "503"},
	{name: "www-redirect-port", keys: map[string]string{"from-to-www-redirect": "true", "preserve-trailing-slash": "true"}, url: "http://www.a.example/x", see: location, on: "http://a.example:80/x", off: "http://a.example/x", spared: "http://a.example/"},
	{name: "cors-any-options", keys: map[string]string{"enable-cors": "true", "cors-allow-credentials": "true"}, method: "OPTIONS", fields: []string{origin}, on: "204", off: "200"},
	{
		name: "cors-credentials-default", keys: map[string]string{"enable-cors": "true"}, fields: []string{origin},
		see: field("Access-Control-Allow-Credentials"), on: "true", off: "",
	},
	{
		name: "cors-headers-star", keys: map[string]string{"enable-cors": "true", "cors-allow-headers": "*", "cors-allow-credentials": "true"}, fields: []string{origin},
		see: field("Access-Control-Allow-Headers"), on: "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization", off: "*",
	},
	{name: "auth-keys-alone", keys: map[string]string{"auth-secret": "users"}, on: "200", off: "503"},
	{
		name: "retry-timeouts", beside: "retry-same-endpoint", keys: map[string]string{"proxy-read-timeout": "1", "proxy-next-upstream-tries": "2"},
		handler: func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
		}, on: "504", off: "504",
	},
	{
		name: "retry-same-endpoint", keys: map[string]string{"proxy-next-upstream": "http_503", "proxy-next-upstream-tries": "2"},
		handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, on: "503", off: "503",
	},
	{
		name: "request-buffering-default", method: "POST", body: "x", fields: []string{"Transfer-Encoding: chunked"},
		handler: func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength < 0 {
				w.WriteHeader(http.StatusLengthRequired)
			}
		}, on: "200", off: "411", spared: "http://a.example/",
	},
	{
		name: "drops-odd-fields", fields: []string{"X_Lane: 1"}, see: field("X-Saw"),
		handler: func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Saw", r.Header.Get("X_Lane")) }, on: "", off: "1",
	},
	{name: "canary-names", keys: map[string]string{"canary": "true", "canary-by-cookie": "lane"}, fields: []string{"Cookie: LANE=always"}, on: "200", off: "200"},
}

// Each quirk does what it says, can be switched in either profile, and counts the requests that
// depend on it, with a sample, and no others. A quirk without a case fails the test.
func TestQuirks(t *testing.T) {
	have := map[string]bool{}
	for _, c := range quirkCases {
		have[c.name] = true
		for _, class := range []string{"spec", "ingress-nginx"} {
			for _, on := range []bool{true, false} {
				word := map[bool]string{true: "on", false: "off"}[on]
				t.Run(c.name+" "+word+", "+class, func(t *testing.T) { c.run(t, class, on) })
			}
		}
	}
	for _, q := range policy.QuirkDocs() {
		if q.Uncounted == "" && !have[q.Name] {
			t.Errorf("%s: there is no case", q.Name)
		}
	}
}

func (c quirkCase) run(t *testing.T, class string, on bool) {
	var handler http.Handler
	if c.handler != nil {
		handler = c.handler
	}
	l := newLive(t, guardObjects, handler)
	quirk := c.quirk(t)
	if c.beside != "" {
		if err := l.options.Quirks.Switch(c.beside, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.options.Quirks.Switch(c.name, on); err != nil {
		t.Fatal(err)
	}
	path, url, method := "/", "http://a.example/", http.MethodGet
	if c.path != "" {
		path = c.path
	}
	if c.url != "" {
		url = c.url
	}
	if c.method != "" {
		method = c.method
	}
	if c.keys["canary"] != "" {
		l.add(class, "main", "a.example", path, nil)
	}
	ing := l.add(class, "web", "a.example", path, c.keys)
	prefix := netv1.PathTypePrefix
	ing.Spec.Rules[0].HTTP.Paths[0].PathType = &prefix
	if c.keys["canary"] != "" {
		l.snapshot.Ingresses[0].Spec.Rules[0].HTTP.Paths[0].PathType = &prefix
	}
	if c.tls != nil {
		ing.Spec.TLS = []netv1.IngressTLS{{Hosts: c.tls}}
	}
	if c.others != nil {
		l.add(class, "other", "a.example", "/other", c.others)
	}
	l.serve()
	if c.spared != "" {
		l.ask(http.MethodGet, c.spared, "")
	}
	for range c.before {
		l.ask(method, url, c.body, c.fields...)
	}
	if n := l.proxy.QuirkRequests(quirk); c.before == 0 && n != 0 {
		t.Errorf("%d requests depended on it before any did", n)
	}
	counted := l.proxy.QuirkRequests(quirk)
	resp := l.ask(method, url, c.body, c.fields...)
	got, want := resp.Status[:3], c.off
	if c.see != nil {
		got = c.see(resp)
	}
	depended := uint64(0)
	if on {
		want, depended = c.on, 1
	}
	if got != want {
		t.Errorf("got %q, want %q; problems: %v", got, want, l.problems)
	}
	if n := l.proxy.QuirkRequests(quirk) - counted; n != depended {
		t.Errorf("%d requests depended on it, want %d", n, depended)
	}
	sample := ""
	for _, of := range l.proxy.Table().QuirkUses() {
		for _, u := range of.Uses {
			if u.Quirk == quirk {
				sample = u.Sample
			}
		}
	}
	if bare := strings.TrimSuffix(url, "?"); on && sample != method+" "+bare || !on && sample != "" {
		t.Errorf("the sample is %q, want %s %s", sample, method, bare)
	}
}

func (c quirkCase) quirk(t *testing.T) policy.Quirk {
	t.Helper()
	for _, q := range policy.QuirkDocs() {
		if q.Name == c.name {
			return q.Quirk
		}
	}
	t.Fatalf("there is no quirk %s", c.name)
	return 0
}

// Who only asks what would become of a request depends on nothing.
func TestQuestionsDependOnNoQuirk(t *testing.T) {
	l := newLive(t, guardObjects, nil)
	ing := l.add("ingress-nginx", "web", "a.example", "/", nil)
	ing.Spec.TLS = []netv1.IngressTLS{{Hosts: []string{"a.example"}}}
	l.serve()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.RequestURI, r.RemoteAddr = "a.example", "/", "127.0.0.1:1"
	if d := l.proxy.Decide(l.proxy.Table(), r); d.Status != http.StatusPermanentRedirect {
		t.Errorf("decided %+v", d)
	}
	if uses := l.proxy.Table().QuirkUses(); len(uses) > 0 {
		t.Errorf("uses %+v", uses)
	}
}
