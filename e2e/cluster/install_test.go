package cluster

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func deployDir(parts ...string) string {
	return filepath.Join(append([]string{moduleDir(), "..", "..", "deploy"}, parts...)...)
}

// TestInstall installs fairlead on nodes as users do, in every way that deploy/ has, and asks
// through the address that the load balancer gave.
func TestInstall(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 2})
	c.Kubectl(t, "create", "namespace", "shop")
	c.Kubectl(t, "apply", "-k", deployDir("base"))
	c.Apply(t, webDeployment("shop", "web", 2)+webService("shop", "web")+ingress("shop", "web", "fairlead", "web"))
	c.Rollout(t, "kube-system", "deployment/coredns")
	c.Rollout(t, "shop", "deployment/web")

	t.Run("kustomize", func(t *testing.T) {
		c.Rollout(t, "fairlead", "deployment/fairlead")
		f := c.Installed(t, "fairlead", "fairlead")
		f.Serves(t, "web.example/")
		Eventually(t, soon, "the status has the address", func() bool { return published(t, c, "shop", "web") == f.Address })
		if a := f.Get("web.example/"); !strings.Contains(a.Body, `"X-Forwarded-For":["`+c.IP.String()+`"]`) {
			t.Errorf("the backend does not see the address of the client, %v: %s", c.IP, a.Body)
		}
		explained(t, c, "fairlead", "shop")
	})
	t.Run("kinds of Services", func(t *testing.T) { serviceKinds(t, c) })
	t.Run("Events", func(t *testing.T) {
		c.Apply(t, ingress("shop", "lost", "fairlead", "nowhere"))
		Eventually(t, soon, "kubectl describe tells of the Service that is missing", func() bool {
			return strings.Contains(c.Kubectl(t, "describe", "ingress", "lost", "-n", "shop"), "ServiceNotFound")
		})
	})
	t.Run("helm, another class beside it", func(t *testing.T) {
		c.Kubectl(t, "create", "namespace", "edge")
		manifests := helmTemplate(t, "edge", "edge", `
fullnameOverride: edge
controller:
  replicaCount: 1
  ingressClassResource: {name: edge, controllerValue: example.com/edge}
  controllerClasses: [example.com/edge]
  electionID: edge-leader
  config: {hsts: "false"}
`)
		c.Apply(t, manifests+"\n---\n"+ingress("shop", "edge", "edge", "web"))
		c.Rollout(t, "edge", "deployment/edge")
		edge, base := c.Installed(t, "edge", "edge"), c.Installed(t, "fairlead", "fairlead")
		edge.Serves(t, "edge.example/")
		Eventually(t, soon, "the status has the address", func() bool { return published(t, c, "shop", "edge") == edge.Address })
		for host, f := range map[string]*Installed{"web.example/": edge, "edge.example/": base} {
			if a := f.Get(host); a.Status != http.StatusNotFound {
				t.Errorf("%s at the controller of the other class: %+v, want 404", host, a)
			}
		}
		explained(t, c, "edge", "shop")
		c.Kubectl(t, "patch", "configmap", "edge", "-n", "edge", "--type=merge", "-p", `{"data": {"denylist-source-range": "`+c.IP.String()+`"}}`)
		Eventually(t, soon, "a setting is live", func() bool { return edge.Get("edge.example/").Status == http.StatusForbidden })
	})
	t.Run("one namespace", func(t *testing.T) {
		c.Kubectl(t, "apply", "-k", deployDir("overlays", "namespaced"))
		c.Apply(t, webDeployment("default", "own", 1)+webService("default", "own")+ingress("default", "own", "fairlead", "own"))
		c.Rollout(t, "default", "deployment/fairlead")
		c.Rollout(t, "default", "deployment/own")
		f := c.Installed(t, "default", "fairlead")
		f.Serves(t, "own.example/")
		if a := f.Get("web.example/"); a.Status != http.StatusNotFound {
			t.Errorf("a host of another namespace: %+v, want 404", a)
		}
		if got, _ := c.Try("auth", "can-i", "list", "ingresses", "-n", "shop", "--as=system:serviceaccount:default:fairlead"); strings.TrimSpace(got) != "no" {
			t.Errorf("may it list Ingresses elsewhere? %q, want no", got)
		}
	})
	t.Run("on every node", func(t *testing.T) {
		// Not the namespace: its end waits for the longest that its Pods may take to end.
		c.Kubectl(t, "delete", "deployment,service,poddisruptionbudget", "fairlead", "-n", "fairlead")
		c.Kubectl(t, "apply", "-k", deployDir("overlays", "daemonset"))
		c.Rollout(t, "fairlead", "daemonset/fairlead")
		for _, node := range c.Nodes {
			at := newInstalled(t, node.IP.String())
			at.Serves(t, "web.example/")
			if a := at.Get("web.example/"); !strings.Contains(a.Body, `"X-Forwarded-For":["`+c.IP.String()+`"]`) {
				t.Errorf("%s: the backend does not see the address of the client, %v: %s", node.Name, c.IP, a.Body)
			}
		}
		Eventually(t, soon, "the status has the address", func() bool { return published(t, c, "shop", "web") == "192.0.2.1" })
	})
}

// serviceKinds asks for a backend behind every kind of Service that the field has.
func serviceKinds(t *testing.T, c *Cluster) {
	pod := c.Kubectl(t, "get", "pods", "-n", "shop", "-l", "app=web", "-o", "jsonpath={.items[0].status.podIP}")
	specs := map[string]string{
		"clusterip":    `{selector: {app: web}, ports: [{port: 80, targetPort: http}]}`,
		"nodeport":     `{type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http}]}`,
		"loadbalancer": `{type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: http}]}`,
		"headless":     `{clusterIP: None, selector: {app: web}, ports: [{port: 80, targetPort: http}]}`,
		"externalname": `{type: ExternalName, externalName: clusterip.shop.svc.cluster.local, ports: [{port: 80}]}`,
		"selectorless": `{ports: [{port: 80}]}`,
	}
	var objects strings.Builder
	for name, spec := range specs {
		fmt.Fprintf(&objects, "{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: shop}, spec: %s}\n---\n%s", name, spec, ingress("shop", name, "fairlead", name))
	}
	// By the address of a Service, which kube-proxy leads to Pods.
	objects.WriteString(strings.Replace(ingress("shop", "upstream", "fairlead", "clusterip"), "namespace: shop}", `namespace: shop, annotations: {fairlead.dev/service-upstream: "true"}}`, 1))
	specs["upstream"] = ""
	c.Apply(t, objects.String()+slice("shop", "selectorless", &net.TCPAddr{IP: net.ParseIP(pod), Port: 8080}))
	f := c.Installed(t, "fairlead", "fairlead")
	for name := range specs {
		f.Serves(t, name+".example/")
	}
}

// explained checks that a ServiceAccount has no right, for a namespace that it serves, that
// the tables of deploy/README.md do not have.
func explained(t *testing.T, c *Cluster, account, namespace string) {
	t.Helper()
	readme, err := os.ReadFile(deployDir("README.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string][]string)
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z/]+`)[^|]*\\| ([a-z, ]+) \\|").FindAllStringSubmatch(string(readme), -1) {
		resource := strings.Trim(row[1], "`")
		documented[resource] = append(documented[resource], strings.Split(row[2], ", ")...)
	}
	user := fmt.Sprintf("system:serviceaccount:%s:%s", account, account)
	for _, ns := range []string{namespace, account} {
		everybody := rights(t, c, "system:serviceaccount:shop:default", ns)
		granted := 0
		for resource, verbs := range rights(t, c, user, ns) {
			for _, verb := range verbs {
				if slices.Contains(everybody[resource], verb) {
					continue
				}
				granted++
				if !slices.Contains(documented[resource], verb) {
					t.Errorf("%s may %s %s in %s, which deploy/README.md does not explain", user, verb, resource, ns)
				}
			}
		}
		if granted < 12 {
			t.Errorf("%s has %d rights in %s", user, granted, ns)
		}
	}
}

// rights are the verbs that a user may use in a namespace, by resource without its group.
func rights(t *testing.T, c *Cluster, user, namespace string) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	out := c.Kubectl(t, "auth", "can-i", "--list", "--as="+user, "-n", namespace, "--no-headers")
	for line := range strings.Lines(out) {
		fields := regexp.MustCompile(`^([a-z]\S*)\s+\[.*?\]\s+\[.*?\]\s+\[(.*?)\]`).FindStringSubmatch(line)
		if fields == nil {
			continue // no resource, but a path
		}
		name, sub, ok := strings.Cut(fields[1], "/")
		resource, _, _ := strings.Cut(name, ".")
		if ok {
			resource += "/" + sub
		}
		found[resource] = append(found[resource], strings.Fields(fields[2])...)
	}
	return found
}

func helmTemplate(t *testing.T, release, namespace, values string) string {
	t.Helper()
	cmd := exec.Command(binary("helm"), "template", release, deployDir("helm", "fairlead"), "--namespace", namespace, "--kube-version", "1.37.0", "--values", "-")
	cmd.Stdin = strings.NewReader(values)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("helm template: %v: %s", err, errs.String())
	}
	return out.String()
}

// ingress is an Ingress for host "NAME.example".
func ingress(namespace, name, class, service string) string {
	return fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  ingressClassName: %[3]s
  rules: [{host: %[2]s.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %[4]s, port: {number: 80}}}}]}}]
---
`, namespace, name, class, service)
}

// Serves waits until a URL is answered with 200, which has to be soon.
func (i *Installed) Serves(t *testing.T, hostAndPath string) {
	t.Helper()
	var last Answer
	deadline := time.Now().Add(soon)
	for last.Status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatalf("%s at %s: still %+v, want 200", hostAndPath, i.Address, last)
		}
		last = i.Get(hostAndPath)
	}
}
