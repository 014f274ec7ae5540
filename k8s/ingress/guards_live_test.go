package ingress_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// guardFault is a way in which a guard cannot do what it is for.
type guardFault struct {
	what  string
	value string
}

// guardFaults has, for the keys of guards that need something beside their value, what can be wrong
// with that. What the key's documentation says of its value tells which faults it must have: see
// faultsOf. UNREACHABLE is the address of nobody, FAILING that of a server that fails.
var guardFaults = map[string][]guardFault{
	"auth-secret": {
		{"missing Secret", "nobody"},
		{"broken Secret", "empty"},
		{"broken Secret", "nonsense"},
		{"Secret of another namespace", "other/users"},
	},
	"auth-secret-type": {{"layout that the Secret has not", "auth-table"}},
	"auth-tls-secret": {
		{"missing Secret", "shop/nobody"},
		{"broken Secret", "shop/empty"},
		{"broken Secret", "shop/nonsense"},
		{"Secret of another namespace", "other/ca"},
	},
	"proxy-ssl-secret": {
		{"missing Secret", "shop/nobody"},
		{"broken Secret", "shop/empty"},
		{"broken Secret", "shop/nonsense"},
		{"Secret of another namespace", "other/ca"},
	},
	"auth-url": {
		{"unreachable server", "http://UNREACHABLE/"},
		{"unreachable server", "http://nobody.invalid/"},
		{"failing server", "http://FAILING/500"},
		{"failing server", "http://FAILING/404"},
		{"failing server", "http://FAILING/302"},
		{"failing server", "http://FAILING/401"},
	},
	"global-auth-url": {
		{"unreachable server", "http://UNREACHABLE/"},
		{"unreachable server", "http://nobody.invalid/"},
		{"failing server", "http://FAILING/500"},
		{"failing server", "http://FAILING/302"},
		{"failing server", "http://FAILING/403"},
	},
	"auth-proxy-set-headers": {{"missing ConfigMap", "nobody"}, {"broken ConfigMap", "broken"}, {"ConfigMap of another namespace", "other/fields"}},
	"allowlist-source-range": {{"bad CIDR", "127.0.0.0/33"}, {"bad CIDR", "127.0.0.0/8, localhost"}, {"bad CIDR", ","}},
	"denylist-source-range":  {{"bad CIDR", "192.0.2.0/33"}, {"bad CIDR", "192.0.2.0/24, x"}, {"bad CIDR", ","}},
	"block-cidrs":            {{"bad CIDR", "192.0.2.0/33"}, {"bad CIDR", "192.0.2.0/24, x"}},
	"block-user-agents":      {{"bad pattern", "~("}},
	"block-referers":         {{"bad pattern", "~*[a"}},
}

// faultsOf are the faults that a key must have a case of, by what it takes.
func faultsOf(k policy.KeyDoc) []string {
	var want []string
	for word, faults := range map[string][]string{
		"Secret": {"missing Secret", "broken Secret"}, "ConfigMap": {"missing ConfigMap"}, "CIDR": {"bad CIDR"},
	} {
		if strings.Contains(k.Value, word) {
			want = append(want, faults...)
		}
	}
	if strings.HasSuffix(k.Name, "auth-url") {
		want = append(want, "unreachable server", "failing server")
	}
	return want
}

// Values that no key of a guard takes.
var noValues = []string{"\x00 bad;value$nothing", "%zz $x"}

const guardObjects = `
kind: Secret
metadata: {namespace: shop, name: users}
stringData: {auth: "dave:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM="}
---
kind: Secret
metadata: {namespace: shop, name: empty}
---
kind: Secret
metadata: {namespace: shop, name: nonsense}
stringData: {auth: "nonsense", ca.crt: nonsense, tls.crt: nonsense, tls.key: nonsense}
---
kind: Secret
metadata: {namespace: other, name: users}
stringData: {auth: "dave:{SHA}hWK/nKq6ApDFwwVB9GNyLi7WBzM="}
---
kind: Secret
metadata: {namespace: other, name: ca}
stringData: {certificate: dns=a.example}
---
kind: ConfigMap
metadata: {namespace: shop, name: broken}
data: {"bad name": x}
---
kind: ConfigMap
metadata: {namespace: other, name: fields}
data: {X-Tenant: x}
`

// authServers returns the URL of a server that lets everybody through, and what puts addresses into
// the values of guardFaults. At FAILING a path says the status of its answer.
func authServers(t *testing.T) (url string, addresses *strings.Replacer) {
	b := &proxytest.Backend{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &status); err != nil {
			status = http.StatusOK
		}
		w.WriteHeader(status)
	})}
	proxytest.Start(t, b)
	return b.URL(), strings.NewReplacer("UNREACHABLE", proxytest.Refused(t).String(), "FAILING", b.Addr().String())
}

// A guard that cannot do what it is for never lets a request through, in either profile, whether
// its value is none, what it names is not there, or the server that is to decide is away. The
// registry says which guards there are: a new one without a case fails the test.
func TestBrokenGuardsLetNobodyThrough(t *testing.T) {
	auth, addresses := authServers(t)

	// All guards at once, as they are when nothing is wrong: who has the password gets through.
	whole := map[string]string{
		"auth-url": auth, "auth-type": "basic", "auth-secret": "users", "allowlist-source-range": "127.0.0.0/8", "denylist-source-range": "192.0.2.0/24",
		"auth-cache-key": "$http_x_tenant",
	}
	const password = "Authorization: Basic ZGF2ZTpzaGExcHc="

	l := newLive(t, guardObjects, nil)
	hosts := map[string]string{} // what each host is for
	add := func(what string, annotations map[string]string) {
		for _, class := range []string{"spec", "ingress-nginx"} {
			host := fmt.Sprintf("h%d.example", len(hosts))
			hosts[host] = fmt.Sprintf("%s, %s", what, class)
			l.add(class, host, host, "/", annotations)
		}
	}
	with := func(key, value string) map[string]string {
		annotations := maps.Clone(whole)
		annotations[key] = value
		return annotations
	}
	var keys []policy.KeyDoc
	for _, k := range policy.Keys() {
		if k.Class == policy.Guard && !k.GlobalOnly {
			keys = append(keys, k)
		}
	}
	for _, k := range keys {
		var faults []string
		for _, f := range guardFaults[k.Name] {
			faults = append(faults, f.what)
			add(k.Name+": "+f.what, with(k.Name, addresses.Replace(f.value)))
		}
		for _, want := range faultsOf(k) {
			if !slices.Contains(faults, want) {
				t.Errorf("%s takes %q, and guardFaults has no case of a %s", k.Name, k.Value, want)
			}
		}
		for _, value := range noValues {
			for _, name := range append([]string{k.Name}, k.Aliases...) {
				annotations := with(name, value)
				if name != k.Name {
					delete(annotations, k.Name)
				}
				add(fmt.Sprintf("%s: %q", name, value), annotations)
			}
		}
		add(k.Name+": a sibling that there is not", with(k.Name+"-extra", "true"))
		add(k.Name+": misspelled", with(k.Name[:len(k.Name)-1], "true"))
	}
	l.add("spec", "whole", "whole.example", "/", whole)
	l.add("ingress-nginx", "whole-nginx", "whole-nginx.example", "/", whole)
	l.serve()
	for _, host := range []string{"whole.example", "whole-nginx.example"} {
		if resp := l.ask("GET", "http://"+host+"/", "", password); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d when nothing is wrong", host, resp.StatusCode)
		}
	}
	for host, what := range hosts {
		before := l.backend.Requests()
		resp := l.ask("GET", "http://"+host+"/", "", password)
		if resp.StatusCode < 400 && resp.StatusCode != http.StatusFound || l.backend.Requests() != before {
			t.Errorf("%s: %d, and %d requests got to the backend", what, resp.StatusCode, l.backend.Requests()-before)
		}
	}
}

// The same of the guards of the ConfigMap, which are those of every rule.
func TestBrokenGlobalGuardsLetNobodyThrough(t *testing.T) {
	auth, addresses := authServers(t)

	l := newLive(t, guardObjects+"---\nkind: ConfigMap\nmetadata: {namespace: fairlead, name: settings}\n", nil)
	l.add("spec", "spec", "spec.example", "/", nil)
	l.add("ingress-nginx", "nginx", "nginx.example", "/", nil)
	try := func(what string, config map[string]string, through bool) {
		t.Helper()
		l.snapshot.ConfigMaps = maps.Clone(l.snapshot.ConfigMaps)
		l.snapshot.ConfigMaps[liveConfig] = &corev1.ConfigMap{Data: config}
		l.serve()
		for _, host := range []string{"spec.example", "nginx.example"} {
			before := l.backend.Requests()
			resp := l.ask("GET", "http://"+host+"/", "")
			if got := l.backend.Requests() > before; got != through || (resp.StatusCode == http.StatusOK) != through {
				t.Errorf("%s, %s: %d, got to the backend: %v", what, host, resp.StatusCode, got)
			}
		}
	}
	whole := map[string]string{"global-auth-url": auth, "whitelist-source-range": "127.0.0.0/8", "global-auth-cache-key": "$http_x_tenant"}
	try("nothing is wrong", whole, true)
	with := func(key, value string) map[string]string {
		config := maps.Clone(whole)
		if strings.HasSuffix(key, "source-range") {
			delete(config, "whitelist-source-range")
		}
		config[key] = value
		return config
	}
	for _, k := range policy.Settings() {
		if k.Class != policy.Guard && (k.Feature != "" || k.Outcome != policy.Refused) {
			continue
		}
		var faults []string
		for _, f := range guardFaults[k.Name] {
			if f.value == "," {
				continue // an empty entry of the ConfigMap is none
			}
			faults = append(faults, f.what)
			try(k.Name+": "+f.what, with(k.Name, addresses.Replace(f.value)), false)
		}
		for _, want := range faultsOf(k) {
			if !slices.Contains(faults, want) {
				t.Errorf("%s takes %q, and guardFaults has no case of a %s", k.Name, k.Value, want)
			}
		}
		if strings.HasPrefix(k.Name, "block-") && !strings.Contains(k.Value, "CIDR") {
			continue // any text is a value
		}
		for _, value := range noValues {
			try(fmt.Sprintf("%s: %q", k.Name, value), with(k.Name, value), false)
		}
	}
	try("a guard that there is not", with("global-auth-extra", "x"), false)
}
