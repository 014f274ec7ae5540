package policy

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWWW(t *testing.T) {
	for _, c := range []struct {
		profile              Profile
		scheme, host, target string
		want                 string
	}{
		{Spec, "https", "a.example", "/s/?q=1", "https://www.a.example/s/?q=1"},
		{Spec, "https", "a.example", "/s?next=/", "https://www.a.example/s?next=/"},
		{Spec, "http", "a.example:8080", "/", "http://www.a.example:8080/"},
		{Spec, "http", "a.example:80x", "/", "http://www.a.example/"},
		{Nginx, "http", "a.example", "/", "http://www.a.example:80"},
		{Nginx, "http", "a.example:8080", "/shop/", "http://www.a.example:80/shop"},
		{Nginx, "https", "a.example", "/shop?next=/", "https://www.a.example:443/shop?next="},
	} {
		old := c.profile == Nginx
		s := Set{WWW: &WWW{Host: "www.a.example", Code: 307, FixedPort: old, CutSlash: old}}
		r := httptest.NewRequest("GET", "http://a.example/", nil)
		r.Host, r.RequestURI = c.host, c.target
		w := &writer{ResponseRecorder: httptest.NewRecorder(), scheme: c.scheme, client: "192.0.2.1"}
		Wrap(&s, Rule{Path: "/"}, &Env{}, http.NotFoundHandler()).ServeHTTP(w, r)
		if got := w.Header().Get("Location"); got != c.want || w.Code != 307 || w.reason != "www-redirect" {
			t.Errorf("%s, %s%s: %d %q %s, want %s", c.profile, c.host, c.target, w.Code, w.reason, got, c.want)
		}
	}
}

// The rules of the Ingress itself are not redirected.
func TestWWWIsOfTheTwin(t *testing.T) {
	w := try(t, Spec, map[string]string{"from-to-www-redirect": "true"}, Rule{Path: "/"}, httptest.NewRequest("GET", "/", nil), &writer{})
	if w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.reason)
	}
}

func TestTwin(t *testing.T) {
	for host, want := range map[string]string{
		"a.example": "www.a.example", "www.a.example": "a.example", "www.www.a.example": "www.a.example", "example": "www.example",
		"www.example": "", "*.a.example": "", "": "", "wwwa.example": "www.wwwa.example",
	} {
		if got, ok := Twin(host); got != want && ok || ok != (want != "") {
			t.Errorf("%s: %q %v, want %q", host, got, ok, want)
		}
	}
}
