package policy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// told is a service that gives what it is sent.
type told chan *http.Request

func (c told) RoundTrip(r *http.Request) (*http.Response, error) {
	c <- r
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(http.NoBody)}, nil
}

func (c told) next(t *testing.T) *http.Request {
	t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was sent")
		return nil
	}
}

// What only a proxy may say of a client reaches neither the auth service nor the target of copies
// where the client says it, and what it proved by its certificate reaches both.
func TestServicesAreToldTheTruth(t *testing.T) {
	for key, value := range map[string]string{"auth-url": "http://auth.example/a", "mirror-target": "http://m.example/"} {
		s, findings := Parse(Input{Profile: Spec, Namespace: "shop", Annotations: map[string]string{Prefix + key: value}})
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		s.SSLRedirect = nil
		service := make(told, 1)
		h := Wrap(&s, Rule{Host: "a.example", Path: "/"}, &Env{Transport: service}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r := httptest.NewRequest("GET", "http://a.example/x", nil)
		made := []string{
			"Ssl-Client-Verify", "Ssl_client_verify", "Ssl-Client_subject-Dn", "Ssl-Client-Cert", "Ssl.client.cert", "True-Client-Ip", "X_forwarded_host",
			"X-Client-Ip", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X_forwarded_uri", "X-Forwarded-Method", "X_original_uri", "Forwarded", "X-Cluster-Client-Ip",
		}
		for _, name := range made {
			r.Header[name] = []string{"made-up"}
		}
		r.Header["X-Own"] = []string{"1"}
		w := &writer{ResponseRecorder: httptest.NewRecorder(), client: "192.0.2.1", scheme: "https", path: "/x", fields: []string{"Ssl-Client-Verify: SUCCESS", "X-Other: 1"}}
		h.ServeHTTP(w, r)
		sent := service.next(t).Header
		for name, values := range sent {
			if len(values) > 0 && values[0] == "made-up" {
				t.Errorf("%s: %s of the client is passed on", key, name)
			}
		}
		if got := sent.Get("Ssl-Client-Verify"); got != "SUCCESS" || sent.Get("X-Own") != "1" || sent.Get("X-Other") != "" {
			t.Errorf("%s: sent %v", key, sent)
		}
	}
}
