package cluster

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRights runs fairlead with the arguments and the rights that the manifests of deploy/ give
// it: everything has to work, and nothing that is tried may be refused.
func TestRights(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	deploy := filepath.Join(moduleDir(), "..", "..", "deploy")

	t.Run("base", func(t *testing.T) {
		c.Kubectl(t, "apply", "-k", filepath.Join(deploy, "base"))
		c.Kubectl(t, "create", "namespace", "shop")
		c.Kubectl(t, "patch", "service", "fairlead", "-n", "fairlead", "--subresource=status", "--type=merge",
			"-p", `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"},{"hostname":"lb.example"}]}}}`)
		f := serveDeployed(t, c, deploy, "base", "fairlead", nil)
		f.WaitReady(t)
		works(t, c, f, "shop", "192.0.2.1 lb.example")
		// The published Service changes: so does the status, at once.
		c.Kubectl(t, "patch", "service", "fairlead", "-n", "fairlead", "--subresource=status", "--type=merge",
			"-p", `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.2"}]}}}`)
		Eventually(t, soon, "the new address", func() bool { return published(t, c, "shop", "web") == "192.0.2.2" })
		if err := f.Terminate(t, time.Minute); err != nil {
			t.Error(err)
		}
		refused(t, c, "fairlead")
		c.Kubectl(t, "delete", "-k", filepath.Join(deploy, "base"), "--wait=false")
	})
	t.Run("namespaced", func(t *testing.T) {
		c.Kubectl(t, "apply", "-k", filepath.Join(deploy, "overlays", "namespaced"))
		c.Kubectl(t, "patch", "service", "fairlead", "--subresource=status", "--type=merge",
			"-p", `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.3"}]}}}`)
		c.Kubectl(t, "create", "namespace", "elsewhere")
		c.Apply(t, site("elsewhere", "outside")+strings.ReplaceAll(site("default", "foreign"), "ingressClassName: fairlead", "ingressClassName: another"))
		f := serveDeployed(t, c, deploy, "overlays/namespaced", "default", nil)
		f.WaitReady(t)
		works(t, c, f, "default", "192.0.2.3")
		for _, host := range []string{"outside.example/", "foreign.example/"} {
			if a := f.Get(host); a.Status != http.StatusNotFound {
				t.Errorf("%s: status %d, want 404", host, a.Status)
			}
		}
		if strings.Contains(f.Admin("/debug/problems").Body, "foreign") {
			t.Error("an Ingress of a class that may not be read is reported as a mistake")
		}
		if err := f.Terminate(t, time.Minute); err != nil {
			t.Error(err)
		}
		refused(t, c, "default", "list ingressclasses", "watch ingressclasses")
		c.Kubectl(t, "delete", "ingress,service,secret,endpointslice", "web", "web-1", "web-tls", "--ignore-not-found")
	})
	t.Run("named Secrets", func(t *testing.T) {
		c.Kubectl(t, "apply", "-k", filepath.Join(deploy, "overlays", "named-secrets"))
		f := serveDeployed(t, c, deploy, "overlays/named-secrets", "default", nil)
		f.WaitReady(t)
		works(t, c, f, "default", "192.0.2.3")
		if err := f.Terminate(t, time.Minute); err != nil {
			t.Error(err)
		}
		refused(t, c, "default", "list ingressclasses", "list secrets", "watch ingressclasses", "watch secrets")
	})
}

// serveDeployed starts fairlead as the Deployment of a kustomization says: its arguments, but
// for addresses, and its ServiceAccount.
func serveDeployed(t *testing.T, c *Cluster, deploy, kustomization, namespace string, more []string) *Instance {
	t.Helper()
	var d struct {
		Spec struct {
			Template struct {
				Spec struct {
					ServiceAccountName string
					Containers         []struct{ Args []string }
				}
			}
		}
	}
	out := c.Kubectl(t, "get", "deployment", "fairlead", "-n", namespace, "-o", "json")
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	args := d.Spec.Template.Spec.Containers[0].Args[1:]
	args = slices.DeleteFunc(args, func(a string) bool { return strings.Contains(a, "-address=:") })
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "$(POD_NAMESPACE)", namespace)
	}
	return c.Serve(t, InstanceOptions{
		Kubeconfig: c.ServiceAccount(t, namespace, d.Spec.Template.Spec.ServiceAccountName),
		Namespace:  namespace, Args: append(args, more...),
	})
}

// works checks all that needs a right: routes, endpoints, certificates, status, Events, the Lease.
func works(t *testing.T, c *Cluster, f *Instance, namespace, address string) {
	t.Helper()
	backend := c.Backend(t, "web")
	c.Kubectl(t, "apply", "-n", namespace, "-f", filepath.Join(moduleDir(), "..", "..", "deploy", "examples", "web.yaml"))
	Eventually(t, soon, "the Ingress without a Service answers 503", func() bool { return f.Get("web.example/").Status == http.StatusServiceUnavailable })
	Eventually(t, soon, "an Event about it", func() bool {
		return strings.Contains(c.Kubectl(t, "events", "-n", namespace, "--for", "ingress/web"), "ServiceNotFound")
	})
	c.Apply(t, `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: `+namespace+`}, spec: {ports: [{port: 80}]}}
---
`+slice(namespace, "web", backend))
	Eventually(t, soon, "it is served", func() bool { return f.Get("web.example/").Backend == "web" })
	crt, key := keyPair(t, "web.example")
	c.Kubectl(t, "create", "secret", "tls", "web-tls", "-n", namespace, "--cert", crt, "--key", key)
	Eventually(t, soon, "its certificate is served", func() bool { return f.Certificate(t, "web.example") == "web.example" })
	Eventually(t, soon, "the status says "+address, func() bool { return published(t, c, namespace, "web") == address })
}

// published is the addresses in the status of an Ingress.
func published(t *testing.T, c *Cluster, namespace, name string) string {
	t.Helper()
	return strings.TrimSpace(c.Kubectl(t, "get", "ingress", name, "-n", namespace,
		"-o", "jsonpath={.status.loadBalancer.ingress[*].ip} {.status.loadBalancer.ingress[*].hostname}"))
}

// refused checks what the API server has refused to a namespace's ServiceAccount up to now.
func refused(t *testing.T, c *Cluster, namespace string, want ...string) {
	t.Helper()
	if got := c.Refused(t, "system:serviceaccount:"+namespace+":fairlead"); !slices.Equal(got, want) {
		t.Errorf("refused were %q, want %q", got, want)
	}
}
