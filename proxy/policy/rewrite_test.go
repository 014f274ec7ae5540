package policy

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
)

func TestRewrite(t *testing.T) {
	for _, c := range []struct{ path, pattern, target, request, want string }{
		{"/team(/|$)(.*)", "(?i)^/team(/|$)(.*)", "/$2", "/team/a%20b?c=%20d", "/a%20b"},
		{"/team(/|$)(.*)", "(?i)^/team(/|$)(.*)", "/$2", "/team", "/"},
		{"/pub(.*)", "(?i)^/pub(.*)", "/$1", "/pub/ok", "/ok"},
		{"/pub(.*)", "(?i)^/pub(.*)", "/$1", "/pub../secret", "400"},
		{"/g/(.*)", "(?i)^/g/(.*)", "/x/$3/y", "/g/1", "/x//y"},
		{"/u/(?<name>[a-z]+)", "(?i)^/u/(?<name>[a-z]+)", "/user/$name", "/u/bob", "/user/bob"},
		{"/e/(.*)", "(?i)^/e/(.*)", "/$1", "/e/a%3Fb%25", "/a%3Fb%25"},
		{"/e/(.*)", "(?i)^/e/(.*)", "/$1", "/e/%0d%0aX", "/%0D"},
		{"/same", "(?i)^/same", "/same", "/SAME/x", "kept"},
		{"/static/(.*)", "(?i)^/static/(.*)", "https://cdn.example/$1", "/static/x?v=3", "302 https://cdn.example/x?v=3"},
		{"/a", "", "/h/$host/$request_method", "/a", "/h/a.example/GET"},
	} {
		s, findings := Parse(Input{Profile: Nginx, Annotations: map[string]string{NginxPrefix + "rewrite-target": c.target}})
		if len(findings) > 0 {
			t.Error(findings)
			continue
		}
		rule := Rule{Path: c.path, Host: "a.example"}
		if c.pattern != "" {
			re := regexp.MustCompile(c.pattern)
			rule.Match, rule.GroupNames = re.FindStringSubmatch, re.SubexpNames()
		}
		r := httptest.NewRequest("GET", c.request, nil)
		w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", scheme: "https", path: r.URL.EscapedPath()}
		got := ""
		Wrap(&s, rule, &Env{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got = r.URL.Opaque; got == "" {
				got = "kept"
			}
		})).ServeHTTP(w, r)
		switch w.Code {
		case 400:
			got = "400"
		case 302:
			got = "302 " + w.Header().Get("Location")
		}
		if got != c.want {
			t.Errorf("%s to %s of %s is %q, want %q", c.path, c.target, c.request, got, c.want)
		}
	}
}

func TestWantsRegex(t *testing.T) {
	for _, c := range []struct {
		key, value string
		paths      []string
		want       bool // in the ingress-nginx profile
	}{
		{"use-regex", "true", []string{"/"}, true},
		{"use-regex", "yes", []string{"/"}, false},
		{"rewrite-target", "/", []string{"/"}, false},
		{"rewrite-target", "/", []string{"/", "/a"}, true},
		{"rewrite-target", "/same", []string{"/same"}, true},
		{"rewrite-target", "", []string{"/a"}, false},
	} {
		said, rewrites := WantsRegex(map[string]string{NginxPrefix + c.key: c.value}, Switches{}.Of(Nginx), c.paths)
		if got := said || rewrites; got != c.want || said && c.key != "use-regex" {
			t.Errorf("%s: %s on %q: %v", c.key, c.value, c.paths, got)
		}
	}
}
