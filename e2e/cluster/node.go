package cluster

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// Node is a machine of a cluster, as far as namespaces of every kind make one: kubelet,
// kube-proxy and containerd with Debian's runc and network plugins. Its first process is this
// test binary (see initNode); ending that ends everything on it.
type Node struct {
	Name string
	IP   net.IP

	addresses []*net.IPNet // IP, and with dual stack one of IPv6

	cluster *Cluster
	init    *Process
	link    string // the end of its cable at the switch
	dir     string // on disk: state and logs
}

// nodeConfig is what the first process of a node is told.
type nodeConfig struct {
	Name, Dir  string
	Addresses  []*net.IPNet
	Gateways   []net.IP     // the switch, where the API server is
	Pods       []*net.IPNet // networks of its Pods
	AllPods    []*net.IPNet // of those of all nodes
	Peers      []peer
	Overlay    bool
	CgroupName string
	Program    string   // kubelet and kube-proxy
	Images     []string // archives to import
}

// peer is another node, as a node has to know it.
type peer struct {
	Number    int
	Addresses []*net.IPNet
	Pods      []*net.IPNet
}

// startNodes starts nodes 1 to n and waits until the API server has them as Ready.
func (c *Cluster) startNodes(t testing.TB, n int) {
	t.Helper()
	if err := bypassBridgeFilter(); err != nil {
		t.Fatal(err)
	}
	images, err := archives()
	if err != nil {
		t.Fatal(err)
	}
	dual := c.options.DualStack
	var peers []peer
	for i := 1; i <= n; i++ {
		at := nodeAddresses(c.number, 10+i, dual)
		peers = append(peers, peer{Number: i, Addresses: at, Pods: podNetworks(c.number, i, dual)})
		c.Nodes = append(c.Nodes, &Node{
			Name: fmt.Sprintf("node%d", i), IP: at[0].IP, addresses: at, cluster: c,
			link: fmt.Sprintf("c%dn%d", c.number, i), dir: filepath.Join(c.dir, fmt.Sprintf("node%d", i)),
		})
	}
	for i, node := range c.Nodes {
		config := nodeConfig{
			Name: node.Name, Dir: node.dir, Addresses: node.addresses, Pods: peers[i].Pods, AllPods: allPods(c.number, dual), Overlay: c.options.Overlay,
			CgroupName: fmt.Sprintf("%s-%d-%s", cgroupPrefix(os.Getppid()), c.number, node.Name),
			Program:    binary(controlPlane), Images: images,
		}
		for _, gateway := range nodeAddresses(c.number, 1, dual) {
			config.Gateways = append(config.Gateways, gateway.IP)
		}
		for j, other := range peers {
			if j != i {
				config.Peers = append(config.Peers, other)
			}
		}
		node.start(t, config)
		for family, pods := range config.Pods {
			if c.options.Overlay {
				break // only nodes know Pods
			}
			if err := route(pods, node.addresses[family].IP); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, node := range c.Nodes {
		Eventually(t, 2*time.Minute, node.Name+" is Ready", func() bool {
			if node.init.Ended() {
				t.Fatalf("%s ended:\n%s", node.Name, tail(node.init.Log(), 5000))
			}
			out, err := c.Try("get", "node", node.Name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
			return err == nil && out == "True"
		})
	}
}

// start starts the node's first process and plugs its cable in.
func (n *Node) start(t testing.TB, config nodeConfig) {
	t.Helper()
	if err := n.write(); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n.init = startNamespaced(t, n.Name, self, []string{nodeVariable + "=" + string(text), "FAIRLEAD_E2E_STAGE=cgroup"})
	t.Cleanup(func() {
		if t.Failed() {
			for _, log := range []string{"kubelet", "containerd", "kube-proxy"} {
				text, err := os.ReadFile(filepath.Join(n.dir, log+".log"))
				if err == nil {
					t.Logf("%s of %s, its end:\n%s", log, n.Name, tail(string(text), 3000))
				}
			}
		}
	})
	if err := plug(n.link, fmt.Sprintf("node%d", n.cluster.number), n.init.Pid()); err != nil {
		t.Fatal(err)
	}
}

// write writes the files that the programs of the node read.
func (n *Node) write() error {
	for _, dir := range stateDirs {
		if err := os.MkdirAll(filepath.Join(n.dir, dir), 0o755); err != nil {
			return err
		}
	}
	p := n.cluster.pki
	if _, _, err := p.issue("kubelet-"+n.Name, pkix.Name{CommonName: n.Name}, []string{n.Name}, n.IP, net.IPv4(127, 0, 0, 1)); err != nil {
		return err
	}
	kubelet, err := p.kubeconfig("node-"+n.Name, pkix.Name{CommonName: "system:node:" + n.Name, Organization: []string{"system:nodes"}})
	if err != nil {
		return err
	}
	proxy, err := p.kubeconfig("kube-proxy-"+n.Name, pkix.Name{CommonName: "system:kube-proxy"})
	if err != nil {
		return err
	}
	pods := join(allPods(n.cluster.number, n.cluster.options.DualStack))
	for name, text := range map[string]string{
		"kubelet.kubeconfig":    read(kubelet),
		"kube-proxy.kubeconfig": read(proxy),
		"kubelet.yaml":          fmt.Sprintf(kubeletConfig, p.path("ca.crt"), p.path("kubelet-"+n.Name+".crt"), p.path("kubelet-"+n.Name+".key")),
		"kube-proxy.yaml":       fmt.Sprintf(kubeProxyConfig, filepath.Join(n.dir, "kube-proxy.kubeconfig"), pods),
		"containerd.toml":       containerdConfig,
	} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// Run runs a program on the node and returns what it printed.
func (n *Node) Run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(n.init.Pid()), "--all", "--"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s on %s: %w: %s", strings.Join(args, " "), n.Name, err, tail(out.String(), 2000))
	}
	return out.String(), nil
}

// Kill ends everything on the node at once, as a loss of power does.
func (n *Node) Kill() { n.init.Kill() }

// CutOff pulls the node's cable; Plug plugs it in again.
func (n *Node) CutOff() error { return n.setLink(netlink.LinkSetDown) }

// Plug undoes CutOff.
func (n *Node) Plug() error { return n.setLink(netlink.LinkSetUp) }

func (n *Node) setLink(to func(netlink.Link) error) error {
	link, err := netlink.LinkByName(n.link)
	if err != nil {
		return fmt.Errorf("cable of %s: %w", n.Name, err)
	}
	return to(link)
}
