package policy

import (
	"net/http/httptest"
	"testing"
)

// An auth-url at $host asks the host of the rule. Where the rule has none of its own, a client would
// choose who decides, so everything is denied.
func TestAuthAtOwnHost(t *testing.T) {
	for url, good := range map[string]bool{
		"https://$host/oauth2/auth":    true,
		"$scheme://$host/oauth2/auth":  true,
		"https://$host":                true,
		"https://x$host/auth":          false,
		"https://$host.b.example/auth": false,
		"https://$host:8443/auth":      false,
		"https://$http_host/auth":      false,
		"https://a@$host/auth":         false,
		"https://$arg_x/auth":          false,
	} {
		s, findings := Parse(Input{Profile: Nginx, Annotations: map[string]string{Prefix + "auth-url": url}})
		if closed := len(s.Refused) > 0; closed == good {
			t.Errorf("%s: fails closed %t: %v", url, closed, findings)
		}
	}
	for host, reason := range map[string]string{"a.example": "auth-denied", "": "auth-failed", "*.example": "auth-failed"} {
		w := try(t, Spec, map[string]string{"auth-url": "https://$host/auth"}, Rule{Host: host}, httptest.NewRequest("GET", "https://a.example/", nil), &writer{})
		if w.reason != reason {
			t.Errorf("a rule for %q: %q, want %q", host, w.reason, reason)
		}
	}
}
