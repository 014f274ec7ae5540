package policy

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkFive is the cost of five policies that many routes have, without what they are in
// front of.
func BenchmarkFive(b *testing.B) {
	s, _ := Parse(Input{Profile: Nginx, Annotations: map[string]string{
		NginxPrefix + "allowlist-source-range": "192.0.2.0/24", NginxPrefix + "enable-cors": "true",
		NginxPrefix + "limit-connections": "100", NginxPrefix + "force-ssl-redirect": "true", NginxPrefix + "proxy-body-size": "8m",
	}})
	h := Wrap(&s, Rule{Path: "/"}, &Env{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	r := httptest.NewRequest("GET", "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(&writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", scheme: "https", path: "/"}, r)
	}
}

// BenchmarkUnknown is what a key that there is not costs, with the search for the one that was
// meant.
func BenchmarkUnknown(b *testing.B) {
	for b.Loop() {
		Parse(Input{Annotations: map[string]string{NginxPrefix + "proxy-body-sise": "8m"}})
	}
}
