package cluster

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The overlay is VXLAN with fixed tables, as Flannel sets it up: each node has a link whose
// address is that of its Pods' network, and knows which node each of the others is at.
const (
	overlayLink = "vxlan0"
	overlayPort = 8472
	overlayMTU  = 1450 // what the envelope leaves of 1500
)

// overlayMAC is the hardware address of a node's end.
func overlayMAC(node int) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, byte(node)} }

// connectOverlay makes the overlay of a node, over the link that it is plugged in with.
func connectOverlay(config nodeConfig, over netlink.Link) error {
	pods, number := config.Pods[0], int(config.Pods[0].IP.To4()[2])
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU, attributes.HardwareAddr = overlayLink, overlayMTU, overlayMAC(number)
	link := &netlink.Vxlan{
		LinkAttrs: attributes, VxlanId: 1, Port: overlayPort,
		SrcAddr: config.Addresses[0].IP, VtepDevIndex: over.Attrs().Index,
	}
	if err := netlink.LinkAdd(link); err != nil {
		return fmt.Errorf("link %s: %w", overlayLink, err)
	}
	if err := addAddresses(link, []*net.IPNet{{IP: pods.IP, Mask: net.CIDRMask(32, 32)}}); err != nil {
		return fmt.Errorf("link %s: %w", overlayLink, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, p := range config.Peers {
		index, mac := link.Attrs().Index, overlayMAC(p.Number)
		entries := []*netlink.Neigh{
			{LinkIndex: index, State: netlink.NUD_PERMANENT, Type: unix.RTN_UNICAST, IP: p.Pods[0].IP, HardwareAddr: mac},
			{LinkIndex: index, State: netlink.NUD_PERMANENT, Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF, IP: p.Addresses[0].IP, HardwareAddr: mac},
		}
		for _, entry := range entries {
			if err := netlink.NeighSet(entry); err != nil {
				return fmt.Errorf("neighbour %v at %v: %w", entry.IP, mac, err)
			}
		}
		to := &netlink.Route{LinkIndex: index, Dst: p.Pods[0], Gw: p.Pods[0].IP, Flags: int(netlink.FLAG_ONLINK)}
		if err := netlink.RouteAdd(to); err != nil {
			return fmt.Errorf("route %v over %s: %w", p.Pods[0], overlayLink, err)
		}
	}
	// Nobody but nodes knows Pods: to everybody else they are their node.
	return nft(fmt.Sprintf("table ip overlay { chain out { type nat hook postrouting priority 100; ip saddr %[1]v ip daddr != %[1]v oifname %[2]s masquerade; }; }", config.AllPods[0], nodeLink))
}
