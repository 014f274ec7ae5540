package k8s

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// RestConfig says how to reach the API server: by the kubeconfig file, with apiserverHost
// (a URL) in place of its server when that is given; with neither, as the Pod's ServiceAccount.
//
// Requests are protobuf. They are limited to a rate at which a thousand writes of status take
// seconds: the API server's own priority and fairness protects it.
func RestConfig(kubeconfig, apiserverHost string) (*rest.Config, error) {
	if kubeconfig == "" && apiserverHost == "" {
		cfg, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			err = errors.New("not in a cluster (KUBERNETES_SERVICE_HOST is not set): want a kubeconfig, an API server's URL or a directory of manifests")
		}
		return ours(cfg, err)
	}
	// Only the named file, never one that the environment names: a controller must not
	// serve another cluster by accident.
	return ours(clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig},
		&clientcmd.ConfigOverrides{ClusterInfo: clientcmdapi.Cluster{Server: apiserverHost}}).ClientConfig())
}

// UserConfig is RestConfig for a command that somebody runs to look at a cluster: where nothing is
// named and this is no Pod, the files of KUBECONFIG, or else ~/.kube/config, say what kubectl would
// reach. contextName is the context of the kubeconfig; empty for its current one.
func UserConfig(kubeconfig, contextName, apiserverHost string) (*rest.Config, error) {
	if kubeconfig == "" && contextName == "" && (apiserverHost != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != "") {
		return RestConfig(kubeconfig, apiserverHost)
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.WarnIfAllMissing = false
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{
		CurrentContext: contextName, ClusterInfo: clientcmdapi.Cluster{Server: apiserverHost},
	}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		err = errors.New("no cluster: " + strings.Join(rules.Precedence, ", ") + " names none, and this is no Pod of one: want a kubeconfig, an API server's URL or a directory of manifests")
	}
	return ours(cfg, err)
}

// ours completes a configuration; err is that of getting it.
func ours(cfg *rest.Config, err error) (*rest.Config, error) {
	if err != nil {
		return nil, fmt.Errorf("configuration of the API client: %w", err)
	}
	cfg.UserAgent = userAgent()
	cfg.QPS, cfg.Burst = 200, 400
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	cfg.WarningHandler = rest.NoWarnings{}
	return cfg, nil
}

// NewClients returns a client for everything, and one for leases alone. The rate that requests are limited
// to is each one's own: an Ingress that names thousands of Secrets makes as many requests, and behind
// those a Lease would not be renewed in time.
func NewClients(cfg *rest.Config) (all, leases kubernetes.Interface, err error) {
	for _, c := range []*kubernetes.Interface{&all, &leases} {
		client, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return nil, nil, fmt.Errorf("API client: %w", err)
		}
		*c = client
	}
	return all, leases, nil
}

func userAgent() string {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = strings.Trim(info.Main.Version, "()")
	}
	return "fairlead/" + version
}

// PodNamespace is the namespace that this process runs in: that of the variable POD_NAMESPACE,
// else of its ServiceAccount, else "default".
func PodNamespace() string {
	if ns := os.Getenv("POD_NAMESPACE"); ns != "" {
		return ns
	}
	if b, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace"); err == nil {
		if ns := strings.TrimSpace(string(b)); ns != "" {
			return ns
		}
	}
	return "default"
}

// PodName names this process among the replicas: by the variable POD_NAME, else by the host's name.
func PodName() string {
	if name := os.Getenv("POD_NAME"); name != "" {
		return name
	}
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "fairlead"
}
