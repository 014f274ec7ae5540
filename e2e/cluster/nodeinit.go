package cluster

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// nodeVariable holds the nodeConfig of the process that is to be the first one of a node.
const nodeVariable = "FAIRLEAD_E2E_NODE"

// initNode is the first process of a node, in namespaces of its own. It does not return.
//
// It runs twice: first it makes a cgroup in every hierarchy, goes there and leaves the
// namespace of cgroups, so that everything the node makes lies below; then it is the node.
func initNode() {
	runtime.LockOSThread()
	var config nodeConfig
	if err := json.Unmarshal([]byte(os.Getenv(nodeVariable)), &config); err != nil {
		fatal(err)
	}
	if os.Getenv("FAIRLEAD_E2E_STAGE") == "cgroup" {
		if err := enterCgroups(config.CgroupName); err != nil {
			fatal(fmt.Errorf("cgroups of %s: %w", config.Name, err))
		}
		self, err := os.Executable()
		if err != nil {
			fatal(err)
		}
		fatal(syscall.Exec(self, os.Args[:1], []string{nodeVariable + "=" + os.Getenv(nodeVariable), "PATH=" + os.Getenv("PATH")}))
	}
	steps := []struct {
		name string
		do   func(nodeConfig) error
	}{
		{"mounts", mountNode}, {"network", connectNode}, {"containerd", startContainerd}, {"programs", startKubernetes},
	}
	for _, step := range steps {
		if err := step.do(config); err != nil {
			fatal(fmt.Errorf("%s of %s: %w", step.name, config.Name, err))
		}
	}
	for { // what no other process waits for is ours
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil {
			time.Sleep(time.Second) //nolint:forbidigo // there is no child to wait for
		}
	}
}

// hierarchies are those of cgroups of version 1, by the names of their folders, with the
// cgroup of this process in each.
func hierarchies() (map[string]string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	found := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && parts[1] != "" {
			found[strings.TrimPrefix(parts[1], "name=")] = parts[2]
		}
	}
	return found, nil
}

const cgroupRoot = "/sys/fs/cgroup"

func enterCgroups(name string) error {
	found, err := hierarchies()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return enterCgroup2(name)
	}
	for hierarchy, own := range found {
		parent := filepath.Join(cgroupRoot, hierarchy, own)
		if _, err := os.Stat(parent); err != nil {
			parent = filepath.Join(cgroupRoot, hierarchy) // we are in a namespace already
		}
		group := filepath.Join(parent, name)
		if err := os.MkdirAll(group, 0o755); err != nil {
			return err
		}
		if hierarchy == "cpuset" {
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := copyFile(filepath.Join(parent, file), filepath.Join(group, file)); err != nil {
					return err
				}
			}
		}
		if err := enter(group); err != nil {
			return err
		}
	}
	return syscall.Unshare(syscall.CLONE_NEWCGROUP)
}

// enterCgroup2 is the same for version 2, where a cgroup that hands controllers on may have no
// process of its own: those of the node live in a leaf.
func enterCgroup2(name string) error {
	group := filepath.Join(cgroupRoot, name)
	leaf := filepath.Join(group, "init")
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return err
	}
	if err := enter(group); err != nil {
		return err
	}
	if err := syscall.Unshare(syscall.CLONE_NEWCGROUP); err != nil {
		return err
	}
	return enter(leaf)
}

// enter moves this process to a cgroup.
func enter(group string) error {
	return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o644)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

func mountNode(config nodeConfig) error {
	if err := syscall.Sethostname([]byte(config.Name)); err != nil {
		return err
	}
	found, err := hierarchies()
	if err != nil {
		return err
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	mount := func(kind, at, options string) {
		if err == nil {
			if err = os.MkdirAll(at, 0o755); err == nil {
				if err = syscall.Mount(kind, at, kind, 0, options); err != nil {
					err = fmt.Errorf("mount %s at %s: %w", kind, at, err)
				}
			}
		}
	}
	mount("proc", "/proc", "")
	_ = syscall.Unmount(cgroupRoot, syscall.MNT_DETACH)
	mount("sysfs", "/sys", "")
	if len(found) == 0 {
		mount("cgroup2", cgroupRoot, "")
	} else {
		mount("tmpfs", cgroupRoot, "mode=755")
	}
	for hierarchy := range found {
		options := hierarchy
		if hierarchy == "systemd" {
			options = "none,name=systemd"
		}
		mount("cgroup", filepath.Join(cgroupRoot, hierarchy), options)
	}
	mount("tmpfs", "/run", "mode=755")
	mount("tmpfs", logDir, "mode=755,size="+logSize)
	if err != nil {
		return err
	}
	for _, dir := range stateDirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(filepath.Join(config.Dir, dir), dir, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for _, dir := range []string{"/run/lock", "/run/netns"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	// What kubelet mounts has to be seen by containers.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("shared mounts: %w", err)
	}
	mtu := 0
	if config.Overlay {
		mtu = overlayMTU
	}
	text, err := podNetworkConfig(config.Pods, mtu)
	if err != nil {
		return err
	}
	return os.WriteFile("/etc/cni/net.d/10-pods.conflist", text, 0o644)
}

func connectNode(config nodeConfig) error {
	if err := upLink("lo"); err != nil {
		return err
	}
	settings := []string{"ipv4/ip_forward", "ipv4/conf/all/route_localnet"}
	if len(config.Addresses) > 1 {
		settings = append(settings, "ipv6/conf/all/forwarding")
	}
	for _, setting := range settings {
		if err := os.WriteFile("/proc/sys/net/"+setting, []byte("1"), 0o644); err != nil {
			return err
		}
	}
	var link netlink.Link
	for deadline := time.Now().Add(time.Minute); ; {
		var err error
		if link, err = netlink.LinkByName(nodeLink); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("link %s: %w", nodeLink, err)
		}
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the other end plugs the cable in
	}
	if err := addAddresses(link, config.Addresses); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, gateway := range config.Gateways {
		everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		if gateway.To4() == nil {
			everywhere = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
		}
		if err := route(everywhere, gateway); err != nil {
			return err
		}
	}
	if config.Overlay {
		return connectOverlay(config, link)
	}
	for _, peer := range config.Peers {
		for family, pods := range peer.Pods {
			if err := route(pods, peer.Addresses[family].IP); err != nil {
				return err
			}
		}
	}
	return nil
}

func startContainerd(config nodeConfig) error {
	if err := startProgram(config, "containerd", "containerd", "--config", filepath.Join(config.Dir, "containerd.toml")); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		out, err := exec.Command("ctr", "version").CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready: %w: %s", err, out)
		}
		time.Sleep(50 * time.Millisecond) //nolint:forbidigo // containerd starts
	}
	for _, image := range config.Images {
		if out, err := exec.Command("ctr", "--namespace", "k8s.io", "images", "import", image).CombinedOutput(); err != nil {
			return fmt.Errorf("import %s: %w: %s", image, err, out)
		}
	}
	return nil
}

func startKubernetes(config nodeConfig) error {
	err := startProgram(config, "kubelet", config.Program, "kubelet", "--config="+filepath.Join(config.Dir, "kubelet.yaml"),
		"--kubeconfig="+filepath.Join(config.Dir, "kubelet.kubeconfig"), "--hostname-override="+config.Name, "--node-ip="+nodeIPs(config.Addresses))
	if err != nil {
		return err
	}
	return startProgram(config, "kube-proxy", config.Program, "kube-proxy",
		"--config="+filepath.Join(config.Dir, "kube-proxy.yaml"), "--hostname-override="+config.Name)
}

func nodeIPs(addresses []*net.IPNet) string {
	var ips []string
	for _, a := range addresses {
		ips = append(ips, a.IP.String())
	}
	return strings.Join(ips, ",")
}

// startProgram starts a program that runs until the node ends; its output goes to NAME.log.
func startProgram(config nodeConfig, name, path string, args ...string) error {
	log, err := os.Create(filepath.Join(config.Dir, name+".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	return cmd.Start()
}
