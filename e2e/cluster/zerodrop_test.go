package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// report is what e2e/steady prints.
type report struct {
	Requests, Streams, Messages int
	Failures, Closed, Slow      map[string]int
	P50, P99, Max               time.Duration
}

func (r report) String() string {
	return fmt.Sprintf("%6d requests, %s, %d slow, p50 %v, p99 %v, max %v; %d streams, %s", r.Requests, causes("failed", r.Failures), count(r.Slow),
		r.P50.Round(100*time.Microsecond), r.P99.Round(100*time.Microsecond), r.Max.Round(time.Millisecond), r.Streams, causes("closed", r.Closed))
}

// causes is "3 failed (2 of a cause, 1 of another)".
func causes(what string, n map[string]int) string {
	var each []string
	for _, cause := range slices.Sorted(maps.Keys(n)) {
		each = append(each, fmt.Sprintf("%d %s", n[cause], cause))
	}
	if each == nil {
		return "0 " + what
	}
	return fmt.Sprintf("%d %s (%s)", count(n), what, strings.Join(each, ", "))
}

func count(causes map[string]int) int {
	n := 0
	for _, c := range causes {
		n += c
	}
	return n
}

// under does something while the product is loaded through the load balancer, and for settle
// afterwards, and returns what clients met.
func under(t *testing.T, f *Installed, settle time.Duration, do func()) report {
	t.Helper()
	p := startProcess(t, "steady", binary("steady"), nil, "-address", f.Address, "-host", "web.example", "-stream-host", "stream.example", "-call-host", "calls.example", "-rate", "150", "-streams", "4")
	Eventually(t, time.Minute, "the load has begun", func() bool {
		if p.Ended() {
			t.Fatalf("steady ended: %s", p.Log())
		}
		return strings.Contains(p.Log(), "ready")
	})
	do()
	<-time.After(settle)
	if err := p.Terminate(t, 30*time.Second); err != nil {
		t.Fatalf("steady: %v: %s", err, p.Log())
	}
	var r report
	_, text, _ := strings.Cut(p.Log(), "ready\n")
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("report of steady: %v: %s", err, text)
	}
	return r
}

// TestZeroDrop: nothing that operators do to a cluster costs a request or a stream. Streams go
// to a backend of their own, which stays, since those to one that ends must end.
func TestZeroDrop(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 2})
	f := installLoaded(t, c)
	// A new replica's node gets traffic after the load balancer's next check.
	const settled = 3 * time.Second

	scenarios := []struct {
		name   string
		settle time.Duration
		do     func(*testing.T)
	}{
		{"nothing", settled, func(*testing.T) {}},
		// Early, since kubelets take their time to find it again.
		{"the API server is away", settled, func(t *testing.T) {
			away := 20 * time.Second
			if os.Getenv("FAIRLEAD_E2E_LONG") != "" {
				away = 2 * time.Minute
			}
			c.StopAPIServer()
			<-time.After(away)
			c.StartAPIServer(t)
		}},
		{"Ingresses come, change and go", settled, func(t *testing.T) { churn(t, c) }},
		{"certificates are replaced", settled, func(t *testing.T) {
			for range 5 {
				crt, key := keyPair(t, "web.example")
				c.Apply(t, c.Kubectl(t, "create", "secret", "tls", "web-tls", "-n", "shop", "--cert", crt, "--key", key, "--dry-run=client", "-o", "yaml"))
			}
		}},
		{"the backend is rolled out", settled, func(t *testing.T) { restart(t, c, "shop", "deployment/web") }},
		{"its Pods are killed, one by one", settled, func(t *testing.T) {
			for _, pod := range strings.Fields(c.Kubectl(t, "get", "pods", "-n", "shop", "-l", "app=web", "-o", "name")) {
				c.Kubectl(t, "delete", pod, "-n", "shop", "--grace-period=0", "--force")
				c.Rollout(t, "shop", "deployment/web")
			}
		}},
		{"it gets a preStop hook", settled, func(t *testing.T) {
			c.Kubectl(t, "patch", "deployment", "web", "-n", "shop", "-p", `{"spec": {"template": {"spec": {"containers": [{"name": "web", "lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}]}}}}`)
			c.Rollout(t, "shop", "deployment/web")
		}},
		{"it is rolled out with that", 2 * settled, func(t *testing.T) { restart(t, c, "shop", "deployment/web") }},
		{"the backend is scaled to one and back", settled, func(t *testing.T) {
			for _, n := range []string{"1", "3"} {
				c.Kubectl(t, "scale", "deployment/web", "-n", "shop", "--replicas="+n)
				c.Rollout(t, "shop", "deployment/web")
				Eventually(t, time.Minute, n+" Pods", func() bool {
					return len(strings.Fields(c.Kubectl(t, "get", "pods", "-n", "shop", "-l", "app=web", "-o", "name"))) == map[string]int{"1": 1, "3": 3}[n]
				})
			}
		}},
		{"the leader is deleted", 14 * time.Second, func(t *testing.T) {
			holder := c.Kubectl(t, "get", "lease", "fairlead-leader", "-n", "fairlead", "-o", "jsonpath={.spec.holderIdentity}")
			pod, _, _ := strings.Cut(holder, "_")
			c.Kubectl(t, "delete", "pod", pod, "-n", "fairlead", "--wait=false")
			c.Rollout(t, "fairlead", "deployment/fairlead")
		}},
		{"Fairlead is rolled out", 14 * time.Second, func(t *testing.T) { restart(t, c, "fairlead", "deployment/fairlead") }},
		{"a node is drained", 14 * time.Second, func(t *testing.T) {
			// The streams' backends are left where they are, as they would end.
			// Fairlead waits for the streams through the node, so kubectl is not waited for.
			_, _ = c.Try("drain", "node2", "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app!=stream", "--timeout=20s")
			left := c.Kubectl(t, "get", "pods", "-A", "-l", "app!=stream", "--field-selector=spec.nodeName=node2", "--no-headers",
				"-o", "custom-columns=NAME:.metadata.name,DELETED:.metadata.deletionTimestamp")
			if strings.Contains(left, "<none>") {
				t.Errorf("not evicted: %s", left)
			}
			c.Kubectl(t, "uncordon", "node2")
			c.Rollout(t, "fairlead", "deployment/fairlead")
			c.Rollout(t, "shop", "deployment/web")
		}},
	}
	var table strings.Builder
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			r := under(t, f, s.settle, func() { s.do(t) })
			fmt.Fprintf(&table, "%-40s %v\n", s.name, r)
			if len(r.Failures) > 0 || len(r.Closed) > 0 {
				t.Errorf("lost: %v\nfailures: %v\nclosed: %v", r, r.Failures, r.Closed)
			}
			if r.Requests < 100 || r.Messages < r.Streams {
				t.Errorf("hardly a load: %v", r)
			}
		})
	}
	t.Run("a node is lost", func(t *testing.T) { lostNode(t, c, f, &table) })
	t.Logf("what clients met:\n%s", table.String())
}

// installLoaded installs the base and the backends of the load that under makes.
func installLoaded(t *testing.T, c *Cluster) *Installed {
	t.Helper()
	c.Kubectl(t, "apply", "-k", deployDir("base"))
	c.Kubectl(t, "create", "namespace", "shop")
	crt, key := keyPair(t, "web.example")
	c.Kubectl(t, "create", "secret", "tls", "web-tls", "-n", "shop", "--cert", crt, "--key", key)
	web := strings.Replace(ingress("shop", "web", "fairlead", "web"), "  rules:", "  tls: [{hosts: [web.example], secretName: web-tls}]\n  rules:", 1)
	web = strings.Replace(web, "name: web, namespace: shop}", `name: web, namespace: shop, annotations: {fairlead.dev/ssl-redirect: "false"}}`, 1)
	c.Apply(t, webDeployment("shop", "web", 3)+webService("shop", "web")+web+
		webDeployment("shop", "stream", 2)+webService("shop", "stream")+ingress("shop", "stream", "fairlead", "stream")+
		callService("shop", "stream")+ingress("shop", "calls", "fairlead", "calls"))
	c.Rollout(t, "kube-system", "deployment/coredns")
	c.Rollout(t, "fairlead", "deployment/fairlead")
	c.Rollout(t, "shop", "deployment/web")
	c.Rollout(t, "shop", "deployment/stream")
	f := c.Installed(t, "fairlead", "fairlead")
	f.Serves(t, "web.example/")
	f.Serves(t, "stream.example/")
	t.Cleanup(func() { c.tellOf(t, "fairlead") })
	return f
}

func restart(t *testing.T, c *Cluster, namespace, object string) {
	c.Kubectl(t, "rollout", "restart", object, "-n", namespace)
	c.Rollout(t, namespace, object)
}

// lostNode takes the power from node2, with a replica of the product and Pods of the backends on it.
// What was under way there is lost, and so is what the load balancer sends there before its checks fail;
// after that nothing may be.
func lostNode(t *testing.T, c *Cluster, f *Installed, table *strings.Builder) {
	// Pods that were evicted from it have not come back by themselves.
	for _, object := range []string{"fairlead fairlead", "shop web", "shop stream"} {
		namespace, name, _ := strings.Cut(object, " ")
		restart(t, c, namespace, "deployment/"+name)
	}
	for _, selector := range []string{"app.kubernetes.io/name=fairlead", "app=web"} {
		on := c.Kubectl(t, "get", "pods", "-A", "-l", selector, "--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].spec.nodeName}")
		if !strings.Contains(on, "node1") || !strings.Contains(on, "node2") {
			t.Fatalf("Pods of %s are on %s, want some on each node", selector, on)
		}
	}
	lost := under(t, f, 40*time.Second, func() { c.Nodes[1].Kill() })
	fmt.Fprintf(table, "%-40s %v\n", "a node is lost", lost)
	after := under(t, f, 10*time.Second, func() {})
	fmt.Fprintf(table, "%-40s %v\n", "after that", after)
	if count(after.Failures)+count(after.Closed) > 0 {
		t.Errorf("still lost when the loss was known: %v", after)
	}
	if share := float64(count(lost.Failures)) / float64(lost.Requests); share > 0.25 {
		t.Errorf("%.0f %% of the requests lost: %v", 100*share, lost)
	}
}

// churn makes, changes and deletes Ingresses for some seconds.
func churn(t *testing.T, c *Cluster) {
	for range 3 {
		var all strings.Builder
		for i := range 20 {
			all.WriteString(ingress("shop", fmt.Sprintf("churn%d", i), "fairlead", "web"))
		}
		c.Apply(t, all.String())
		c.Apply(t, strings.ReplaceAll(all.String(), "path: /,", "path: /moved,"))
		c.Kubectl(t, "label", "ingress", "--all", "-n", "shop", "--overwrite", fmt.Sprintf("round=%d", time.Now().UnixNano()))
		if _, err := c.kubectl(all.String(), "delete", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
}
