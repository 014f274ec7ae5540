package policy

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func outcome(name, value string) Outcome {
	_, findings := Parse(Input{Annotations: map[string]string{name: value}})
	if len(findings) == 0 {
		return 0
	}
	return findings[0].Outcome
}

// What guards access is refused under every spelling that a user may believe in. This list
// is written by hand, so that an edit of the table cannot open a route unseen.
func TestGuardsAreRefused(t *testing.T) {
	guards := []string{
		"auth-cache-duration", "auth-cache-key", "auth-proxy-set-headers", "auth-snippet",
		"auth-tls-error-page", "auth-tls-match-cn", "auth-tls-pass-certificate-to-upstream", "auth-tls-secret",
		"auth-tls-verify-client", "auth-tls-verify-depth",

		"enable-modsecurity", "enable-owasp-core-rules", "modsecurity-snippet",
		"modsecurity-transaction-id", "configuration-snippet", "server-snippet", "stream-snippet",
		// Not known, but of those families, or a slip away from one of them.
		"auth-oidc", "auth_url", "Auth-Url", "AUTH-TYPE", "basic-auth", "jwt-issuer", "ip-whitelist", "blacklist-source-range",
		"modsecurity-rules", "location-snippet", "enable-waf", "proxy-ssl-verfiy", "proxy-ssl-pinning", "auht-url", "satisfi", "whitelist-source-rang",
		"allow-source-range", "denylist.source.range", "mtls",
	}
	for _, guard := range guards {
		for _, prefix := range []string{Prefix, NginxPrefix} {
			for _, value := range []string{"x", "true", "on", "any", "deny all;", "10.0.0.0/8", "0.0.0.0/0", "::/0", "0.0.0.0/0,::/0,x", "0.0.0.0/0,,::/0"} {
				set, _ := Parse(Input{Annotations: map[string]string{prefix + guard: value}})
				if !slices.Equal(set.Refused, []string{prefix + guard}) {
					t.Errorf("%s: %q gives %+v", prefix+guard, value, set)
				}
			}
		}
	}
}

// An empty or blank value of a guard is no permission, whatever was meant.
func TestEmptyGuards(t *testing.T) {
	for _, k := range keys {
		if k.outcome != Refused || strings.HasSuffix(k.name, "-snippet") {
			continue
		}
		for _, value := range []string{"", " ", "\n"} {
			if got := outcome(NginxPrefix+k.name, value); got != Refused {
				t.Errorf("%s: %q is %s", k.name, value, got)
			}
		}
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		key, value string
		want       Outcome // 0: honoured
	}{
		{"enable-modsecurity", "false", 0},
		{"enable-modsecurity", "False", 0},
		{"enable-modsecurity", "0", 0},
		{"enable-modsecurity", "no", Refused},
		{"enable-global-auth", "false", 0},
		{"enable-global-auth", "", 0},
		{"enable-global-auth", "no", Refused},
		{"satisfy", "ALL", 0},
		{"satisfy", "any", 0},
		{"satisfy", "some", Refused},
		{"satisfy", "", 0},
		{"auth-tls-verify-client", "off", 0},
		{"auth-tls-verify-client", "optional", Refused},
		{"proxy-ssl-verify", "off", 0},
		{"whitelist-source-range", "0.0.0.0/0, ::/0", 0},
		{"whitelist-source-range", "0.0.0.0/0, everyone", Refused},
		{"allowlist-source-range", "", Refused},
		{"denylist-source-range", "0.0.0.0/0,::/0", 0},
		{"denylist-source-range", "300.1.1.1", Refused},
		{"server-snippet", "\n  # comment\n\n", 0},
		{"server-snippet", "# comment\ndeny all;", Refused},
		{"server-snippet", "# comment\rdeny all;", Refused},
		{"use-regex", "true", 0},
		{"use-regex", "false", 0},
		{"use-regex", "yes", Unroutable},
		{"rewrite-target", "/$1", 0},
		{"rewrite-target", "rel", Unroutable},
		{"rewrite-target", "/a b;}", Unroutable},
		{"rewrite-target", "", 0},
		{"backend-protocol", "HTTP", 0},
		{"backend-protocol", "http", 0},
		{"backend-protocol", "grpcs", 0},
		{"backend-protocol", "fcgi", Unroutable},
		{"backend-protocol", "SPDY", Invalid},
		{"service-upstream", "yes", Invalid},
		{"ssl-passthrough", "true", Unroutable}, // without the flag
		{"ssl-passthrough", "on", Unroutable},
		{"permanent-redirect", "https://x.example", 0},
		{"permanent-redirect", "javascript:alert(1)", Unroutable},
		{"permanent-redirect", "https://x.example$uri", Unroutable},
		{"temporal-redirect", "not a url", Unroutable},
		{"app-root", "/start", 0},
		{"app-root", "start", Invalid},
		{"server-alias", "x.example, y.example", 0},
		{"server-alias", "", 0},
		{"connection-proxy-header", "Close", 0},
		{"connection-proxy-header", "", 0},
		{"connection-proxy-header", "close, upgrade", Invalid},
		{"server-alias", `~^www\d+\.example\.com$`, OtherHosts},
		{"from-to-www-redirect", "true", 0},
		{"from-to-www-redirect", "x", Invalid},
		{"from-to-www-redirect", "false", 0},
		{"canary", "true", 0},
		{"canary", "yes", Dropped},
		{"canary", "", Dropped},
		{"canary-weight", "10", NoEffect}, // without canary
		{"canary", "false", 0},
		{"proxy-body-size", "8m", 0},
		{"proxy-body-size", "1.5m", Invalid},
		{"enable-cors", "true", 0},
		{"enable-cors", "yes", Invalid},
		{"proxy-read-timeout", "5", 0},
		{"proxy-read-timeout", "0", Invalid},
		{"proxy-read-timeout", "5s", Invalid},
		{"enable-cors", "false", 0},
		{"limit-whitelist", "10.0.0.0/8", 0},
		{"limit-rps", "1.5", Invalid},
		{"auth-url", "/verify", Refused},
		{"auth-url", "http://$http_host/verify", Refused},
		{"auth-url", "http://a.example/?x=$nothing", Refused},
		{"auth-type", "digest", Refused},
		{"auth-type", "basic", Refused},
		{"auth-realm", "x", Refused},
		{"auth-signin", "https://x.example", Refused},
		{"upstream-vhost", "a.example", 0},
		{"upstream-vhost", "a b", Invalid},
		{"proxy-buffers-number", "4", NoEffect},
		{"client-max-body-size", "8m", Unknown},
		{"colour", "blue", Unknown},
		{"", "x", Unknown},
	} {
		if got := outcome(NginxPrefix+c.key, c.value); got != c.want {
			t.Errorf("%s: %q is %s, want %s", c.key, c.value, got, c.want)
		}
	}
	for _, name := range []string{"example.com/auth-url", "auth-url", "nginx.org/auth-url", "kubernetes.io/ingress.class"} {
		if got := outcome(name, "x"); got != 0 {
			t.Errorf("%s is %s, and not ours", name, got)
		}
	}
}

func TestParseReportsAll(t *testing.T) {
	set, findings := Parse(Input{Annotations: map[string]string{
		NginxPrefix + "auth-url":        "ftp://x.example",
		Prefix + "auth-cache-key":       "all",
		NginxPrefix + "proxy-body-size": "large",
		"other":                         "x",
	}})
	var got []string
	for _, f := range findings {
		got = append(got, f.Annotation+" "+f.Outcome.String())
		if !strings.Contains(f.Err.Error(), f.Annotation) {
			t.Errorf("%v does not name %s", f.Err, f.Annotation)
		}
	}
	want := []string{
		"fairlead.dev/auth-cache-key 503, fails closed",
		"nginx.ingress.kubernetes.io/auth-url 503, fails closed",
		"nginx.ingress.kubernetes.io/proxy-body-size left out, not valid",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := []string{"fairlead.dev/auth-cache-key", "nginx.ingress.kubernetes.io/auth-url"}; !slices.Equal(set.Refused, want) {
		t.Errorf("refused are %q, want %q", set.Refused, want)
	}
}

// The table is sorted, as it is searched by halving, and each line says something.
func TestKeys(t *testing.T) {
	for i, k := range keys {
		if i > 0 && keys[i-1].name >= k.name {
			t.Errorf("%s comes after %s", k.name, keys[i-1].name)
		}
		if k.doc == "" || k.outcome == 0 || strings.HasPrefix(k.outcome.String(), "Outcome") {
			t.Errorf("%s: %+v", k.name, k)
		}
		if strings.HasPrefix(k.name, "auth-") && k.outcome != Refused {
			t.Errorf("%s is not a guard", k.name)
		}
		if got, ok := lookup(k.name); !ok || got != k {
			t.Errorf("%s is not found", k.name)
		}
	}
}

func TestHints(t *testing.T) {
	for name, want := range map[string]string{
		"proxy-read-timout": "did you mean proxy-read-timeout?",
		"proxy-body-sise":   "did you mean proxy-body-size?",
		"rewrite-traget":    "did you mean rewrite-target?",
		"auth-ulr":          "did you mean auth-url?",
		"hsts":              "no key has a similar name",
		"rate-limit":        "limit-rps",
	} {
		_, findings := Parse(Input{Annotations: map[string]string{NginxPrefix + name: "x"}})
		if len(findings) != 1 || !strings.Contains(findings[0].Err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, findings, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "axc", 1}, {"kitten", "sitting", 3},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := Distance(c.b, c.a); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}

// FuzzParse: never panics, every finding names an annotation of the input, no finding is
// lost to a second parse, and a guard of the table is never passed over.
func FuzzParse(f *testing.F) {
	for _, k := range keys {
		f.Add(NginxPrefix+k.name, "x", Prefix+k.name, "false")
	}
	f.Add(NginxPrefix+"server-snippet", "# a\n", Prefix, "")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		input := map[string]string{name1: value1, name2: value2}
		set, findings := Parse(Input{Annotations: input})
		again, findings2 := Parse(Input{Annotations: maps.Clone(input)})
		if !reflect.DeepEqual(set, again) || len(findings) != len(findings2) {
			t.Fatal("the same annotations mean two things")
		}
		for _, finding := range findings {
			if _, ok := input[finding.Annotation]; !ok || finding.Err == nil || finding.Outcome == 0 {
				t.Errorf("finding %+v of %q", finding, input)
			}
			if (finding.Outcome == Refused) != slices.Contains(set.Refused, finding.Annotation) {
				t.Errorf("finding %+v, refused are %q", finding, set.Refused)
			}
		}
		for name := range input {
			for _, guard := range []string{"auth-cache-key", "auth-tls-secret", "server-snippets", "satisfied"} {
				if (name == Prefix+guard || name == NginxPrefix+guard) && !slices.Contains(set.Refused, name) {
					t.Errorf("%s is not refused", name)
				}
			}
		}
	})
}
