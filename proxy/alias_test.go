package proxy

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// granting lets all requests pass and notes what it was asked last.
type granting struct{ asked atomic.Pointer[url.URL] }

func (g *granting) RoundTrip(r *http.Request) (*http.Response, error) {
	at := *r.URL
	g.asked.Store(&at)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

// An auth-url at $host is at the host of the rule, whatever alias a request is for: whoever may write an
// Ingress for the host can give it an alias that is his own, and would decide about all requests.
func TestAliasChoosesNoAuthService(t *testing.T) {
	set, findings := policy.Parse(policy.Input{Annotations: map[string]string{policy.Prefix + "auth-url": "http://$host/auth?for=$host"}})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	own, alias := rule("a.example", "/", webKey), rule("evil.example", "/", webKey)
	alias.AliasOf = own.Host
	own.Policies, alias.Policies = &set, &set
	g := &granting{}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{own, alias})}, func(f *front) { f.policies.Transport = g })
	f.lead(t, webKey, &proxytest.Backend{})
	for _, host := range []string{"a.example", "evil.example"} {
		r := request(t, "GET", "http://"+f.http()+"/", nil)
		r.Host = host
		if resp, _ := do(t, client(t, nil), r); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", host, resp.StatusCode)
		}
		asked := g.asked.Load()
		if want := "http://a.example/auth?for=" + host; asked.String() != want {
			t.Errorf("%s: %s is asked, want %s", host, asked, want)
		}
	}
}
