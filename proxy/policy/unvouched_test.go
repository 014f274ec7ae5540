package policy

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// Where global-auth-url is not asked, nobody vouches for the fields of its answers.
func TestExemptRulesStripGlobalFields(t *testing.T) {
	config := map[string]string{"global-auth-url": "http://gate.example/", "global-auth-response-headers": "X-User, Authorization", "no-auth-locations": "/free"}
	for name, c := range map[string]struct {
		annotation, path string
		config           map[string]string
		want             string // of the client's fields, what the backend gets
	}{
		"no-auth-locations":  {"", "/free", config, "[Authorization X-Own]"},
		"enable-global-auth": {"false", "/", config, "[Authorization X-Own]"},
		"no service":         {"", "/", nil, "[Authorization X-Own X-User X_user]"},
	} {
		in := Input{Namespace: "shop", Annotations: map[string]string{}, Config: c.config}
		if c.annotation != "" {
			in.Annotations[Prefix+"enable-global-auth"] = c.annotation
		}
		s, findings := Parse(in)
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		s.SSLRedirect = nil
		var got []string
		h := Wrap(&s, Rule{Host: "a.example", Path: c.path}, &Env{Transport: denying{}}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = slices.Sorted(maps.Keys(r.Header))
		}))
		r := httptest.NewRequest("GET", c.path, nil)
		r.Header = http.Header{"X-User": {"admin"}, "X_user": {"admin"}, "Authorization": {"Bearer x"}, "X-Own": {"1"}}
		h.ServeHTTP(&writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", scheme: "https", path: c.path}, r)
		if text := fmt.Sprint(got); text != c.want {
			t.Errorf("%s: the backend gets %s, want %s", name, text, c.want)
		}
	}
}
