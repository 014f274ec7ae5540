package policy

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
)

// answering is an auth service that answers with a status.
type answering int

func (status answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(status), Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// Each combination of guards and of what admits: with any, one is enough, and none is not.
func TestSatisfyAny(t *testing.T) {
	guards := []map[string]string{
		{"allowlist-source-range": "192.0.2.1", "denylist-source-range": "198.51.100.1"},
		{"auth-type": "basic", "auth-secret": "users"},
		{"auth-url": "http://auth.example/", "auth-response-headers": "X-User"},
	}
	secret := func(string, string) map[string][]byte {
		return map[string][]byte{"auth": []byte("dave:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")}
	}
	for _, satisfy := range []string{"all", "any"} {
		for set := 1; set < 8; set++ {
			annotations := map[string]string{Prefix + "satisfy": satisfy}
			for i, g := range guards {
				if set&(1<<i) == 0 {
					continue
				}
				for k, v := range g {
					annotations[Prefix+k] = v
				}
			}
			s, findings := Parse(Input{Namespace: "shop", Annotations: maps.Clone(annotations), Secret: secret})
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			for admitting := range 8 {
				w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "203.0.113.1", scheme: "https", path: "/"}
				r := httptest.NewRequest("GET", "/", nil)
				r.Header.Set("X-User", "forged")
				service := answering(403)
				if admitting&1 != 0 {
					w.client = "192.0.2.1"
				}
				if admitting&2 != 0 {
					r.SetBasicAuth("dave", "sha1pw")
				}
				if admitting&4 != 0 {
					service = 204
				}
				reached := false
				Wrap(&s, Rule{Path: "/"}, &Env{Transport: service}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					reached = true
					if set&4 != 0 && r.Header.Get("X-User") != "" {
						t.Errorf("%s, guards %03b, admitting %03b: a field of the auth service was forged", satisfy, set, admitting)
					}
					if set&2 != 0 && r.Header.Get("Authorization") != "" {
						t.Errorf("%s, guards %03b, admitting %03b: the password reached the backend", satisfy, set, admitting)
					}
				})).ServeHTTP(w, r)
				want := set&admitting == set
				if satisfy == "any" {
					want = set&admitting != 0
				}
				if reached != want {
					t.Errorf("%s, guards %03b, admitting %03b: reached %v, want %v", satisfy, set, admitting, reached, want)
				}
				if !reached && w.Code != 401 && w.Code != 403 {
					t.Errorf("%s, guards %03b, admitting %03b: %d", satisfy, set, admitting, w.Code)
				}
				if challenged := w.Header().Get("Www-Authenticate") != ""; satisfy == "any" && challenged != (!reached && set&2 != 0) {
					t.Errorf("any, guards %03b, admitting %03b: challenged %v", set, admitting, challenged)
				}
			}
		}
	}
}

// Not to be denied is no reason to be admitted, and an auth service that fails admits nobody.
func TestSatisfyAnyFailsClosed(t *testing.T) {
	deny := map[string]string{"satisfy": "any", "denylist-source-range": "198.51.100.1", "auth-type": "basic", "auth-secret": "users"}
	if w := try(t, Spec, deny, Rule{Path: "/"}, httptest.NewRequest("GET", "/", nil), &writer{}); w.Code != 401 {
		t.Errorf("not denied, and without a password: %d", w.Code)
	}
	s, _ := Parse(Input{Annotations: map[string]string{Prefix + "satisfy": "any", Prefix + "allowlist-source-range": "192.0.2.1", Prefix + "auth-url": "http://auth.example/"}})
	for _, status := range []answering{302, 404, 500, 503} {
		w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "203.0.113.1", scheme: "https"}
		Wrap(&s, Rule{Path: "/"}, &Env{Transport: status}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") })).
			ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 500 {
			t.Errorf("the service answers %d: %d", status, w.Code)
		}
	}
	// A broken guard beside others refuses, whatever else would admit.
	s, _ = Parse(Input{Annotations: map[string]string{Prefix + "satisfy": "any", Prefix + "allowlist-source-range": "192.0.2.1", Prefix + "auth-type": "basic", Prefix + "auth-secret": "missing"}})
	if len(s.Refused) == 0 {
		t.Error("a missing Secret is nothing")
	}
}
