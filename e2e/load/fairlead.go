package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// build compiles fairlead as it is released, from the module at root, into dir.
func build(ctx context.Context, root, dir string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "fairlead")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/fairlead")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/fairlead in %s: %w\n%s", root, err, text)
	}
	return binary, nil
}

// fairleadSubject is a fairlead binary with flags in addition to those that it needs.
func fairleadSubject(name, binary string, flags []string) subject {
	return subject{name: name, binary: binary, flags: flags, launch: func(at place, r Row, log *os.File) (*proxy, error) {
		addresses, err := freeAddresses(3)
		if err != nil {
			return nil, err
		}
		p := &proxy{http: addresses[0], https: addresses[1], admin: addresses[2]}
		manifests := filepath.Join(at.dir, "manifests")
		if err := os.Mkdir(manifests, 0o755); err != nil {
			return nil, err
		}
		if _, err := writeFile(manifests, "objects.yaml", objects(at, r)); err != nil {
			return nil, err
		}
		access := "off"
		if r.Log {
			access = "nginx" // the fields that the others log too
		}
		p.process, err = command{
			name: "fairlead", dir: at.dir, cpus: at.cpus, stdout: log,
			env: []string{"GOMAXPROCS=" + strconv.Itoa(at.threads)},
			argv: append([]string{
				binary, "serve", "--manifests", manifests,
				"--http-address", p.http, "--https-address", p.https, "--admin-address", p.admin,
				"--access-log", access, "--shutdown-delay", "0s", "--drain-timeout", "1s",
			}, flags...),
		}.start()
		if err != nil {
			return nil, err
		}
		return ready(p, func() error {
			_, err := p.get(context.Background(), "/readyz", time.Second)
			return err
		})
	}}
}

// withOneRoute is the subject with a single route for everything.
func withOneRoute(s subject) subject {
	launch := s.launch
	s.name += ", 1 route"
	s.everything = true
	s.launch = func(at place, r Row, log *os.File) (*proxy, error) {
		r.Routes = 0
		return launch(at, r, log)
	}
	return s
}

// get asks fairlead's admin port.
func (p *proxy) get(ctx context.Context, path string, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+path, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: want status 200, got %d: %s", path, resp.StatusCode, body)
	}
	return body, err
}

// objects are the manifests of a row: a class, a Service with the backend as its endpoint, a
// certificate, and an Ingress for each host. No routes at all make one rule for everything.
func objects(at place, r Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: fairlead, annotations: {ingressclass.kubernetes.io/is-default-class: "true"}}
spec: {controller: fairlead.dev/ingress-controller}
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: load}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app-1, namespace: load, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
ports: [{name: http, port: %d, protocol: TCP}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
---
apiVersion: v1
kind: Secret
metadata: {name: app, namespace: load}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
`, at.backendPort, base64.StdEncoding.EncodeToString(at.cert), base64.StdEncoding.EncodeToString(at.key))
	switch {
	case r.Routes == 0:
		writeIngress(&b, r, "all", "", "/")
	case !r.many():
		writeIngress(&b, r, "one", "localhost", "/")
	}
	for i := 0; r.many() && i < r.Routes; i += pathsPerHost {
		var paths []string
		for j := i; j < i+pathsPerHost; j++ {
			paths = append(paths, routePath(j))
		}
		writeIngress(&b, r, fmt.Sprintf("many-%d", i), routeHost(i), paths...)
	}
	return b.String()
}

// writeIngress writes an Ingress for a host; an empty one is every host. It has a certificate
// where the row's requests come over TLS.
func writeIngress(b *strings.Builder, r Row, name, host string, paths ...string) {
	fmt.Fprintf(b, "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: %s, namespace: load}\nspec:\n", name)
	switch {
	case r.TLS && host == "":
		b.WriteString("  tls: [{hosts: [localhost], secretName: app}]\n")
	case r.TLS:
		fmt.Fprintf(b, "  tls: [{hosts: [localhost, %s], secretName: app}]\n", host)
	}
	rule := "http:"
	if host != "" {
		rule = "host: " + host + "\n    http:"
	}
	fmt.Fprintf(b, "  rules:\n  - %s\n      paths:\n", rule)
	for _, path := range paths {
		fmt.Fprintf(b, "      - {path: %s, pathType: Prefix, backend: {service: {name: app, port: {name: http}}}}\n", path)
	}
}
