package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fairlead-ingress/fairlead"

// layer is what one package of the module may import.
type layer struct {
	imports []string // packages of the module, relative to it; those below them come along
	outside []string // prefixes of packages of other modules
	why     string   // what goes wrong otherwise
}

// Kubernetes types without the client.
var apiTypes = []string{"k8s.io/api/", "k8s.io/apimachinery/"}

// layers is the import direction of the tree. A package that is not here must be added, with
// its reason.
var layers = map[string]layer{
	"router": {
		why: "matching is useful without a proxy, and its tests need nothing but itself",
	},
	"proxy/http1": {
		outside: []string{"golang.org/x/net/http/httpguts", "golang.org/x/sys/unix"},
		why:     "a wire engine makes sense in a program without a router",
	},
	"proxy/proxyproto": {
		why: "a header is read from an io.Reader, whatever is done with it",
	},
	"proxy/upstream": {
		imports: []string{"proxy/http1", "tls/certs"},
		outside: []string{"golang.org/x/net/"},
		why:     "key pairs are read in one way; pools outlive tables, so they cannot know routes; what they tell goes through func fields",
	},
	"proxy/policy": {
		imports: []string{"proxy/upstream"},
		outside: []string{"golang.org/x/crypto/bcrypt", "golang.org/x/net/http/httpguts", "github.com/andybalholm/brotli"},
		why:     "a feature is parsed from plain strings and wraps an http.Handler: it knows no objects and no router",
	},
	"proxy": {
		imports: []string{"router", "proxy/policy", "proxy/proxyproto", "proxy/upstream", "proxy/http1"},
		outside: []string{"go.uber.org/zap", "golang.org/x/net/"},
		why:     "Kubernetes is one way to configure the proxy; metrics and access log are made from the Exchange, outside",
	},
	"proxy/observe": {
		imports: []string{"proxy", "router"},
		outside: []string{"go.uber.org/zap", "github.com/prometheus/", "google.golang.org/protobuf/"},
		why:     "what is observed must not depend on what configured it",
	},
	"proxy/proxytest": {
		outside: []string{"golang.org/x/net/", "github.com/coder/websocket"},
		why:     "a backend that shares code with the proxy would share its mistakes",
	},
	"tls/certs": {
		why: "the choice of a certificate needs a name and certificates, nothing else",
	},
	"tls/tickets": {
		why: "keys of chance and their rotation: who shares them, and how, is known elsewhere",
	},
	"tls/issuer": {
		imports: []string{"tls/certs"},
		outside: []string{"golang.org/x/crypto/acme", "go.uber.org/zap"},
		why:     "obtaining certificates works without Kubernetes: its cache is an interface",
	},
	"k8s/ingress": {
		imports: []string{"proxy", "proxy/policy", "proxy/upstream", "router", "tls/certs"},
		outside: apiTypes,
		why:     "translation is a pure function of the snapshot: no client, no log, no clock",
	},
	"k8s/gateway": {
		imports: []string{"k8s/ingress"},
		outside: append([]string{"sigs.k8s.io/gateway-api/"}, apiTypes...),
		why:     "the same as k8s/ingress for other objects",
	},
	"k8s/manifest": {
		imports: []string{"k8s/ingress"},
		outside: append([]string{"github.com/fsnotify/fsnotify", "go.yaml.in/yaml/", "sigs.k8s.io/yaml", "sigs.k8s.io/json"}, apiTypes...),
		why:     "a directory is served without a cluster and so without its client; the Snapshot lives in k8s/ingress",
	},
	"k8s/explain": {
		imports: []string{"k8s/ingress", "proxy/policy", "router", "tls/certs"},
		outside: apiTypes,
		why:     "an explanation is a pure function of a snapshot and a request",
	},
	"k8s/k8stest": {
		imports: []string{"k8s/ingress"},
		outside: append([]string{"golang.org/x/tools/txtar", "sigs.k8s.io/yaml", "go.yaml.in/yaml/", "github.com/google/go-cmp/"}, apiTypes...),
		why:     "objects for tests, from text",
	},
	"k8s": {
		imports: []string{"k8s/ingress", "k8s/gateway", "proxy", "proxy/policy", "proxy/upstream", "router", "tls/certs", "tls/tickets"},
		outside: append([]string{"k8s.io/client-go/", "k8s.io/klog/", "k8s.io/utils/", "go.uber.org/zap", "github.com/go-logr/"}, apiTypes...),
		why:     "the one place that talks to the API server; what it observes leaves through its func fields",
	},
	"cmd/fairlead/dashboard": {
		imports: []string{"k8s/explain", "proxy", "proxy/observe", "proxy/upstream", "router", "tls/certs"},
		outside: []string{"maragu.dev/gomponents"},
		why:     "a page is made of what is live: it asks the same code as every other surface, and decides nothing",
	},
	"cmd/fairlead": {
		imports: []string{"cmd/fairlead/dashboard", "k8s", "k8s/ingress", "k8s/manifest", "k8s/explain", "proxy", "proxy/observe", "proxy/policy", "proxy/proxytest", "proxy/upstream", "router", "tls/certs", "tls/issuer", "tls/tickets"},
		outside: append([]string{"github.com/spf13/", "go.uber.org/zap", "k8s.io/client-go/", "golang.org/x/crypto/x509roots/fallback", "golang.org/x/sys/unix", "github.com/prometheus/", "sigs.k8s.io/yaml"}, apiTypes...),
		why:     "wiring: it knows everything, and nothing knows it",
	},
}

// testsOnly are packages that the product must not contain, with who may import them all the
// same.
var testsOnly = map[string][]string{
	"k8s/k8stest":     nil,
	"proxy/proxytest": {"cmd/fairlead"}, // the demo's backends
}

// nowhere are packages of the standard library with a better or a safer way here.
var nowhere = map[string]string{
	"log":               "edges log through zap, inner code returns errors",
	"log/slog":          "edges log through zap, inner code returns errors",
	"net/http/httputil": "ReverseProxy forwards what must not be forwarded (any Upgrade, hop-by-hop fields of 1xx)",
	"net/http/pprof":    "importing it opens its pages on http.DefaultServeMux",
	"text/template":     "no user text becomes configuration text",
	"os/exec":           "nothing is run",
	"unsafe":            "no speed is worth it here",
	"plugin":            "nothing is loaded",
}

// except are imports that nowhere forbids and that are right all the same.
var except = map[string][]string{
	"net/http/pprof": {"cmd/fairlead"},             // its handlers, on the admin port, when --profiling is given
	"log":            {"proxy", "proxy/proxytest"}, // the type of http.Server.ErrorLog
}

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string // of the product, not of its tests
	Deps       []string // all of them, also by way of others
}

// TestImportDirection: packages import what is below them, and only that. Each failure says
// what the rule is for; a rule that is in the way of something better is changed here, in a
// commit that says why.
func TestImportDirection(t *testing.T) {
	all := list(t, module+"/...")
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		l, ok := layers[name]
		if !ok {
			t.Errorf("package %s has no layer: say what it may import, and why", name)
			continue
		}
		allowed := l.below()
		for _, imp := range all[name].Imports {
			own, inside := strings.CutPrefix(imp, module+"/")
			switch {
			case inside && !slices.Contains(allowed, own):
				t.Errorf("%s imports %s: %s", name, own, l.why)
			case inside || standard(imp):
			case !slices.ContainsFunc(l.outside, func(p string) bool { return imp == strings.TrimSuffix(p, "/") || strings.HasPrefix(imp, p) }):
				t.Errorf("%s imports %s: %s", name, imp, l.why)
			}
			if why, bad := nowhere[imp]; bad && !slices.Contains(except[imp], name) {
				t.Errorf("%s imports %s: %s", name, imp, why)
			}
			if users, limited := testsOnly[own]; inside && limited && !slices.Contains(users, name) {
				t.Errorf("%s imports %s, which is for tests", name, own)
			}
		}
	}
}

// below is every package of the module that a package of the layer may import: those it
// names, and what these may import.
func (l layer) below() []string {
	var all []string
	for _, name := range l.imports {
		all = append(append(all, name), layers[name].below()...)
	}
	return all
}

// TestTransitiveDependencies: what must not come along by way of others either.
func TestTransitiveDependencies(t *testing.T) {
	tests := []struct{ pkg, banned, why string }{
		{"router", "net/http/httptest", "a test server in the product"},
		{"proxy", "k8s.io/", "the proxy is configured with plain data"},
		{"proxy", "github.com/prometheus/", "metrics are made from the Exchange, outside"},
		{"proxy/observe", "k8s.io/", "metrics know routes, not objects"},
		{"tls/certs", "go.uber.org/zap", "no logger below the edges"},
		{"k8s/ingress", "k8s.io/client-go/", "translation is a pure function of the snapshot"},
		{"k8s/manifest", "k8s.io/client-go/", "a directory is served without a cluster's client"},
		{"cmd/fairlead", "testing", "it registers flags and brings test code into the product"},
		{"cmd/fairlead", "net/http/httptest", "a test server in the product"},
		{"cmd/fairlead", "k8s.io/kubernetes/", "it is for tests, in modules of their own"},
	}
	all := list(t, module+"/...")
	for _, tt := range tests {
		p, ok := all[tt.pkg]
		if !ok {
			t.Errorf("package %s does not exist", tt.pkg)
			continue
		}
		for _, dep := range p.Deps {
			if dep == tt.banned || strings.HasSuffix(tt.banned, "/") && strings.HasPrefix(dep, tt.banned) {
				t.Errorf("%s depends on %s: %s", tt.pkg, dep, tt.why)
			}
		}
	}
}

// TestRouterIsStandard: the router depends on the standard library alone, tests aside.
func TestRouterIsStandard(t *testing.T) {
	for _, dep := range list(t, module+"/router")["router"].Deps {
		if !standard(dep) {
			t.Errorf("router depends on %s: %s", dep, layers["router"].why)
		}
	}
}

// TestLayersHaveNoCycle: below would not end.
func TestLayersHaveNoCycle(t *testing.T) {
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		if slices.Contains(path, name) {
			t.Fatalf("layers import each other: %s", strings.Join(append(path, name), " -> "))
		}
		for _, imp := range layers[name].imports {
			visit(imp, append(path, name))
		}
	}
	for name := range layers {
		visit(name, nil)
	}
}

// standard reports whether an import path is of the standard library: its first element has
// no dot.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// list asks the go command for the packages of a pattern, by their path below the module.
func list(t *testing.T, pattern string) map[string]pkg {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", pattern)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", pattern, err, stderr.Bytes())
	}
	all := map[string]pkg{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[path.Clean(strings.TrimPrefix(p.ImportPath, module+"/"))] = p
	}
	if len(all) == 0 {
		t.Fatalf("go list %s: no packages", pattern)
	}
	return all
}
