package cluster

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestOverlay: where packets of Pods are carried from node to node within VXLAN, backends on
// another node are reached, and bodies pass that fill packets.
func TestOverlay(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 2, Overlay: true})
	f := installBase(t, c)
	on := c.Kubectl(t, "get", "pods", "-A", "-l", "app.kubernetes.io/name=fairlead", "-o", "jsonpath={.items[*].spec.nodeName}")
	if !strings.Contains(on, "node1") || !strings.Contains(on, "node2") {
		t.Fatalf("the replicas are on %s, want one on each node", on)
	}
	before := carried(t, c.Nodes[0])
	reached := map[string]bool{}
	for range 40 {
		resp, err := f.client.Get("http://web.example/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		reached[resp.Header.Get("Echo-Backend")] = true
		f.client.CloseIdleConnections()
	}
	if len(reached) != 2 {
		t.Errorf("reached %v, want both backends", reached)
	}
	const size = 1 << 20
	for range 8 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://web.example/", strings.NewReader(strings.Repeat("b", size)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Echo-Size", fmt.Sprint(size))
		resp, err := f.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
			t.Errorf("%d bytes, %v, want %d", n, err, size)
		}
		_ = resp.Body.Close()
		f.client.CloseIdleConnections()
	}
	if after := carried(t, c.Nodes[0]); after < before+100 {
		t.Errorf("%d packets within VXLAN before, %d after: the overlay was not used", before, after)
	}
}

// carried counts the packets that a node got over the overlay.
func carried(t *testing.T, n *Node) (packets int) {
	t.Helper()
	out, err := n.Run("cat", "/sys/class/net/"+overlayLink+"/statistics/rx_packets")
	if err == nil {
		_, err = fmt.Sscan(out, &packets)
	}
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// TestDualStack: clients come by either family whatever that of the backend is, its address is passed on, and
// the status has an address of each.
func TestDualStack(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Nodes: 2, DualStack: true})
	c.Kubectl(t, "create", "namespace", "shop")
	var objects strings.Builder
	for family, name := range map[string]string{"IPv4": "four", "IPv6": "six"} {
		objects.WriteString(strings.Replace(webService("shop", name), "selector: {app: "+name+"}", "ipFamilies: ["+family+"], selector: {app: web}", 1))
		objects.WriteString(ingress("shop", name, "fairlead", name))
	}
	c.Apply(t, objects.String())
	installBase(t, c)
	c.Kubectl(t, "patch", "service", "fairlead", "-n", "fairlead", "-p", `{"spec": {"ipFamilyPolicy": "RequireDualStack"}}`)
	var ips []string
	Eventually(t, soon, "the Service has two addresses", func() bool {
		ips = strings.Fields(c.Kubectl(t, "get", "service", "fairlead", "-n", "fairlead", "-o", addresses))
		return len(ips) == 2
	})
	clients := nodeAddresses(c.number, 1, true)
	for i, address := range ips {
		f := newInstalled(t, address)
		for _, host := range []string{"four.example/", "six.example/"} {
			f.Serves(t, host)
			if a := f.Get(host); !strings.Contains(a.Body, `"X-Forwarded-For":["`+clients[i].IP.String()+`"]`) {
				t.Errorf("%s by %s: the backend does not see the address of the client, %v: %s", host, address, clients[i].IP, a.Body)
			}
		}
	}
	Eventually(t, soon, "the status has both addresses", func() bool { return published(t, c, "shop", "six") == strings.Join(ips, " ") })
}

// installBase installs the base and a backend of two Pods, waits until "web.example" is served, and
// returns how it is reached.
func installBase(t *testing.T, c *Cluster) *Installed {
	t.Helper()
	c.Kubectl(t, "apply", "-k", deployDir("base"))
	if _, err := c.Try("get", "namespace", "shop"); err != nil {
		c.Kubectl(t, "create", "namespace", "shop")
	}
	c.Apply(t, webDeployment("shop", "web", 2)+webService("shop", "web")+ingress("shop", "web", "fairlead", "web"))
	c.Rollout(t, "kube-system", "deployment/coredns")
	c.Rollout(t, "shop", "deployment/web")
	c.Rollout(t, "fairlead", "deployment/fairlead")
	t.Cleanup(func() { c.tellOf(t, "fairlead") })
	f := c.Installed(t, "fairlead", "fairlead")
	f.Serves(t, "web.example/")
	return f
}
