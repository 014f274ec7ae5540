package ingress_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// nobody is a list of addresses that admits none of this machine.
var nobody = map[string]string{"use-regex": "true", "allowlist-source-range": "192.0.2.0/24"}

// A guard on a regular expression holds for all that the expression matches, beside an open path of the
// same host; where it cannot be compiled, for all that it could match.
func TestPatternsGuardAllTheyMatch(t *testing.T) {
	for _, c := range []struct {
		guarded, also string // also is open, and shorter than guarded
		closed, open  []string
	}{
		{`/api/(?!public|health).*`, "/", []string{"/api/secret", "/api/secret/health"}, []string{"/api/public", "/api/health"}},
		{`/(api(?!x)|.*)`, "/", []string{"/apix", "/api"}, nil},
		{`/(api(?!x))?.*`, "/", []string{"/apix", "/api"}, nil},
		{`/api(?!x)|/.*`, "/", []string{"/apix", "/api"}, nil},
		{`/api|/admin[`, "/", []string{"/api", "/admin"}, []string{"/x"}},
		{`/admin?x[`, "/", []string{"/adminx", "/admix"}, []string{"/x"}},
		{`/admin)`, "/", []string{"/admin"}, []string{"/x"}},
		{`/admin/(?<!x).*`, "/admin/.*", []string{"/admin/x"}, nil},
	} {
		l := newLive(t, "", nil)
		l.add("ingress-nginx", "open", "a.example", c.also, nil)
		l.add("ingress-nginx", "guarded", "a.example", c.guarded, nobody)
		l.serve()
		for status, paths := range map[int][]string{http.StatusForbidden: c.closed, http.StatusOK: c.open} {
			for _, path := range paths {
				if resp := l.ask("GET", "http://a.example"+path, ""); resp.StatusCode != status {
					t.Errorf("%s guarded, %s open: %s is answered %d, want %d", c.guarded, c.also, path, resp.StatusCode, status)
				}
			}
		}
	}
}

// The fields of global-auth-url's answers are nobody's to send where an Ingress asks a service of its
// own; those of that service's answers are for it to judge.
func TestOwnServiceVouchesForNoGlobalFields(t *testing.T) {
	var asked, got http.Header
	auth := &proxytest.Backend{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.Header.Clone() })}
	proxytest.Start(t, auth)
	l := newLive(t, "kind: ConfigMap\nmetadata: {namespace: fairlead, name: settings}\ndata: {global-auth-url: http://nobody.invalid/, global-auth-response-headers: 'X-User, X-Both'}\n",
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	l.add("spec", "own", "a.example", "/", map[string]string{"auth-url": auth.URL(), "auth-response-headers": "X-Both"})
	l.serve()
	if resp := l.ask("GET", "http://a.example/", "", "X-User: admin", "X_User: admin", "X-Both: admin"); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.StatusCode)
	}
	for _, name := range []string{"X-User", "X_user", "X-Both"} {
		if got[name] != nil {
			t.Errorf("the backend gets the client's %s", name)
		}
	}
	if asked["X-User"] != nil || asked["X-Both"] == nil {
		t.Errorf("the service is told %v", asked)
	}
}

// A list of IPv4 addresses that is written as one of IPv6 is for IPv4 clients.
func TestMappedRangesAreOfIPv4(t *testing.T) {
	l := newLive(t, "", nil)
	for host, list := range map[string]string{"a.example": "::ffff:127.0.0.0/104", "b.example": "::ffff:0:0/96", "c.example": "::ffff:127.0.0.1"} {
		l.add("spec", host, host, "/", map[string]string{"denylist-source-range": list})
	}
	l.add("spec", "d", "d.example", "/", map[string]string{"denylist-source-range": "::ffff:192.0.2.0/120"})
	l.serve()
	for host, want := range map[string]int{"a.example": 403, "b.example": 403, "c.example": 403, "d.example": 200} {
		if resp := l.ask("GET", "http://"+host+"/", ""); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", host, resp.StatusCode, want)
		}
	}
}

// What proxy-set-headers says is what the backend gets, in every spelling of a name and where the value
// cannot be made.
func TestSetFieldsAreNotTheClients(t *testing.T) {
	var got http.Header
	l := newLive(t, `
kind: ConfigMap
metadata: {namespace: fairlead, name: settings}
data: {proxy-set-headers: fairlead/set, add-headers: fairlead/add}
---
kind: ConfigMap
metadata: {namespace: fairlead, name: set}
data: {X-Zone: eu, X-Admin: "", X-Bad: $nothing}
---
kind: ConfigMap
metadata: {namespace: fairlead, name: add}
data: {X-Frame-Options: $nothing}
`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set("X-Frame-Options", "DENY")
	}))
	l.add("spec", "web", "a.example", "/", nil)
	l.serve()
	resp := l.ask("GET", "http://a.example/", "", "X_Zone: us", "X-Zone: us", "X.Zone: us", "X.Admin: yes", "X-Admin: yes", "X-Bad: yes", "X-Zones: 2")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Frame-Options") != "DENY" {
		t.Fatal(resp.StatusCode, resp.Header)
	}
	if got.Get("X-Zone") != "eu" || got.Get("X-Zones") != "2" {
		t.Errorf("the backend gets %v", got)
	}
	for _, name := range []string{"X_zone", "X.zone", "X.admin", "X-Admin", "X-Bad"} {
		if got[name] != nil {
			t.Errorf("the backend gets the client's %s", name)
		}
	}
}

// Nor are they the client's to send behind the body, where some backends take them for fields.
func TestVouchedTrailersAreNotTheClients(t *testing.T) {
	auth := &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-User", "me") })}
	proxytest.Start(t, auth)
	var got http.Header
	l := newLive(t, `
kind: ConfigMap
metadata: {namespace: fairlead, name: settings}
data: {proxy-set-headers: fairlead/set}
---
kind: ConfigMap
metadata: {namespace: fairlead, name: set}
data: {X-Zone: eu}
`, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got = r.Trailer
	}))
	l.add("spec", "web", "a.example", "/", map[string]string{"auth-url": auth.URL(), "auth-response-headers": "X-User"})
	l.serve()
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://a.example/", io.MultiReader(strings.NewReader("x")))
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-User": {"admin"}, "X_user": {"admin"}, "X-Zone": {"us"}, "X-Checksum": {"1"}}
	resp, err := l.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || len(got) != 1 || got.Get("X-Checksum") != "1" {
		t.Errorf("%d, and the backend gets the trailers %v", resp.StatusCode, got)
	}
}

// The auth service and the backend are asked for one thing: dot segments do not hide from the one what
// the other gives.
func TestAuthServiceIsToldWhatIsForwarded(t *testing.T) {
	var told, named, got string
	auth := &proxytest.Backend{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		told, named = r.Header.Get("X-Original-Url"), r.URL.Query().Get("target")
	})}
	proxytest.Start(t, auth)
	l := newLive(t, "", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RequestURI }))
	l.add("spec", "web", "a.example", "/", map[string]string{"auth-url": auth.URL() + "/?target=$request_uri"})
	l.serve()
	for target, want := range map[string]string{
		"/public/%2e%2e/admin?x=/../y": "/admin?x=/../y",
		"/public/..//admin/.":          "/admin/",
		"//a%62?":                      "//a%62?",
	} {
		resp := l.ask("GET", "http://a.example"+target, "")
		if resp.StatusCode != http.StatusOK || got != want || named != want || told != "http://a.example"+want {
			t.Errorf("%s: %d, the service is told %s and %s, the backend %s, want %s", target, resp.StatusCode, told, named, got, want)
		}
	}
}

// The rules of an alias know whose they are: see proxy.TestAliasChoosesNoAuthService.
func TestAliasKnowsTheHostOfItsRules(t *testing.T) {
	l := newLive(t, "", nil)
	l.add("spec", "own", "a.example", "/", nil)
	l.add("spec", "other", "a.example", "/other", map[string]string{"server-alias": "b.example"})
	l.serve()
	for _, r := range l.proxy.Table().Rules() {
		if (r.AliasOf == "a.example") != (r.Host == "b.example") || r.Host == "a.example" && r.AliasOf != "" {
			t.Errorf("the rule for %s%s is of an alias of %q", r.Host, r.Path, r.AliasOf)
		}
	}
	if n := len(l.proxy.Table().Rules()); n != 4 {
		t.Errorf("%d rules, want both for both hosts", n)
	}
}

// What a client says does not choose another question: a value that would be a dot segment of auth-url
// denies, and fields that auth-proxy-set-headers says are not the client's in any spelling.
func TestClientsChooseNoOtherQuestion(t *testing.T) {
	var asked []string
	var fields http.Header
	auth := &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, fields = append(asked, r.RequestURI), r.Header.Clone()
		if strings.HasPrefix(r.URL.Path, "/tenants/") {
			w.WriteHeader(http.StatusForbidden)
		}
	})}
	proxytest.Start(t, auth)
	l := newLive(t, "kind: ConfigMap\nmetadata: {namespace: shop, name: set}\ndata: {X-Zone: eu, X-Admin: ''}\n", nil)
	l.add("spec", "a", "a.example", "/", map[string]string{"auth-url": auth.URL() + "/tenants/$arg_tenant/healthz"})
	l.add("spec", "b", "b.example", "/", map[string]string{"auth-url": auth.URL(), "auth-proxy-set-headers": "set"})
	l.serve()
	for query, want := range map[string]int{"tenant=x": 403, "tenant=../..": 403, "tenant=..": 500, "tenant=.": 500, "tenant=%2e%2e": 403} {
		if resp := l.ask("GET", "http://a.example/?"+query, ""); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d; asked for %q", query, resp.StatusCode, want, asked)
		}
	}
	if resp := l.ask("GET", "http://b.example/", "", "X_Zone: us", "X-Zone: us", "X.Admin: yes", "X-Admin: yes", "X-Other: 1"); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.StatusCode)
	}
	if fields.Get("X-Zone") != "eu" || fields.Get("X-Other") != "1" || fields["X_zone"] != nil || fields["X.admin"] != nil || fields["X-Admin"] != nil {
		t.Errorf("the service is told %v", fields)
	}
}
