package cluster

import (
	"encoding/json"
	"net"
)

// logDir is where the output of containers goes: a disk of its own, which FillDisk can fill.
const (
	logDir  = "/var/log/pods"
	logSize = "256m" // what kubelet keeps of the Pods of a test is less
)

// stateDirs are the folders of a node that must lie on a disk.
var stateDirs = []string{"/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/var/log/containers", "/etc/cni/net.d"}

// kubeletConfig wants the files of the authority, of the certificate and of its key.
//
// Nothing is ever evicted or collected, since nothing could pull an image again; cgroups are of
// version 1 where that is what the machine has.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %q}
authorization: {mode: Webhook}
tlsCertFile: %q
tlsPrivateKeyFile: %q
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: ""
failSwapOn: false
localStorageCapacityIsolation: false
evictionHard: {memory.available: 50Mi, nodefs.available: 0%%, imagefs.available: 0%%, nodefs.inodesFree: 0%%}
imageGCHighThresholdPercent: 100
syncFrequency: 10s
nodeStatusUpdateFrequency: 4s
oomScoreAdj: 0
`

// kubeProxyConfig wants the kubeconfig and the network of all Pods.
const kubeProxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %q}
mode: nftables
clusterCIDR: %q
conntrack: {maxPerCore: 0}
oomScoreAdj: 0
`

// containerdConfig: machines for tests often lack CAP_SYS_RESOURCE, without which runc may not
// lower the score for the killer of processes that lack memory.
const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "test.local/pause:1"
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`

// podNetworkConfig is what the network plugin of a node is told. Between nodes there is no
// translation of addresses; mtu is 0 for that of the nodes' own network.
func podNetworkConfig(pods []*net.IPNet, mtu int) ([]byte, error) {
	type object = map[string]any
	var ranges [][]object
	var routes []object
	for _, network := range pods {
		ranges = append(ranges, []object{{"subnet": network.String()}})
		everywhere := "0.0.0.0/0"
		if network.IP.To4() == nil {
			everywhere = "::/0"
		}
		routes = append(routes, object{"dst": everywhere})
	}
	return json.Marshal(object{"cniVersion": "1.0.0", "name": "pods", "plugins": []object{
		{
			"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "mtu": mtu,
			"ipam": object{"type": "host-local", "ranges": ranges, "routes": routes},
		},
		{"type": "portmap", "capabilities": object{"portMappings": true}},
	}})
}
