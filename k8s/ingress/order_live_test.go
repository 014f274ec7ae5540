package ingress_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/k8stest"
	"github.com/fairlead-ingress/fairlead/proxy"
)

// duel is two features of one route and a request that either would answer.
type duel struct {
	first, second string // the names of the features; first answers
	keys          map[string]string
	config        map[string]string
	method        string // default GET
	url           string // default http://a.example/
	fields        []string
	body          string
	reason        string // of the answer; empty for a preflight
	status        int
	inNginx       int // where it is another in that profile
	// before is how many such requests come first.
	before int
	// path is that of the rule; default "/".
	path string
	// onlyNginx: the spec profile does not have the first of them.
	onlyNginx bool
}

// The parts of duels: annotations by which a feature answers the request of the duel.
var (
	duelMoved    = map[string]string{"permanent-redirect": "https://moved.example/"}
	duelHTTPS    = map[string]string{"force-ssl-redirect": "true"}
	duelCORS     = map[string]string{"enable-cors": "true"}
	duelBody     = map[string]string{"proxy-body-size": "1"}
	duelRoot     = map[string]string{"app-root": "/ui"}
	duelCert     = map[string]string{"auth-tls-secret": "shop/ca"}
	duelLimit    = map[string]string{"limit-rpm": "1", "limit-burst-multiplier": "1"}
	duelDeny     = map[string]string{"denylist-source-range": "127.0.0.0/8"}
	duelPassword = map[string]string{"auth-type": "basic", "auth-secret": "users"}
	duelService  = map[string]string{"auth-url": "http://nobody.invalid/"}
	duelEither   = map[string]string{"auth-type": "basic", "auth-secret": "users", "allowlist-source-range": "192.0.2.0/24", "satisfy": "any"}
	duelRewrite  = map[string]string{"rewrite-target": "/../$1", "use-regex": "true"}
	duelWWW      = map[string]string{"from-to-www-redirect": "true"}
	duelBlocked  = map[string]string{"block-user-agents": "evil"}
)

const (
	evil      = "User-Agent: evil"
	origin    = "Origin: https://app.example"
	preflight = "Access-Control-Request-Method: GET"
)

func both(keys ...map[string]string) map[string]string {
	all := make(map[string]string)
	for _, k := range keys {
		maps.Copy(all, k)
	}
	return all
}

// duels has every two features that follow each other in the chain and can both answer a request,
// and more where somebody would notice. chain.go has the reasons.
var duels = []duel{
	{first: "blocking", second: "app-root", keys: duelRoot, config: duelBlocked, fields: []string{evil}, reason: "blocked", status: 403},
	{first: "blocking", second: "redirect to www", keys: duelWWW, config: duelBlocked, url: "http://www.a.example/", fields: []string{evil}, reason: "blocked", status: 403},
	{first: "blocking", second: "body size", keys: duelBody, config: duelBlocked, method: "POST", body: "xx", fields: []string{evil}, reason: "blocked", status: 403},
	{first: "blocking", second: "CORS", keys: duelCORS, config: duelBlocked, method: "OPTIONS", fields: []string{evil, origin, preflight}, reason: "blocked", status: 403},
	{first: "app-root", second: "body size", keys: both(duelRoot, duelBody), method: "POST", body: "xx", reason: "app-root", status: 302},
	{first: "app-root", second: "redirects", keys: both(duelRoot, duelMoved), reason: "app-root", status: 302},
	{first: "app-root", second: "redirect to HTTPS", keys: both(duelRoot, duelHTTPS), reason: "app-root", status: 302},
	{first: "app-root", second: "access", keys: both(duelRoot, duelDeny), reason: "app-root", status: 302},
	{first: "body size", second: "trailing slash", keys: duelBody, path: "/a/", url: "http://a.example/a", method: "POST", body: "xx", reason: "body-too-large", status: 413, onlyNginx: true},
	{first: "body size", second: "CORS", keys: both(duelBody, duelCORS), method: "OPTIONS", body: "xx", fields: []string{origin, preflight}, reason: "body-too-large", status: 413},
	{first: "body size", second: "basic authentication", keys: both(duelBody, duelPassword), method: "POST", body: "xx", reason: "body-too-large", status: 413},
	{first: "trailing slash", second: "CORS", keys: duelCORS, path: "/a/", url: "http://a.example/a", method: "OPTIONS", fields: []string{origin, preflight}, reason: "trailing-slash", status: 301, onlyNginx: true},
	{first: "trailing slash", second: "redirects", keys: duelMoved, path: "/a/", url: "http://a.example/a", reason: "trailing-slash", status: 301, onlyNginx: true},
	{first: "CORS", second: "redirects", keys: both(duelCORS, duelMoved), method: "OPTIONS", fields: []string{origin, preflight}, status: 204},
	{first: "CORS", second: "redirect to HTTPS", keys: both(duelCORS, duelHTTPS), method: "OPTIONS", fields: []string{origin, preflight}, status: 204},
	{first: "CORS", second: "client certificate", keys: both(duelCORS, duelCert), url: "https://a.example/", method: "OPTIONS", fields: []string{origin, preflight}, status: 204},
	{first: "CORS", second: "limits", keys: both(duelCORS, duelLimit), method: "OPTIONS", fields: []string{origin, preflight}, status: 204, before: 3},
	{first: "CORS", second: "access", keys: both(duelCORS, duelDeny), method: "OPTIONS", fields: []string{origin, preflight}, status: 204},
	{first: "CORS", second: "basic authentication", keys: both(duelCORS, duelPassword), method: "OPTIONS", fields: []string{origin, preflight}, status: 204},
	{first: "CORS", second: "external authentication", keys: both(duelCORS, duelService), method: "OPTIONS", fields: []string{origin, preflight}, status: 204},
	{first: "redirects", second: "redirect to HTTPS", keys: both(duelMoved, duelHTTPS), reason: "redirect", status: 301},
	{first: "redirects", second: "limits", keys: both(duelMoved, duelLimit), reason: "redirect", status: 301, before: 3},
	{first: "redirects", second: "access", keys: both(duelMoved, duelDeny), reason: "redirect", status: 301},
	{first: "redirects", second: "basic authentication", keys: both(duelMoved, duelPassword), reason: "redirect", status: 301},
	{first: "redirect to HTTPS", second: "client certificate", keys: both(duelHTTPS, duelCert), reason: "https-wanted", status: 308},
	{first: "redirect to HTTPS", second: "access", keys: both(duelHTTPS, duelDeny), reason: "https-wanted", status: 308},
	{first: "redirect to HTTPS", second: "basic authentication", keys: both(duelHTTPS, duelPassword), reason: "https-wanted", status: 308},
	{first: "client certificate", second: "limits", keys: both(duelCert, duelLimit), url: "https://a.example/", reason: "client-certificate-wanted", status: 400, before: 3},
	{first: "client certificate", second: "access", keys: both(duelCert, duelDeny), url: "https://a.example/", reason: "client-certificate-wanted", status: 400},
	{first: "client certificate", second: "basic authentication", keys: both(duelCert, duelPassword), url: "https://a.example/", reason: "client-certificate-wanted", status: 400},
	{first: "limits", second: "access", keys: both(duelLimit, duelDeny), reason: "rate-limit", status: 429, inNginx: 503, before: 3},
	{first: "limits", second: "satisfy any", keys: both(duelLimit, duelEither), reason: "rate-limit", status: 429, inNginx: 503, before: 3},
	{first: "limits", second: "basic authentication", keys: both(duelLimit, duelPassword), reason: "rate-limit", status: 429, inNginx: 503, before: 3},
	{first: "limits", second: "external authentication", keys: both(duelLimit, duelService), reason: "rate-limit", status: 429, inNginx: 503, before: 3},
	{first: "satisfy any", second: "rewrite", keys: both(duelEither, duelRewrite), reason: "password-wanted", status: 401, path: "/(.*)"},
	{first: "access", second: "basic authentication", keys: both(duelDeny, duelPassword), reason: "address-denied", status: 403},
	{first: "access", second: "external authentication", keys: both(duelDeny, duelService), reason: "address-denied", status: 403},
	{first: "basic authentication", second: "external authentication", keys: both(duelPassword, duelService), reason: "password-wanted", status: 401},
	{first: "external authentication", second: "rewrite", keys: both(duelService, duelRewrite), reason: "auth-failed", status: 500, path: "/(.*)"},
}

// Features that never answer a request, and so cannot come before another.
var silent = []string{"HSTS", "fields", "compression", "forwarding", "affinity"}

func TestOrderOfTheChain(t *testing.T) {
	for _, d := range duels {
		for _, class := range []string{"spec", "ingress-nginx"} {
			if class == "spec" && d.onlyNginx {
				continue
			}
			t.Run(d.first+" before "+d.second+", "+class, func(t *testing.T) { d.fight(t, class) })
		}
	}
}

func (d duel) fight(t *testing.T, class string) {
	l := newLive(t, guardObjects+"---\nkind: ConfigMap\nmetadata: {namespace: fairlead, name: settings}\n", nil)
	l.snapshot.ConfigMaps[liveConfig] = &corev1.ConfigMap{Data: d.config}
	addAuthority(l)
	path, url, method := "/", "http://a.example/", http.MethodGet
	if d.path != "" {
		path = d.path
	}
	if d.url != "" {
		url = d.url
	}
	if d.method != "" {
		method = d.method
	}
	l.add(class, "web", "a.example", path, d.keys)
	l.serve()
	if !slices.ContainsFunc(l.proxy.Table().Rules(), func(rule *proxy.Rule) bool {
		names := proxy.PolicyNames(rule)
		first, second := slices.Index(names, d.first), slices.Index(names, d.second)
		return first >= 0 && first < second
	}) {
		t.Error("no route has both")
	}
	for range d.before {
		l.ask(method, url, d.body, d.fields...)
	}
	resp := l.ask(method, url, d.body, d.fields...)
	want := d.status
	if class == "ingress-nginx" && d.inNginx != 0 {
		want = d.inNginx
	}
	if got := resp.Header.Get(proxy.ReasonHeader); resp.StatusCode != want || got != d.reason {
		t.Errorf("%d %q, want %d %q; problems: %v", resp.StatusCode, got, want, d.reason, l.problems)
	}
	if n := l.backend.Requests(); n > int64(d.before) {
		t.Errorf("%d requests got to the backend", n)
	}
}

// addAuthority adds the Secret shop/ca, whose certificates no client here has.
func addAuthority(l *live) {
	l.t.Helper()
	crt, _, err := k8stest.KeyPair("cn=authority")
	if err != nil {
		l.t.Fatal(err)
	}
	l.snapshot.Secrets[types.NamespacedName{Namespace: "shop", Name: "ca"}] = &corev1.Secret{Data: map[string][]byte{"ca.crt": crt}}
}

// Every two features that follow each other in the chain and can answer are a duel.
func TestEveryNeighbourIsADuel(t *testing.T) {
	l := newLive(t, guardObjects+"---\nkind: ConfigMap\nmetadata: {namespace: fairlead, name: settings}\n", nil)
	l.snapshot.ConfigMaps[liveConfig] = &corev1.ConfigMap{Data: both(duelBlocked, map[string]string{"hide-headers": "X-A", "use-gzip": "true"})}
	addAuthority(l)
	all := both(duelMoved, duelHTTPS, duelCORS, duelBody, duelCert, duelLimit, duelDeny, duelPassword, duelService, map[string]string{"upstream-vhost": "b.example", "affinity": "cookie"})
	l.add("ingress-nginx", "slash", "a.example", "/a/", all)
	l.add("ingress-nginx", "rewrite", "b.example", "/(.*)", both(all, duelRewrite))
	l.add("ingress-nginx", "either", "c.example", "/(.*)", both(all, duelRewrite, duelEither))
	l.add("ingress-nginx", "root", "d.example", "/", both(all, duelRoot))
	l.serve()
	type pair struct{ first, second string }
	have := make(map[pair]bool)
	for _, d := range duels {
		have[pair{d.first, d.second}] = true
	}
	seen := map[string]bool{}
	for _, rule := range l.proxy.Table().Rules() {
		names := slices.DeleteFunc(proxy.PolicyNames(rule), func(name string) bool { return slices.Contains(silent, name) })
		for i, name := range names {
			seen[name] = true
			if i > 0 && !have[pair{names[i-1], name}] {
				t.Errorf("%s comes right before %s, and no duel proves it", names[i-1], name)
			}
		}
	}
	for _, d := range duels {
		if !seen[d.first] {
			t.Errorf("no route of the test has %s", d.first)
		}
	}
}
