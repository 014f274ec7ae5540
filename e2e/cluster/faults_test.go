package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFaults breaks what is around the product, under load: what clients notice, and that all is well
// again afterwards.
func TestFaults(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 2})
	f := installLoaded(t, c)
	t.Run("the API server is slow", func(t *testing.T) { slowAPIServer(t, c, f) })
	t.Run("packets to an endpoint are lost", func(t *testing.T) { lostPackets(t, c, f) })
	t.Run("the leader is cut off from the API server", func(t *testing.T) { cutOff(t, c, f) })
	t.Run("the disks of the nodes are full", func(t *testing.T) { fullDisks(t, c, f) })
	t.Run("the token expires", func(t *testing.T) { expiredToken(t, c, f) })
}

// unharmed fails the test when clients lost anything.
func unharmed(t *testing.T, r report) {
	t.Helper()
	t.Log(r)
	if count(r.Failures)+count(r.Closed) > 0 || r.Requests < 100 {
		t.Errorf("lost: %v", r)
	}
}

// slowAPIServer: changes are live after a few round trips, and a replica starts.
func slowAPIServer(t *testing.T, c *Cluster, f *Installed) {
	const latency = 500 * time.Millisecond
	unharmed(t, under(t, f, 3*time.Second, func() {
		fast := c.SlowAPIServer(t, latency)
		defer fast()
		c.Apply(t, ingress("shop", "slow", "fairlead", "web"))
		begin := time.Now()
		f.Serves(t, "slow.example/")
		took := time.Since(begin)
		t.Logf("a change was live %v after it was made, each way to the API server takes %v", took.Round(10*time.Millisecond), latency)
		if took < latency/2 {
			t.Error("the API server is not slow")
		}
		begin = time.Now()
		c.Kubectl(t, "rollout", "restart", "deployment/fairlead", "-n", "fairlead")
		if _, err := c.Try("rollout", "status", "deployment/fairlead", "-n", "fairlead", "--timeout=180s"); err != nil {
			t.Error(err)
		}
		t.Logf("two replicas were replaced in %v", time.Since(begin).Round(100*time.Millisecond))
	}))
}

// replica is a Pod of the product.
type replica struct{ name, ip, node string }

// replicas are those that are not about to end.
func replicas(t *testing.T, c *Cluster) []replica {
	t.Helper()
	out := c.Kubectl(t, "get", "pods", "-n", "fairlead", "-l", "app.kubernetes.io/name=fairlead", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.podIP} {.spec.nodeName} {.metadata.deletionTimestamp}{"\n"}{end}`)
	var all []replica
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 3 {
			all = append(all, replica{f[0], f[1], f[2]})
		}
	}
	return all
}

// get asks a replica by itself.
func (r replica) get(port int, hostAndPath string) Answer {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(r.ip, fmt.Sprint(port)))
		},
	}}
	return get(client, "http://"+hostAndPath)
}

// lostPackets has one replica lose all that it sends to one endpoint. Requests that are sent over a connection
// which was open may be lost, since nobody knows whether they arrived; others go to another endpoint.
func lostPackets(t *testing.T, c *Cluster, f *Installed) {
	r := replicas(t, c)[0]
	var endpoint string
	for line := range strings.Lines(c.Kubectl(t, "get", "pods", "-n", "shop", "-l", "app=web", "-o", `jsonpath={range .items[*]}{.status.podIP} {.spec.nodeName}{"\n"}{end}`)) {
		if ip, node, _ := strings.Cut(strings.TrimSpace(line), " "); node != r.node {
			endpoint = ip
		}
	}
	if endpoint == "" {
		t.Fatalf("no endpoint is on another node than %v", r)
	}
	var heal func()
	first := under(t, f, 15*time.Second, func() { heal = c.Drop(t, r.ip, endpoint) })
	t.Logf("as it begins: %v", first)
	if count(first.Failures) > first.Requests/50 || count(first.Closed) > 0 {
		t.Errorf("lost as it began: %v", first)
	}
	then := under(t, f, 10*time.Second, func() {})
	t.Logf("while it lasts: %v", then)
	if count(then.Failures) > 3 || count(then.Closed) > 0 { // a connection may still be open that was idle all the time
		t.Errorf("lost while it lasts: %v", then)
	}
	heal()
	unharmed(t, under(t, f, 5*time.Second, func() {}))
}

// cutOff keeps packets of the leader from the API server: it goes on with what it knows, another leads, and
// it catches up.
func cutOff(t *testing.T, c *Cluster, f *Installed) {
	var leader, other replica
	Eventually(t, time.Minute, "a leader and another", func() bool {
		holder := c.Kubectl(t, "get", "lease", "fairlead-leader", "-n", "fairlead", "-o", "jsonpath={.spec.holderIdentity}")
		for _, r := range replicas(t, c) {
			if strings.HasPrefix(holder, r.name+"_") {
				leader = r
			} else {
				other = r
			}
		}
		return leader.name != "" && other.name != ""
	})
	unharmed(t, under(t, f, 3*time.Second, func() {
		api := net.JoinHostPort(c.IP.String(), fmt.Sprint(apiPort))
		there, back := c.Drop(t, leader.ip, api), c.Drop(t, api, leader.ip)
		begin := time.Now()
		Eventually(t, time.Minute, "the other one leads", func() bool {
			return strings.HasPrefix(c.Kubectl(t, "get", "lease", "fairlead-leader", "-n", "fairlead", "-o", "jsonpath={.spec.holderIdentity}"), other.name+"_")
		})
		t.Logf("the other one led after %v", time.Since(begin).Round(100*time.Millisecond))
		c.Apply(t, ingress("shop", "cut", "fairlead", "web"))
		Eventually(t, soon, "the other one serves what is new", func() bool { return other.get(8080, "cut.example/").Status == http.StatusOK })
		if a := leader.get(8080, "cut.example/"); a.Status != http.StatusNotFound {
			t.Errorf("what is new, at the one that is cut off: %+v, want 404", a)
		}
		if a := leader.get(8080, "web.example/"); a.Status != http.StatusOK {
			t.Errorf("what is old, at the one that is cut off: %+v, want 200", a)
		}
		if a := leader.get(10254, "admin/readyz"); a.Status != http.StatusOK {
			t.Errorf("/readyz of the one that is cut off: %+v, want 200", a)
		}
		there()
		back()
		begin = time.Now()
		Eventually(t, 2*time.Minute, "it catches up", func() bool { return leader.get(8080, "cut.example/").Status == http.StatusOK })
		t.Logf("it had caught up %v after packets passed again", time.Since(begin).Round(100*time.Millisecond))
	}))
}

// fullDisks: nothing of what is served needs a disk, not even where the access log goes to one.
func fullDisks(t *testing.T, c *Cluster, f *Installed) {
	state := func() string {
		return c.Kubectl(t, "get", "pods", "-n", "fairlead", "-l", "app.kubernetes.io/name=fairlead", "-o",
			`jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
	}
	before := state()
	var free []func()
	unharmed(t, under(t, f, 12*time.Second, func() {
		for _, node := range c.Nodes {
			free = append(free, node.FillDisk(t))
		}
	}))
	if after := state(); after != before {
		t.Errorf("Pods before:\n%s\nand with full disks:\n%s", before, after)
	}
	for _, f := range free {
		f()
	}
	Eventually(t, soon, "there is a log again", func() bool {
		f.Get("web.example/after-the-disks-were-full")
		out, _ := c.Try("logs", "-n", "fairlead", "-l", "app.kubernetes.io/name=fairlead", "--tail=50")
		return strings.Contains(out, "after-the-disks-were-full")
	})
}

// expiredToken has the API server refuse the token of the Pods, as it does when kubelet could not
// replace it in time. What was known is served on; with a new token in the file they catch up by themselves.
func expiredToken(t *testing.T, c *Cluster, f *Installed) {
	mount := func(name string) {
		token := c.Token(t, "fairlead", "fairlead", name)
		c.Apply(t, c.Kubectl(t, "create", "secret", "generic", "fairlead-token", "-n", "fairlead", "--dry-run=client", "-o", "yaml",
			"--from-literal=token="+token, "--from-literal=namespace=fairlead", "--from-file=ca.crt="+c.pki.path("ca.crt")))
	}
	mount("validity-1")
	c.Kubectl(t, "patch", "deployment", "fairlead", "-n", "fairlead", "-p", `{"spec": {"template": {"spec": {"automountServiceAccountToken": false,
		"volumes": [{"name": "token", "secret": {"secretName": "fairlead-token"}}],
		"containers": [{"name": "fairlead", "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}]}]}}}}`)
	c.Rollout(t, "fairlead", "deployment/fairlead")
	f.Serves(t, "web.example/")
	unharmed(t, under(t, f, 3*time.Second, func() {
		c.ExpireToken(t, "fairlead", "validity-1")
		// Requests that are open stay so. With the API server they end, and what it remembers of tokens.
		c.StopAPIServer()
		c.StartAPIServer(t)
		c.Apply(t, ingress("shop", "token", "fairlead", "web"))
		Eventually(t, time.Minute, "the API server refuses the token", func() bool {
			out, _ := c.Try("logs", "-n", "fairlead", "-l", "app.kubernetes.io/name=fairlead", "--tail=-1")
			return strings.Contains(out, "Unauthorized") || strings.Contains(out, "unauthorized")
		})
		for _, r := range replicas(t, c) {
			if a := r.get(10254, "admin/readyz"); a.Status != http.StatusOK {
				t.Errorf("/readyz of %s without a token: %+v, want 200", r.name, a)
			}
			if a := r.get(8080, "token.example/"); a.Status != http.StatusNotFound {
				t.Errorf("what is new, at %s without a token: %+v, want 404", r.name, a)
			}
		}
		mount("validity-2")
		begin := time.Now()
		Eventually(t, 3*time.Minute, "every replica catches up", func() bool {
			for _, r := range replicas(t, c) {
				if r.get(8080, "token.example/").Status != http.StatusOK {
					return false
				}
			}
			return true
		})
		t.Logf("all had caught up %v after a new token was there", time.Since(begin).Round(100*time.Millisecond))
	}))
}
