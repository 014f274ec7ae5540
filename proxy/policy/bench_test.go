package policy

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"testing"
)

// bare is an Exchange that remembers nothing, so that what is measured is the policies.
type bare struct {
	writer
	header http.Header
}

func (w *bare) Header() http.Header       { return w.header }
func (w *bare) WriteHeader(int)           {}
func (w *bare) Write([]byte) (int, error) { return 0, nil }
func (w *bare) Client() netip.Addr        { return netip.AddrFrom4([4]byte{192, 0, 2, 1}) }

// BenchmarkPolicies is the cost of the policies alone, without what they are in front of;
// proxy.BenchmarkPolicies has the whole request.
func BenchmarkPolicies(b *testing.B) {
	for _, c := range []struct {
		name        string
		profile     Profile
		annotations map[string]string
		pattern     bool
	}{
		{name: "none"},
		{name: "ingress-nginx without annotations", profile: Nginx},
		{name: "five", pattern: true, annotations: map[string]string{
			"enable-cors": "true", "limit-rps": "1000000", "allowlist-source-range": "192.0.2.0/24", "rewrite-target": "/$1", "proxy-read-timeout": "30",
		}},
		{name: "basic authentication", annotations: map[string]string{"auth-type": "basic", "auth-secret": "users"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			in := Input{Profile: c.profile, Namespace: "shop", Annotations: map[string]string{}, Secret: func(string, string) map[string][]byte {
				return map[string][]byte{"auth": []byte("dave:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")}
			}}
			for k, v := range c.annotations {
				in.Annotations[Prefix+k] = v
			}
			s, _ := Parse(in)
			s.SSLRedirect = nil // of hosts with TLS
			rule := Rule{Path: "/"}
			if c.pattern {
				rule.Match = regexp.MustCompile("(?i)^/(.*)").FindStringSubmatch
			}
			reached := 0
			h := Wrap(&s, rule, &Env{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reached++; w.WriteHeader(http.StatusOK) }))
			r := httptest.NewRequest("GET", "/path", nil)
			w := &bare{header: http.Header{}}
			w.path = "/path"
			credentials := []string{"Basic ZGF2ZTpzaGExcHc="}
			b.ReportAllocs()
			for b.Loop() {
				r.Header["Authorization"] = credentials
				h.ServeHTTP(w, r)
			}
			if reached == 0 {
				b.Error("nothing got through")
			}
		})
	}
}

// BenchmarkUnknown is what a key that there is not costs, with the search for the one that was
// meant.
func BenchmarkUnknown(b *testing.B) {
	for b.Loop() {
		Parse(Input{Annotations: map[string]string{NginxPrefix + "proxy-body-sise": "8m"}})
	}
}
