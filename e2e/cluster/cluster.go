// Package cluster starts a real Kubernetes for tests: etcd and kube-apiserver, and on demand the
// rest of the control plane and nodes that run Pods, built from their Go modules. See Main for
// where they run.
package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Options say what to start. The zero value is etcd and the API server.
type Options struct {
	// Stopped leaves the API server to be started by StartAPIServer.
	Stopped bool
	// Nodes is how many nodes to start. With any there are also kube-controller-manager,
	// kube-scheduler, CoreDNS and a LoadBalancer.
	Nodes int
	// FailuresOut is after how many checks in a row that fail the load balancer sends nothing new to a
	// node: 2 if it is 0.
	FailuresOut int
	// Overlay has packets of Pods carried from node to node within VXLAN, as Flannel does it, and the
	// addresses of Pods known to nobody else. Otherwise they are routed as they are, as Calico does it.
	Overlay bool
	// DualStack gives nodes, Pods and Services IPv6 addresses too. Not together with Overlay.
	DualStack bool
}

// Cluster is a control plane that runs until its test ends.
type Cluster struct {
	// IP is the address of the node: where backends listen and endpoints are.
	IP net.IP
	// Kubeconfig is the file for a user who may do everything.
	Kubeconfig string
	// Nodes run Pods, in order of their names.
	Nodes []*Node

	options   Options
	number    int // of the clusters of this process, from 1
	dir       string
	pki       *pki
	etcdPorts [2]int
	apiserver *Process // nil while it is stopped
	drops     atomic.Int32
}

// started counts the clusters of this process: each has a network of its own.
var started atomic.Int32

// Start starts a control plane for t and waits until it is ready.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	n := int(started.Add(1))
	if o.Overlay && o.DualStack {
		t.Fatal("Options: want Overlay or DualStack, got both")
	}
	at := nodeAddresses(n, 1, o.DualStack)
	c := &Cluster{options: o, number: n, IP: at[0].IP, dir: t.TempDir(), etcdPorts: [2]int{20000 + 2*n, 20001 + 2*n}}
	if err := addNode(fmt.Sprintf("node%d", n), at); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.pki, err = newPKI(c.dir, c.IP, fmt.Sprintf("https://%v:6443", c.IP)); err != nil {
		t.Fatal(err)
	}
	if c.Kubeconfig, err = c.pki.kubeconfig("admin", pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.pki.path("audit.yaml"), []byte(auditPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", c.etcdPorts[0]), fmt.Sprintf("http://127.0.0.1:%d", c.etcdPorts[1])
	startProcess(t, "etcd", binary(controlPlane), nil, "etcd",
		"--data-dir="+filepath.Join(c.dir, "etcd"), "--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer,
		"--unsafe-no-fsync", "--log-level=warn")
	// Whoever starts the API server again: it ends with the cluster, after all that needs it.
	t.Cleanup(func() {
		if c.apiserver != nil {
			c.apiserver.end(t)
		}
	})
	if !o.Stopped {
		c.StartAPIServer(t)
	}
	if o.Nodes > 0 {
		c.startControllers(t)
		c.startNodes(t, o.Nodes)
		c.startLoadBalancer(t)
		c.Apply(t, dnsManifest)
	}
	return c
}

// StartAPIServer starts the API server and waits until it is ready. It runs as long as the cluster.
func (c *Cluster) StartAPIServer(t testing.TB) {
	t.Helper()
	var err error
	c.apiserver, err = run("kube-apiserver", 0, binary(controlPlane), nil, "kube-apiserver",
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", c.etcdPorts[0]),
		// Not loopback: that is where Services of the cluster find it.
		"--advertise-address="+c.IP.String(), "--bind-address="+c.IP.String(), "--secure-port=6443",
		"--tls-cert-file="+c.pki.path("apiserver.crt"), "--tls-private-key-file="+c.pki.path("apiserver.key"),
		"--client-ca-file="+c.pki.path("ca.crt"), "--service-cluster-ip-range="+join(services(c.options.DualStack)),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.pki.path("sa.pub"), "--service-account-signing-key-file="+c.pki.path("sa.key"),
		"--audit-policy-file="+c.pki.path("audit.yaml"), "--audit-log-path="+c.auditLog(), "--audit-log-mode=blocking",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged",
		"--kubelet-client-certificate="+c.pki.path("kubelet-client.crt"), "--kubelet-client-key="+c.pki.path("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP", "--profiling=false")
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, 2*time.Minute, "the API server is ready", func() bool {
		if c.apiserver.Ended() {
			t.Fatalf("kube-apiserver ended:\n%s", tail(c.apiserver.Log(), 5000))
		}
		return c.ready()
	})
}

// startControllers starts what makes Pods of Deployments and chooses nodes for them.
func (c *Cluster) startControllers(t testing.TB) {
	t.Helper()
	for name, args := range map[string][]string{
		"kube-scheduler": nil,
		"kube-controller-manager": {
			"--use-service-account-credentials", "--service-account-private-key-file=" + c.pki.path("sa.key"),
			"--root-ca-file=" + c.pki.path("ca.crt"), "--service-cluster-ip-range=" + join(services(c.options.DualStack)),
			// Tests wait for what happens to the Pods of a node that is lost.
			"--node-monitor-grace-period=16s",
		},
	} {
		kubeconfig, err := c.pki.kubeconfig(name, pkix.Name{CommonName: "system:" + name})
		if err != nil {
			t.Fatal(err)
		}
		startProcess(t, name, binary(controlPlane), nil, append([]string{
			name, "--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig,
			"--authorization-kubeconfig=" + kubeconfig, "--leader-elect=false", "--secure-port=0",
		}, args...)...)
	}
}

// StopAPIServer kills the API server.
func (c *Cluster) StopAPIServer() {
	c.apiserver.Kill()
	c.apiserver = nil
}

// ready asks the API server, which answers anybody about that.
func (c *Cluster) ready() bool {
	pool := x509.NewCertPool()
	pool.AddCert(c.pki.ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	resp, err := client.Get(c.pki.server + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Kubectl runs kubectl as the user who may do everything and returns what it printed. The
// test fails when it fails.
func (c *Cluster) Kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.kubectl("", args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// Apply applies manifests with kubectl. The test fails when that fails.
func (c *Cluster) Apply(t testing.TB, manifests string) {
	t.Helper()
	if _, err := c.kubectl(manifests, "apply", "-f", "-"); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, manifests)
	}
}

// Try runs kubectl and returns what it printed to standard output, and its failure.
func (c *Cluster) Try(args ...string) (string, error) { return c.kubectl("", args...) }

func (c *Cluster) kubectl(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(controlPlane), append([]string{"kubectl", "--kubeconfig", c.Kubeconfig}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+c.dir) // for its caches
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// ServiceAccount returns a kubeconfig for a ServiceAccount that exists.
func (c *Cluster) ServiceAccount(t testing.TB, namespace, name string) string {
	t.Helper()
	token := c.Kubectl(t, "create", "token", name, "--namespace", namespace, "--duration", "2h")
	path, err := c.pki.tokenKubeconfig(namespace+"-"+name, strings.TrimSpace(token))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Eventually fails the test unless ok becomes true in time.
func Eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		<-tick.C
	}
}
