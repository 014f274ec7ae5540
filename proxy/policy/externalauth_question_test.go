package policy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unsafe"
)

// atHost is a writer of a request for that host.
type atHost struct {
	*writer
	host string
}

func (w atHost) CanonicalHost() string { return w.host }

// cached returns the route of a rule that keeps answers by the cookie sid, and a client of it, which
// returns how often the service was asked.
func cached(t *testing.T, service *counting, env *Env) func(host string, fields []string, header http.Header) int {
	t.Helper()
	s, findings := Parse(Input{
		Namespace: "shop", Annotations: map[string]string{
			Prefix + "auth-url": "http://auth.example/a", Prefix + "auth-cache-key": "$cookie_sid", Prefix + "auth-proxy-set-headers": "fields",
		},
		OwnConfigMap: func(string) map[string]string { return map[string]string{"X-Gate": "$host"} },
	})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	s.SSLRedirect = nil
	env.Transport = service
	h := Wrap(&s, Rule{Host: "*.example", Path: "/"}, env, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return func(host string, fields []string, header http.Header) int {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = header.Clone()
		before := service.asked
		h.ServeHTTP(atHost{&writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", scheme: "https", path: "/", fields: fields}, host}, r)
		return service.asked - before
	}
}

// An answer that depends on what we say to the service holds for no other request.
func TestAuthCacheVaryOfOurs(t *testing.T) {
	for vary, asked := range map[string]int{
		"X-Tenant": 0, "Host": 1, "x-original-url": 1, "X-Original-Method": 1, "X-Forwarded-For": 1, "X-Real-IP": 1, "X-Auth-Request-Redirect": 1,
		"X-Sent-From": 1, "X-Request-ID": 1, "X-Tenant, x-gate": 1, "Ssl-Client-Verify": 1, "X-Fairlead-Hops": 1,
	} {
		ask := cached(t, &counting{header: http.Header{"Vary": {vary}}}, &Env{})
		header := http.Header{"Cookie": {"sid=1; ok=1"}}
		if ask("a.example", nil, header) != 1 || ask("a.example", nil, header) != asked {
			t.Errorf("Vary: %s: not asked %d times again", vary, asked)
		}
	}
}

// A rule of several hosts keeps an answer for each, and for each certificate.
func TestAuthCacheOfHosts(t *testing.T) {
	ask := cached(t, &counting{}, &Env{})
	header := http.Header{"Cookie": {"sid=1; ok=1"}}
	alice, bob := []string{"Ssl-Client-Subject-Dn: CN=alice"}, []string{"Ssl-Client-Subject-Dn: CN=bob"}
	for i, want := range []int{1, 0} {
		if ask("a.example", nil, header) != want || ask("b.example", nil, header) != want || ask("a.example", alice, header) != want || ask("a.example", bob, header) != want {
			t.Errorf("round %d: want each asked about %d times", i, want)
		}
	}
}

// What is kept of a request does not keep the head that it stood in.
func TestAuthCacheKeepsNoHead(t *testing.T) {
	env := &Env{}
	ask := cached(t, &counting{header: http.Header{"Vary": {"Origin"}}}, env)
	head := strings.Repeat("o", 100)
	ask("a.example", nil, http.Header{"Cookie": {"sid=1; ok=1"}, "Origin": {head[:10]}})
	kept := env.rulings.recent.Front().Value.(*ruling).vary
	if len(kept) != 1 || kept[0][1] != head[:10] || unsafe.StringData(kept[0][1]) == unsafe.StringData(head) {
		t.Errorf("kept %q", kept)
	}
}
