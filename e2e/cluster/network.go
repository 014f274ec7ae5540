package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
)

// nodeLink is a node's network interface.
const nodeLink = "eth0"

// plug makes a cable from a bridge of this network namespace to nodeLink of that of a process.
func plug(name, bridge string, pid int) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	cable := &netlink.Veth{LinkAttrs: attributes, PeerName: nodeLink, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("cable %s: %w", name, err)
	}
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", bridge, err)
	}
	if err := netlink.LinkSetMaster(cable, master); err != nil {
		return fmt.Errorf("cable %s to bridge %s: %w", name, bridge, err)
	}
	return netlink.LinkSetUp(cable)
}

// route leads a network to a gateway.
func route(to *net.IPNet, via net.IP) error {
	if err := netlink.RouteAdd(&netlink.Route{Dst: to, Gw: via}); err != nil {
		return fmt.Errorf("route %v via %v: %w", to, via, err)
	}
	return nil
}

// routeLink leads a network to what is plugged into a bridge.
func routeLink(to *net.IPNet, bridge string) error {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", bridge, err)
	}
	if err := netlink.RouteAdd(&netlink.Route{Dst: to, LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK}); err != nil {
		return fmt.Errorf("route %v to %s: %w", to, bridge, err)
	}
	return nil
}

// bypassBridgeFilter keeps what goes from node to node away from the filters of this namespace.
func bypassBridgeFilter() error {
	err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("0"), 0o644)
	if errors.Is(err, os.ErrNotExist) {
		return nil // this kernel has no such filter
	}
	return err
}
