package cluster

import (
	"fmt"
	"net"
)

// The networks of clusters. Each has IPv4 addresses, and with Options.DualStack IPv6 ones as well: the
// second of each list.

// nodeAddresses are those of a host at the switch of cluster c: 1 is the switch itself, where the
// API server and the tests are.
func nodeAddresses(c, host int, dualStack bool) []*net.IPNet {
	return networks(dualStack, fmt.Sprintf("10.77.%d.%d/24", c, host), fmt.Sprintf("fd77:%x::%x/64", c, host))
}

// podNetworks are those of the Pods of a node.
func podNetworks(c, node int, dualStack bool) []*net.IPNet {
	return networks(dualStack, fmt.Sprintf("10.%d.%d.0/24", 128+c, node), fmt.Sprintf("fd80:%x:%x::/64", c, node))
}

// allPods are those of the Pods of all nodes.
func allPods(c int, dualStack bool) []*net.IPNet {
	return networks(dualStack, fmt.Sprintf("10.%d.0.0/16", 128+c), fmt.Sprintf("fd80:%x::/48", c))
}

// services are those of Services.
func services(dualStack bool) []*net.IPNet {
	return networks(dualStack, "10.96.0.0/16", "fd96::/112")
}

// balanced are those that the load balancer gives addresses of.
func balanced(c int, dualStack bool) []*net.IPNet {
	return networks(dualStack, fmt.Sprintf("10.78.%d.0/24", c), fmt.Sprintf("fd78:%x::/64", c))
}

// networks parses texts of the form ADDRESS/LENGTH. The address may be one within the network.
func networks(dualStack bool, v4, v6 string) []*net.IPNet {
	texts := []string{v4}
	if dualStack {
		texts = append(texts, v6)
	}
	var all []*net.IPNet
	for _, text := range texts {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			panic(err) // a mistake in this file
		}
		all = append(all, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	return all
}

// join writes networks as flags of Kubernetes take them.
func join(networks []*net.IPNet) string {
	text := ""
	for i, n := range networks {
		if i > 0 {
			text += ","
		}
		text += n.String()
	}
	return text
}
