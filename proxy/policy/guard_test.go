package policy

import (
	"maps"
	"reflect"
	"slices"
	"testing"
)

// guardOf parses annotations, by key, of an Ingress in namespace shop beside these Secrets.
func guardOf(t *testing.T, ca []byte, config, annotations map[string]string) (Set, map[string]string) {
	t.Helper()
	in := Input{Namespace: "shop", Config: config, Annotations: map[string]string{}, OwnConfigMap: func(name string) map[string]string {
		return map[string]map[string]string{"fields": {"X-Gate": "a"}}[name]
	}, Secret: func(_, name string) map[string][]byte {
		return map[string]map[string][]byte{
			"users": {"auth": []byte("dave:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")},
			"staff": {"auth": []byte("erin:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM=\n")},
			"ca":    {"ca.crt": ca},
		}[name]
	}}
	for k, v := range annotations {
		in.Annotations[Prefix+k] = v
	}
	s, findings := Parse(in)
	if len(s.Refused) > 0 {
		t.Fatalf("%v: %v", annotations, findings)
	}
	return s, in.Annotations
}

// guardKeys has for every key that guards access annotations that are valid, and the value that
// makes another guard of them. A guard that is not here, or that GuardsApart does not see, fails
// the test: requests of a canary would pass by what it asks for.
var guardKeys = map[string]struct {
	beside map[string]string
	value  string
}{
	"allowlist-source-range":                {nil, "192.0.2.0/24"},
	"denylist-source-range":                 {nil, "192.0.2.0/24"},
	"auth-type":                             {map[string]string{"auth-secret": "users"}, "basic"},
	"auth-secret":                           {map[string]string{"auth-type": "basic", "auth-secret": "users"}, "staff"},
	"auth-realm":                            {map[string]string{"auth-type": "basic", "auth-secret": "users"}, "Staff"},
	"auth-secret-type":                      {map[string]string{"auth-type": "basic", "auth-secret": "users"}, "auth-map"},
	"auth-url":                              {nil, "http://auth.example/"},
	"auth-method":                           {map[string]string{"auth-url": "http://auth.example/"}, "POST"},
	"auth-signin":                           {map[string]string{"auth-url": "http://auth.example/"}, "https://auth.example/in"},
	"auth-signin-redirect-param":            {map[string]string{"auth-url": "http://auth.example/"}, "back"},
	"auth-response-headers":                 {map[string]string{"auth-url": "http://auth.example/"}, "X-User"},
	"auth-request-redirect":                 {map[string]string{"auth-url": "http://auth.example/"}, "/back"},
	"auth-always-set-cookie":                {map[string]string{"auth-url": "http://auth.example/"}, "true"},
	"auth-proxy-set-headers":                {map[string]string{"auth-url": "http://auth.example/"}, "fields"},
	"auth-cache-key":                        {map[string]string{"auth-url": "http://auth.example/"}, "$cookie_a"},
	"auth-cache-duration":                   {map[string]string{"auth-url": "http://auth.example/", "auth-cache-key": "$cookie_a"}, "1m"},
	"enable-global-auth":                    {map[string]string{"enable-global-auth": "false"}, "true"},
	"auth-tls-secret":                       {nil, "shop/ca"},
	"auth-tls-verify-client":                {map[string]string{"auth-tls-secret": "shop/ca"}, "optional"},
	"auth-tls-verify-depth":                 {map[string]string{"auth-tls-secret": "shop/ca"}, "3"},
	"auth-tls-error-page":                   {map[string]string{"auth-tls-secret": "shop/ca"}, "https://help.example/"},
	"auth-tls-pass-certificate-to-upstream": {map[string]string{"auth-tls-secret": "shop/ca"}, "true"},
	"auth-tls-match-cn":                     {map[string]string{"auth-tls-secret": "shop/ca"}, "CN=x"},
	"satisfy":                               {map[string]string{"auth-url": "http://auth.example/", "allowlist-source-range": "192.0.2.0/24"}, "any"},
}

// guardsOfBackends are the features whose guards are of the way to the backend, with the reason
// why a canary keeps its own.
var guardsOfBackends = map[string]string{
	"backend TLS": "what is asked of a backend is asked of that backend alone: a canary is another",
}

func TestEveryGuardIsDeclared(t *testing.T) {
	seen, ca := map[string]bool{}, testAuthority(t)
	for _, f := range chain {
		own := guardsOfBackends[f.name] != ""
		for _, k := range f.keys {
			if k.Class != Guard || own {
				continue
			}
			if f.guard == nil {
				t.Fatalf("feature %s has the key %s of class guard, and no guard", f.name, k.Name)
			}
			if k.GlobalOnly {
				continue // all rules have it alike
			}
			seen[k.Name] = true
			sample, ok := guardKeys[k.Name]
			if !ok {
				t.Errorf("%s: there is no case in guardKeys", k.Name)
				continue
			}
			with := maps.Clone(sample.beside)
			if with == nil {
				with = map[string]string{}
			}
			with[k.Name] = sample.value
			global := map[string]string{"global-auth-url": "http://gate.example/"}
			canary, annotations := guardOf(t, ca, global, with)
			var main Set
			if k.Name != authType.Name { // without which the rest is a mistake
				main, _ = guardOf(t, ca, global, sample.beside)
			}
			if got := GuardsApart(&canary, &main, annotations); !slices.Contains(got, f.name) {
				t.Errorf("%s: a canary with it is apart from a rule without it in %q, want %s", k.Name, got, f.name)
			}
			if got := GuardsApart(&canary, &canary, annotations); len(got) > 0 {
				t.Errorf("%s: with the same in both the canary is apart in %q", k.Name, got)
			}
		}
	}
	for name := range guardKeys {
		if !seen[name] {
			t.Errorf("%s is no key of a guard", name)
		}
	}
	for name := range guardsOfBackends {
		if !slices.ContainsFunc(chain[:], func(f feature) bool { return f.name == name && f.guard == nil }) {
			t.Errorf("%s is no feature without a guard", name)
		}
	}
}

func TestGuardsApart(t *testing.T) {
	ca := testAuthority(t)
	type keys = map[string]string
	var (
		global   = keys{"whitelist-source-range": "10.0.0.0/8"}
		password = keys{"auth-type": "basic", "auth-secret": "users"}
		listed   = keys{"allowlist-source-range": "192.0.2.0/24"}
		both     = keys{"auth-type": "basic", "auth-secret": "users", "allowlist-source-range": "192.0.2.0/24"}
		either   = keys{"auth-type": "basic", "auth-secret": "users", "allowlist-source-range": "192.0.2.0/24", "satisfy": "any"}
		any      = keys{"allowlist-source-range": "192.0.2.0/24", "satisfy": "any"}
	)
	for _, c := range []struct {
		name                 string
		config, canary, main keys
		want                 []string
	}{
		{"none", nil, nil, nil, nil},
		{"only the rule", nil, nil, password, nil},
		{"only the canary", nil, password, nil, []string{"basic authentication"}},
		{"the same", nil, both, both, nil},
		{"less than the rule", nil, listed, both, nil},
		{"more than the rule", nil, both, listed, []string{"basic authentication"}},
		{"one would do for the rule", nil, both, either, []string{"access", "basic authentication"}},
		{"one would do for the rule that has more", nil, any, either, []string{"access"}},
		{"one would do for the canary", nil, either, both, []string{"satisfy any", "access", "basic authentication"}},
		{"of the ConfigMap", global, nil, nil, nil},
		{"of the ConfigMap, and the rule has its own", global, nil, listed, nil},
		{"of the ConfigMap, and the canary has its own", global, listed, nil, []string{"access"}},
		{"of the ConfigMap, beside the same of both", global, password, both, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			canary, annotations := guardOf(t, ca, c.config, c.canary)
			main, _ := guardOf(t, ca, c.config, c.main)
			if got := GuardsApart(&canary, &main, annotations); !reflect.DeepEqual(got, c.want) {
				t.Errorf("apart in %q, want %q", got, c.want)
			}
		})
	}
	canary, annotations := guardOf(t, ca, nil, password)
	if got := GuardsApart(&canary, nil, annotations); len(got) != 1 {
		t.Errorf("apart from a rule without policies in %q", got)
	}
}
