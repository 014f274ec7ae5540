package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/ca"
)

// acmeCluster is a cluster with an authority in it, and replicas that order from it with the rights
// of deploy/.
type acmeCluster struct {
	*Cluster
	whole      *testing.T // whose end is that of the replicas
	kubeconfig string
	replicas   []*Instance
}

// acmeTime bounds a wait for certificates.
const acmeTime = 2 * time.Minute

// TestACME orders from a real authority, which validates and refuses nonces.
func TestACME(t *testing.T) {
	t.Parallel()
	c := &acmeCluster{Cluster: Start(t, Options{}), whole: t}
	dir := t.TempDir()
	deploy, err := filepath.Rel(dir, filepath.Join(moduleDir(), "..", "..", "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	kustomization := fmt.Sprintf("namespace: fairlead\nresources: [%[1]s/base]\ncomponents: [%[1]s/components/acme]\n", deploy)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Kubectl(t, "apply", "-k", dir)
	c.Kubectl(t, "create", "namespace", "shop")
	c.kubeconfig = c.ServiceAccount(t, "fairlead", "fairlead")
	authority := startCA(t, c, ca.Options{})

	one := hostsNamed("one", 50)
	t.Run("one replica", func(t *testing.T) {
		c.serve(t, authority, 1)
		c.order(t, "one", one)
		c.served(t, authority, one)
		c.ordersMade(t, authority, one)
		c.showsNoSecrets(t)
	})
	three := hostsNamed("three", 50)
	t.Run("three replicas", func(t *testing.T) {
		c.serve(t, authority, 3)
		c.order(t, "three", three)
		c.served(t, authority, append(one, three...))
		c.ordersMade(t, authority, append(one, three...))
	})
	killed := hostsNamed("killed", 15)
	t.Run("the orderer is killed", func(t *testing.T) {
		var waiting atomic.Int32
		authority.SetFault(func(r *http.Request, _ []byte) int {
			if strings.HasPrefix(r.URL.Path, ca.ChallengePath) {
				waiting.Add(1)
				<-r.Context().Done()
				return ca.Cut
			}
			return 0
		})
		c.order(t, "killed", killed)
		Eventually(t, acmeTime, "ten orders are under way", func() bool { return waiting.Load() >= 10 })
		holder := c.Kubectl(t, "get", "lease", "-n", "fairlead", "fairlead-acme", "-o", "jsonpath={.spec.holderIdentity}")
		c.kill(t, authority, holder)
		authority.SetFault(nil)
		c.served(t, authority, killed)
		c.ordersMade(t, authority, append(append(one, three...), killed...))
	})
	t.Run("renewal", func(t *testing.T) {
		// Another authority issues anew, and what the former has issued is served until then.
		short := startCA(t, c, ca.Options{Life: 40 * time.Second})
		c.serve(t, short, 3, "--acme-renew-before=25s")
		hosts := []string{one[0], three[0], killed[0]}
		roots := authority.Roots().Clone()
		addRoots(t, roots, short)
		renewed(t, c, roots, hosts)
	})
	refused(t, c.Cluster, "fairlead")
}

func addRoots(t *testing.T, pool *x509.CertPool, authority *ca.CA) {
	t.Helper()
	if !pool.AppendCertsFromPEM(authority.IssuerRoot()) {
		t.Fatal("the authority has no root")
	}
}

func hostsNamed(name string, n int) []string {
	hosts := make([]string, n)
	for i := range hosts {
		hosts[i] = fmt.Sprintf("%s-%d.example", name, i)
	}
	return hosts
}

func startCA(t *testing.T, c *acmeCluster, o ca.Options) *ca.CA {
	t.Helper()
	o.Address = c.IP.String()
	authority, err := ca.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(authority.Close)
	return authority
}

// serve starts n replicas in place of those that there are.
func (c *acmeCluster) serve(t *testing.T, authority *ca.CA, n int, args ...string) {
	t.Helper()
	for _, r := range c.replicas {
		if err := r.Terminate(t, time.Minute); err != nil {
			t.Error(err)
		}
	}
	c.replicas = nil
	roots := filepath.Join(c.dir, "acme-ca.pem")
	if err := os.WriteFile(roots, authority.ServerRoot(), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c.replicas = append(c.replicas, c.Serve(c.whole, InstanceOptions{
			Kubeconfig: c.kubeconfig, Namespace: "fairlead", Name: fmt.Sprintf("fairlead-%d", i), Args: append([]string{
				"--acme", "--acme-directory=" + authority.Directory(), "--acme-ca-file=" + roots, "--publish-service=fairlead/fairlead", "--election-ttl=4s",
			}, args...),
		}))
	}
	c.lead(t, authority)
	for _, r := range c.replicas {
		r.WaitReady(t)
	}
}

// lead has the authority, and the Service, lead to the replicas that there are.
func (c *acmeCluster) lead(t *testing.T, authority *ca.CA) {
	t.Helper()
	var to []string
	var slices strings.Builder
	for _, r := range c.replicas {
		to = append(to, r.addresses["http"])
		_, port, err := net.SplitHostPort(r.addresses["http"])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&slices, `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s, namespace: fairlead, labels: {kubernetes.io/service-name: fairlead}}
addressType: IPv4
ports: [{name: http, port: %[2]s}]
endpoints: [{addresses: ["%[3]s"], conditions: {ready: true}, targetRef: {kind: Pod, name: %[1]s, namespace: fairlead}}]
---
`, r.name, port, c.IP)
	}
	authority.HTTP.Lead(to...)
	c.Apply(t, slices.String())
}

// order makes an Ingress that asks for the certificates of hosts, redirects and refuses everybody.
func (c *acmeCluster) order(t *testing.T, name string, hosts []string) {
	t.Helper()
	var rules strings.Builder
	for _, host := range hosts {
		fmt.Fprintf(&rules, "  - {host: %s, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}\n", host)
	}
	c.Apply(t, fmt.Sprintf(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: %s
  namespace: shop
  annotations: {fairlead.dev/acme: "true", fairlead.dev/ssl-redirect: "true", fairlead.dev/whitelist-source-range: 192.0.2.1/32}
spec:
  ingressClassName: fairlead
  rules:
%s`, name, rules.String()))
}

// withCertificates are the hosts that a replica has certificates for.
func withCertificates(i *Instance) map[string]bool {
	var bindings []struct {
		Host         string
		Certificates []json.RawMessage
	}
	have := make(map[string]bool)
	if json.Unmarshal([]byte(i.Admin("/debug/certs").Body), &bindings) == nil {
		for _, b := range bindings {
			have[b.Host] = len(b.Certificates) > 0
		}
	}
	return have
}

// served waits until all replicas serve certificates of the authority for all hosts. Each host is
// served by the last 5 s at most after it was by the first.
func (c *acmeCluster) served(t *testing.T, authority *ca.CA, hosts []string) {
	t.Helper()
	first := make(map[string]time.Time)
	var slowest time.Duration
	began := time.Now()
	done := make(map[string]bool)
	Eventually(t, acmeTime, fmt.Sprintf("%d hosts have certificates", len(hosts)), func() bool {
		asked := time.Now()
		have := make([]map[string]bool, len(c.replicas))
		var wg sync.WaitGroup
		for i, r := range c.replicas {
			wg.Go(func() { have[i] = withCertificates(r) })
		}
		wg.Wait()
		for _, host := range hosts {
			n := 0
			for _, h := range have {
				if h[host] {
					n++
				}
			}
			if n > 0 && first[host].IsZero() {
				first[host] = asked
			}
			if n == len(have) && !done[host] {
				done[host] = true
				slowest = max(slowest, asked.Sub(first[host]))
			}
		}
		return len(done) == len(hosts)
	})
	t.Logf("%d hosts after %v; the last replica %v after the first at most", len(hosts), time.Since(began).Round(time.Millisecond), slowest.Round(time.Millisecond))
	if slowest > 5*time.Second {
		t.Errorf("a replica served a certificate %v after another, want 5 s at most", slowest)
	}
	for _, r := range c.replicas {
		for _, host := range hosts {
			if _, err := r.handshake(host, authority.Roots()); err != nil {
				t.Errorf("%s of %s: %v", host, r.name, err)
			}
		}
	}
}

// handshake is what a client that trusts roots gets.
func (i *Instance) handshake(host string, roots *x509.CertPool) (*x509.Certificate, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 30 * time.Second}, Config: &tls.Config{ServerName: host, RootCAs: roots}}
	conn, err := d.Dial("tcp", i.addresses["https"])
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// ordersMade checks that one order was made for each host, and for no others.
func (c *acmeCluster) ordersMade(t *testing.T, authority *ca.CA, hosts []string) {
	t.Helper()
	orders := authority.Orders()
	for _, host := range hosts {
		if orders[host] != 1 {
			t.Errorf("%d orders for %s, want 1", orders[host], host)
		}
	}
	if len(orders) != len(hosts) {
		t.Errorf("orders for %d hosts, want %d", len(orders), len(hosts))
	}
	left := func() string {
		return c.Kubectl(t, "get", "secrets", "-n", "fairlead", "-l", "fairlead.dev/acme-kind=order", "-o", "name")
	}
	Eventually(t, soon, "no order is left", func() bool { return left() == "" })
}

// kill kills the replica that holds the Lease.
func (c *acmeCluster) kill(t *testing.T, authority *ca.CA, holder string) {
	t.Helper()
	var live []*Instance
	for _, r := range c.replicas {
		if strings.HasPrefix(holder, r.name+"_") {
			r.Kill()
			c.Kubectl(t, "delete", "endpointslice", "-n", "fairlead", r.name)
			continue
		}
		live = append(live, r)
	}
	if len(live) != 2 {
		t.Fatalf("the Lease is held by %q, which is no replica", holder)
	}
	c.replicas = live
	c.lead(t, authority)
}

// renewed makes handshakes until all hosts have had three certificates. None may fail.
func renewed(t *testing.T, c *acmeCluster, roots *x509.CertPool, hosts []string) {
	t.Helper()
	serials := make(map[string]map[string]bool)
	handshakes := 0
	Eventually(t, acmeTime, "every certificate is renewed", func() bool {
		all := true
		for _, host := range hosts {
			for _, r := range c.replicas {
				leaf, err := r.handshake(host, roots)
				if err != nil {
					t.Fatalf("handshake %d, for %s with %s: %v", handshakes, host, r.name, err)
				}
				handshakes++
				if serials[host] == nil {
					serials[host] = make(map[string]bool)
				}
				serials[host][leaf.SerialNumber.String()] = true
			}
			all = all && len(serials[host]) >= 3
		}
		return all
	})
	t.Logf("%d handshakes, none failed", handshakes)
}

// showsNoSecrets looks for keys and answers in what is logged and shown.
func (c *acmeCluster) showsNoSecrets(t *testing.T) {
	t.Helper()
	var secrets struct {
		Items []struct{ Data map[string][]byte }
	}
	text := c.Kubectl(t, "get", "secrets", "-n", "fairlead", "-l", "fairlead.dev/acme", "-o", "json")
	if err := json.Unmarshal([]byte(text), &secrets); err != nil || len(secrets.Items) < 51 {
		t.Fatalf("%d Secrets, %v; want an account and 50 certificates", len(secrets.Items), err)
	}
	shown := c.replicas[0].Log()
	for _, path := range []string{"/metrics", "/debug/problems", "/debug/certs", "/debug/table", "/"} {
		shown += c.replicas[0].Admin(path).Body
	}
	for _, s := range secrets.Items {
		for line := range strings.Lines(string(s.Data["tls.key"])) {
			if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "-----") && strings.Contains(shown, line) {
				t.Fatal("a key is shown")
			}
		}
	}
}
