package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// policiesOf reads annotations that have no mistakes. Requests need no TLS.
func policiesOf(t *testing.T, annotations map[string]string) *policy.Set {
	t.Helper()
	in := policy.Input{Namespace: "shop", Annotations: map[string]string{}}
	for k, v := range annotations {
		in.Annotations[policy.Prefix+k] = v
	}
	s, findings := policy.Parse(in)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	s.SSLRedirect = nil
	return &s
}

// A client's Connection field removes what the client has sent, for the auth service too, and not
// what that service says of the client.
func TestNominationsAreOfTheClient(t *testing.T) {
	asked := make(chan string, 1)
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- fmt.Sprint(r.Header["X-User"], r.Header["X-Own"])
		w.Header().Set("X-User", "alice")
	}))
	t.Cleanup(auth.Close)
	r := rule("a.example", "/", webKey)
	r.Policies = policiesOf(t, map[string]string{"auth-url": auth.URL + "/", "auth-response-headers": "X-User"})
	f := newFront(t, Config{Hosts: ByHost([]*Rule{r})}, nil)
	f.lead(t, webKey, &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, fmt.Sprint(r.Header["X-User"], r.Header["X-Own"]))
	})})
	t.Cleanup(f.Proxy.policies.Transport.(*http.Transport).CloseIdleConnections)
	for connection, want := range map[string][2]string{
		"keep-alive":                {"[mallory] [1]", "[alice] [1]"},
		"keep-alive, X-User, x-own": {"[] []", "[alice] []"},
	} {
		c := dialRaw(t, f.http())
		c.send(t, "GET / HTTP/1.1", "Host: a.example", "X-User: mallory", "X-Own: 1", "Connection: "+connection, "", "")
		_, body, err := c.receive(t, "GET")
		if got := [2]string{<-asked, body}; err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", connection, got, err, want)
		}
	}
}
