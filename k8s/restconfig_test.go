package k8s

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testKubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`

func TestRestConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(testKubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	// The environment names another file and no cluster: neither may matter.
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, test := range []struct {
		name, kubeconfig, host string
		want                   string // the server
		err                    string // part of the error
	}{
		{"kubeconfig", file, "", "https://192.0.2.1:6443", ""},
		{"kubeconfig, other server", file, "http://127.0.0.1:8001", "http://127.0.0.1:8001", ""},
		{"server alone", "", "http://127.0.0.1:8001", "http://127.0.0.1:8001", ""},
		{"missing file", file + "x", "", "", "kubeconfigx"},
		{"nothing", "", "", "", "not in a cluster"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, err := RestConfig(test.kubeconfig, test.host)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if config.Host != test.want {
				t.Errorf("server %q, want %q", config.Host, test.want)
			}
			if config.ContentType != "application/vnd.kubernetes.protobuf" || config.Timeout != 0 || !strings.HasPrefix(config.UserAgent, "fairlead/") {
				t.Errorf("config %+v: want protobuf, no timeout for watches, our user agent", config)
			}
		})
	}
}

func TestPod(t *testing.T) {
	t.Setenv("POD_NAME", "fairlead-0")
	t.Setenv("POD_NAMESPACE", "ingress")
	if PodName() != "fairlead-0" || PodNamespace() != "ingress" {
		t.Errorf("got %s/%s, want ingress/fairlead-0", PodNamespace(), PodName())
	}
	t.Setenv("POD_NAME", "")
	t.Setenv("POD_NAMESPACE", "")
	if PodName() == "" || PodNamespace() == "" {
		t.Errorf("got %q and %q, want names of some kind", PodNamespace(), PodName())
	}
}
