package k8s

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
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

func TestUserConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, server string) string {
		file := filepath.Join(dir, name)
		text := strings.ReplaceAll(testKubeconfig, "https://192.0.2.1:6443", server)
		if name == "second" {
			text = strings.NewReplacer("name: c,", "name: d,", "cluster: c,", "cluster: d,", "name: x,", "name: other,", "current-context: x", "").Replace(text)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	first, second := write("first", "https://192.0.2.1:6443"), write("second", "https://192.0.2.2:6443")
	none := filepath.Join(dir, "none")
	for _, test := range []struct {
		name                          string
		env                           string // KUBECONFIG
		kubeconfig, contextName, host string
		want                          string // the server
		err                           string // part of the error
	}{
		{"of the environment", first, "", "", "", "https://192.0.2.1:6443", ""},
		{"of two files", first + string(filepath.ListSeparator) + second, "", "other", "", "https://192.0.2.2:6443", ""},
		{"named beats the environment", none, first, "", "", "https://192.0.2.1:6443", ""},
		{"context of a named file", none, first, "x", "", "https://192.0.2.1:6443", ""},
		{"no such context", first, "", "z", "", "", "z"},
		{"server alone", first, "", "", "http://127.0.0.1:8001", "http://127.0.0.1:8001", ""},
		{"missing file", first, none, "", "", "", "none"},
		{"nothing", none, "", "", "", "", "no cluster: " + none},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", test.env)
			t.Setenv("KUBERNETES_SERVICE_HOST", "")
			config, err := UserConfig(test.kubeconfig, test.contextName, test.host)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if config.Host != test.want || config.ContentType != "application/vnd.kubernetes.protobuf" {
				t.Errorf("server %q in %s, want %q in protobuf", config.Host, config.ContentType, test.want)
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

// TestLeasesAreNotLimitedByObjects: however many requests for objects wait for their turn, one for a Lease
// does not wait behind them.
func TestLeasesAreNotLimitedByObjects(t *testing.T) {
	a := newAPIServer(t)
	all, leases, err := NewClients(&rest.Config{Host: a.URL, QPS: 0.001, Burst: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiting := make(chan error, 2)
	for range cap(waiting) {
		go func() {
			_, err := all.CoreV1().Secrets("default").Get(ctx, "a", metav1.GetOptions{})
			waiting <- err
		}()
	}
	if err := <-waiting; !apierrors.IsNotFound(err) {
		t.Fatalf("error %v, want that there is no Secret", err)
	}
	if _, err := leases.CoordinationV1().Leases("default").Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want that there is no Lease", err)
	}
	select {
	case err := <-waiting:
		t.Errorf("the second request did not wait: %v", err)
	default:
	}
	cancel()
	<-waiting
}
