package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// testsslTakes bounds a run of testssl.sh, which takes a minute and a half on two cores.
const testsslTakes = 10 * time.Minute

// TestTestssl has testssl.sh look at the default configuration, with the classes of both profiles:
// it may find nothing of medium severity or worse, with an RSA and an ECDSA certificate at once.
func TestTestssl(t *testing.T) {
	program, err := exec.LookPath("testssl")
	switch {
	case testing.Short():
		t.Skip("it takes minutes")
	case err != nil && os.Getenv("CI") != "":
		t.Fatalf("testssl.sh is not installed: %v", err)
	case err != nil:
		t.Skip("testssl.sh is not installed: apt-get install testssl.sh")
	}
	ca, err := site.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// What an application says for itself.
		for _, field := range [][2]string{
			{"Content-Security-Policy", "default-src 'self'"}, {"X-Frame-Options", "DENY"}, {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"},
		} {
			w.Header().Set(field[0], field[1])
		}
		fmt.Fprintln(w, "hello")
	}))
	defer backend.Close()
	host, port, err := net.SplitHostPort(backend.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"site.yaml": fmt.Appendf(nil, testsslSite, host, port)}
	for name, rsa := range map[string]bool{"ecdsa": false, "rsa": true} {
		crt, key, err := ca.Issue(site.Request{Names: []string{"www.example"}, RSA: rsa})
		if err != nil {
			t.Fatal(err)
		}
		files[name+".yaml"] = fmt.Appendf(nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: default}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}\n",
			name, base64.StdEncoding.EncodeToString(crt), base64.StdEncoding.EncodeToString(key))
	}
	at, err := site.Start(site.Options{Binary: binary, Dir: t.TempDir(), Flags: []string{"--access-log=off"}, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := at.Stop(); err != nil {
			t.Error(err)
		}
	})
	_, port, err = net.SplitHostPort(at.Address("https"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	authority, findings := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "findings.json")
	if err := os.WriteFile(authority, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testsslTakes)
	defer cancel()
	start := time.Now()
	cmd := exec.CommandContext(ctx, program, "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1",
		"--add-ca", authority, "--connect-timeout", "30", "--openssl-timeout", "30", "--jsonfile", findings, "https://www.example:"+port)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("it does not end: %v\n%s", ctx.Err(), output)
	}
	t.Logf("testssl.sh took %v and ended with %v, which counts what it has found", time.Since(start).Round(time.Second), err)
	text, err := os.ReadFile(findings)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	var all []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	seen := make(map[string]bool)
	for _, f := range all {
		seen[f.ID] = true
		switch f.Severity {
		case "MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN":
			if reason, known := testsslOfNoServer[strings.Fields(f.ID + " ")[0]]; known {
				t.Logf("%s %s: %s (%s)", f.Severity, f.ID, f.Finding, reason)
				continue
			}
			t.Errorf("%s %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
	// It has been through to the end.
	for _, id := range []string{"TLS1_2", "TLS1_3", "PFS", "heartbleed", "ticketbleed", "ROBOT", "LUCKY13", "HSTS_time"} {
		if !seen[id] {
			t.Errorf("nothing of %s in %d findings", id, len(all))
		}
	}
}

// testsslOfNoServer are findings about what is not the server's.
var testsslOfNoServer = map[string]string{
	"engine_problem":        "of the openssl that testssl.sh runs",
	"cert_expirationStatus": "the authority of these tests gives certificates for 30 days",
	"cert_notAfter":         "the same",
	"cert_revocation":       "the authority of these tests revokes nothing",
}

const testsslSite = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: %[2]s}]
endpoints: [{addresses: [%[1]q]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: default}
spec:
  ingressClassName: nginx
  tls: [{hosts: [www.example], secretName: ecdsa}, {hosts: [www.example], secretName: rsa}]
  rules:
  - host: www.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`
