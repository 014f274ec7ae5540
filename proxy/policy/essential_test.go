package policy

import (
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// essential is what a key that most manifests have does with its values.
type essential struct {
	key    string
	beside map[string]string // without which it means nothing
	good   string            // makes another Set than none
	bad    []string          // are reported, by the class of the key unless outcome says otherwise
	// outcome of bad where it is not that of the class.
	outcome Outcome
	// noEffect: even a good value makes no other Set, and is reported or is the only one there is.
	noEffect bool
	// anyText: there is no bad value.
	anyText bool
}

var (
	besideCanary   = map[string]string{"canary": "true"}
	besideHeader   = map[string]string{"canary": "true", "canary-by-header": "X-Lane"}
	besideWeight   = map[string]string{"canary": "true", "canary-weight": "30"}
	besideMoved    = map[string]string{"permanent-redirect": "https://a.example/"}
	besideTemporal = map[string]string{"temporal-redirect": "https://a.example/"}
	besideAffinity = map[string]string{"affinity": "cookie"}
	besideRate     = map[string]string{"limit-rps": "1"}
	besideUsers    = map[string]string{"auth-type": "basic", "auth-secret": "users"}
	besideURL      = map[string]string{"auth-url": "http://auth.example/"}
	besideSignIn   = map[string]string{"auth-url": "http://auth.example/", "auth-signin": "https://auth.example/"}
	besideCORS     = map[string]string{"enable-cors": "true"}
)

var huge = strings.Repeat("9", 4096)

// essentials are the annotations that the first release must have: those that public charts use
// most, one by one. A key that is to be among them is added here.
var essentials = []essential{
	{key: "rewrite-target", good: "/$1", bad: []string{"x", "/a b", "/$nothing_at_all;", "/?x"}},
	{key: "use-regex", good: "true", bad: []string{"perhaps"}, noEffect: true}, // it is of the paths, and not of a Set
	{key: "app-root", good: "/ui", bad: []string{"ui", "//evil.example", "/a b", "https://a.example/"}, outcome: Invalid},
	{key: "ssl-redirect", good: "true", bad: []string{"yes", "2"}},
	{key: "force-ssl-redirect", good: "true", bad: []string{"yes", "2"}},
	{key: "permanent-redirect", good: "https://a.example/", bad: []string{"a.example", "javascript:x", "//evil.example", "https://a.example/$uri"}},
	{key: "permanent-redirect-code", beside: besideMoved, good: "308", bad: []string{"299", "309", "x", huge}},
	{key: "temporal-redirect", good: "https://a.example/", bad: []string{"a.example", "ftp://a.example/"}},
	{key: "temporal-redirect-code", beside: besideTemporal, good: "307", bad: []string{"299", "308", "x", huge}},
	{key: "from-to-www-redirect", good: "true", bad: []string{"www"}},
	{key: "upstream-vhost", good: "b.example", bad: []string{"b example", "b/c", "$nothing", strings.Repeat("a", 300)}},
	{key: "canary", good: "true", bad: []string{"perhaps"}, outcome: Dropped},
	{key: "canary-by-header", beside: besideCanary, good: "X-Lane", bad: []string{"X Lane", "X:"}},
	{key: "canary-by-header-value", beside: besideHeader, good: "b", anyText: true},
	{key: "canary-by-header-pattern", beside: besideHeader, good: "^b", bad: []string{"("}},
	{key: "canary-by-cookie", beside: besideCanary, good: "lane", bad: []string{"la;ne", "la ne"}},
	{key: "canary-weight", beside: besideCanary, good: "30", bad: []string{"-1", "x", huge}},
	{key: "canary-weight-total", beside: besideWeight, good: "1000", bad: []string{"-1", "x", huge}},
	{key: "backend-protocol", good: "HTTPS", bad: []string{"SPDY"}},
	{key: "service-upstream", good: "true", bad: []string{"yes"}},
	{key: "load-balance", good: "round_robin", bad: []string{"random"}},
	{key: "affinity", good: "cookie", bad: []string{"ip"}},
	{key: "affinity-mode", beside: besideAffinity, good: "balanced", bad: []string{"sticky"}, noEffect: true},
	{key: "session-cookie-name", beside: besideAffinity, good: "SID", bad: []string{"a b", "a;b", "a=b"}},
	{key: "session-cookie-path", beside: besideAffinity, good: "/x", bad: []string{"/a;b", "/a b"}},
	{key: "session-cookie-expires", beside: besideAffinity, good: "60", bad: []string{"x", huge}},
	{key: "session-cookie-max-age", beside: besideAffinity, good: "60", bad: []string{"x", huge}},
	{key: "session-cookie-samesite", beside: besideAffinity, good: "Lax", bad: []string{"lax", "Maybe"}},
	{key: "session-cookie-secure", beside: besideAffinity, good: "true", bad: []string{"yes"}},
	{key: "proxy-connect-timeout", good: "3", bad: []string{"0", "-1", "3s", huge}},
	{key: "proxy-send-timeout", good: "3", bad: []string{"0", "-1", "3s", huge}},
	{key: "proxy-read-timeout", good: "3", bad: []string{"0", "-1", "3s", huge}},
	{key: "proxy-next-upstream", good: "http_503", bad: []string{"http_418", "always"}},
	{key: "proxy-next-upstream-tries", good: "2", bad: []string{"-1", "x", huge}},
	{key: "proxy-next-upstream-timeout", good: "2", bad: []string{"-1", "x", huge}},
	{key: "proxy-body-size", good: "3m", bad: []string{"-1", "3mb", huge}},
	{key: "proxy-request-buffering", good: "on", bad: []string{"maybe"}},
	{key: "proxy-buffering", good: "on", noEffect: true, anyText: true},
	{key: "proxy-buffer-size", good: "8k", noEffect: true, anyText: true},
	{key: "limit-connections", good: "3", bad: []string{"x", huge}},
	{key: "limit-rps", good: "3", bad: []string{"x", huge}},
	{key: "limit-rpm", good: "3", bad: []string{"x", huge}},
	{key: "limit-burst-multiplier", beside: besideRate, good: "2", bad: []string{"0", "x", huge}},
	{key: "limit-allowlist", beside: besideRate, good: "10.0.0.0/8", bad: []string{"10.0.0.0/33", "x"}},
	{key: "allowlist-source-range", good: "10.0.0.0/8", bad: []string{"10.0.0.0/33", "x", ",", ""}},
	{key: "denylist-source-range", good: "10.0.0.0/8", bad: []string{"10.0.0.0/33", "x", ",", ""}},
	{key: "auth-type", beside: besideUsers, good: "basic", bad: []string{"digest", "x", ""}, noEffect: true}, // it is beside itself
	{key: "auth-secret", beside: besideUsers, good: "staff", bad: []string{"nobody", "other/users", "/"}},
	{key: "auth-secret-type", beside: besideUsers, good: "auth-map", bad: []string{"auth-table"}},
	{key: "auth-realm", beside: besideUsers, good: "Staff", bad: []string{"a\"b", "a$b", "a\nb"}},
	{key: "auth-url", good: "http://auth.example/", bad: []string{"auth.example", "ftp://a.example/", "http://$arg_host/", "http://a.example/$nothing"}},
	{key: "auth-method", beside: besideURL, good: "POST", bad: []string{"CONNECT", "get", "x y"}},
	{key: "auth-signin", beside: besideURL, good: "https://auth.example/", bad: []string{"auth.example", "javascript:x", "https://a.example/$nothing"}},
	{key: "auth-signin-redirect-param", beside: besideSignIn, good: "back", bad: []string{"a b", "a&b"}},
	{key: "auth-response-headers", beside: besideURL, good: "X-User", bad: []string{"X User", "X:Y"}},
	{key: "enable-cors", good: "true", bad: []string{"yes"}},
	{key: "cors-allow-origin", beside: besideCORS, good: "https://a.example", bad: []string{"a.example", "https://a.example/x", "https://*.*.example"}},
	{key: "cors-allow-methods", beside: besideCORS, good: "GET, HEAD", bad: []string{"GET;HEAD", "G\nET"}},
	{key: "cors-allow-headers", beside: besideCORS, good: "X-A", bad: []string{"X-A;", "X\nA"}},
	{key: "cors-expose-headers", beside: besideCORS, good: "X-A", bad: []string{"X-A;", "X\nA"}},
	{key: "cors-allow-credentials", beside: besideCORS, good: "false", bad: []string{"yes"}},
	{key: "cors-max-age", beside: besideCORS, good: "60", bad: []string{"x", huge}},
	{key: "enable-access-log", good: "false", bad: []string{"no"}},
}

func (e essential) parse(prefix string, profile Profile, value *string) (Set, []Finding) {
	in := Input{Profile: profile, Namespace: "shop", Annotations: map[string]string{}, Secret: func(_, name string) map[string][]byte {
		return map[string]map[string][]byte{
			"users": {"auth": []byte("dave:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")},
			"staff": {"auth": []byte("erin:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")},
		}[name]
	}}
	for k, v := range e.beside {
		in.Annotations[prefix+k] = v
	}
	if value != nil {
		in.Annotations[prefix+e.key] = *value
	}
	s, findings := Parse(in)
	return s, slices.DeleteFunc(findings, func(f Finding) bool { return !strings.HasPrefix(f.Annotation, prefix) })
}

// Every essential key has a feature, a good value that changes something, bad ones that are
// reported and come to what the class of the key says, under either prefix and in either profile.
func TestEssentialKeys(t *testing.T) {
	for _, e := range essentials {
		t.Run(e.key, func(t *testing.T) {
			k, built := supported(e.key)
			if old, _ := lookup(e.key); !built && (!e.noEffect || old.outcome != NoEffect) {
				t.Fatalf("no feature has it, and it is %v", old.outcome)
			} else if !built {
				return
			}
			if k.Doc == "" || k.Value == "" {
				t.Errorf("the documentation is %q, of values %q", k.Doc, k.Value)
			}
			for _, prefix := range []string{Prefix, NginxPrefix} {
				for _, profile := range []Profile{Spec, Nginx} {
					e.try(t, k, prefix, profile)
				}
			}
		})
	}
	if len(essentials) != 63 {
		t.Errorf("%d keys, want 63", len(essentials))
	}
}

func (e essential) try(t *testing.T, k Key, prefix string, profile Profile) {
	absent, findings := e.parse(prefix, profile, nil)
	if len(findings) > 0 {
		t.Errorf("%s%s, %s: without it %v", prefix, e.key, profile, findings)
	}
	good, findings := e.parse(prefix, profile, &e.good)
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Annotation == prefix+e.key }) {
		t.Errorf("%s%s, %s: %q is %v", prefix, e.key, profile, e.good, findings)
	}
	// What is asked for is what the profile does anyhow, in one of the two.
	same := reflect.DeepEqual(good, absent)
	if other, _ := e.parse(prefix, 1-profile, nil); same && !e.noEffect {
		if otherGood, _ := e.parse(prefix, 1-profile, &e.good); reflect.DeepEqual(other, otherGood) {
			t.Errorf("%s%s: %q changes nothing", prefix, e.key, e.good)
		}
	}
	if len(e.bad) == 0 && !e.anyText {
		t.Error("there is no bad value")
	}
	for _, bad := range append([]string{strings.Repeat("x;\x00 (", 20000)}, e.bad...) {
		s, findings := e.parse(prefix, profile, &bad)
		if e.anyText {
			continue // it is enough that nothing breaks
		}
		want := k.Class.outcome()
		if e.outcome != 0 {
			want = e.outcome
		}
		if e.key == "use-regex" && profile == Nginx {
			want = Invalid
		}
		at := slices.IndexFunc(findings, func(f Finding) bool { return f.Outcome == want && strings.Contains(f.Err.Error(), prefix) })
		if at < 0 {
			t.Errorf("%s%s, %s: %.40q is %v, want a finding that it is %s", prefix, e.key, profile, bad, findings, want)
			continue
		}
		if want == Refused && len(s.Refused) == 0 || want == Unroutable && !s.Unroutable {
			t.Errorf("%s%s, %s: %.40q does not close the rules", prefix, e.key, profile, bad)
		}
		if n := len(findings[at].Err.Error()); n > 2000 {
			t.Errorf("%s: the finding has %d characters", e.key, n)
		}
	}
}

// Every essential key is in a behaviour script, or in a recorded case that is replayed against the
// program, and every other key that a feature has, too.
func TestKeysAreTestedFromOutside(t *testing.T) {
	const inside = `(?:fairlead\.dev|nginx\.ingress\.kubernetes\.io)/([a-z0-9-]+)`
	seen := map[string]bool{}
	note := func(text []byte) {
		for _, m := range regexp.MustCompile(inside).FindAllSubmatch(text, -1) {
			seen[string(m[1])] = true
		}
	}
	scripts, err := filepath.Glob("../../e2e/testdata/*.txtar")
	if err != nil || len(scripts) < 50 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		note(text)
	}
	corpus, err := os.Open("../../e2e/oracle/testdata/corpus.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer corpus.Close()
	z, err := gzip.NewReader(corpus)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	note(text)
	elsewhere := map[string]string{
		"acme": "tls/issuer", "auth-keepalive-requests": "has no effect", "auth-keepalive-share-vars": "has no effect", "auth-keepalive-timeout": "has no effect",
		"proxy-ssl-ciphers": "proxy/upstream", "proxy-ssl-protocols": "proxy/upstream", "proxy-ssl-verify-depth": "proxy/upstream", "ssl-ciphers": "proxy",
	}
	var missing []string
	for _, k := range Keys() {
		if k.Feature != "" && !k.GlobalOnly && !seen[k.Name] && elsewhere[k.Name] == "" {
			missing = append(missing, k.Name)
		}
	}
	if len(missing) > 0 {
		t.Errorf("no script and no recorded case has %s", strings.Join(missing, ", "))
	}
}

// Keys mean the same under both prefixes, whatever the profile, and our own wins.
func TestPrefixesMeanTheSame(t *testing.T) {
	for _, e := range essentials {
		for _, profile := range []Profile{Spec, Nginx} {
			for _, value := range append([]string{e.good, ""}, e.bad...) {
				ours, findings := e.parse(Prefix, profile, &value)
				theirs, findings2 := e.parse(NginxPrefix, profile, &value)
				ours.Refused, theirs.Refused = nil, nil // have the names
				text := strings.ReplaceAll(fmt.Sprint(findings), Prefix, NginxPrefix)
				if !reflect.DeepEqual(ours, theirs) || text != fmt.Sprint(findings2) {
					t.Errorf("%s: %.40q, %s: the prefixes differ: %v and %v", e.key, value, profile, findings, findings2)
				}
			}
		}
	}
	in := Input{Annotations: map[string]string{Prefix + "proxy-body-size": "2k", NginxPrefix + "proxy-body-size": "3k"}}
	if s, _ := Parse(in); s.BodySize != 2048 {
		t.Errorf("with both prefixes the size is %d", s.BodySize)
	}
}

// The defaults of the spec profile are those that nobody has to ask to be rid of.
func TestDefaultsOfTheSpecProfile(t *testing.T) {
	s, findings := Parse(Input{})
	if !reflect.DeepEqual(s, Set{}) || len(findings) > 0 {
		t.Errorf("an Ingress without annotations has %+v, %v", s, findings)
	}
	limited, _ := Parse(Input{Annotations: maps.Clone(map[string]string{Prefix + "limit-rps": "1", Prefix + "limit-connections": "1"})})
	if limited.Limit.RateStatus != 429 || limited.Limit.ConnectionStatus != 429 || !limited.Limit.Divided {
		t.Errorf("limits are %+v", limited.Limit)
	}
}
