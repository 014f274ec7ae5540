package cluster

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Installed is a fairlead that runs in Pods, as clients reach it: through a load balancer.
type Installed struct {
	Address string // of the Service
	client  *http.Client
}

// Installed waits for the address of a Service of type LoadBalancer.
func (c *Cluster) Installed(t testing.TB, namespace, service string) *Installed {
	t.Helper()
	var address string
	Eventually(t, time.Minute, "Service "+namespace+"/"+service+" has an address", func() bool {
		address = c.Kubectl(t, "get", "service", service, "-n", namespace, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
		return address != ""
	})
	return newInstalled(t, address)
}

func newInstalled(t testing.TB, address string) *Installed {
	i := &Installed{Address: address}
	i.client = &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 100,
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(i.Address, port))
			},
		},
	}
	t.Cleanup(i.client.CloseIdleConnections)
	return i
}

// Get asks for http://HOST/PATH over a connection of its own.
func (i *Installed) Get(hostAndPath string) Answer {
	i.client.CloseIdleConnections()
	return get(i.client, "http://"+hostAndPath)
}

// Rollout waits until a Deployment or DaemonSet is as it was asked to be. That may take a minute and more when
// the API server was away, which kubelets ask again ever more seldom.
func (c *Cluster) Rollout(t testing.TB, namespace, object string) {
	t.Helper()
	if _, err := c.Try("rollout", "status", object, "-n", namespace, "--timeout=180s"); err != nil {
		events, _ := c.Try("get", "events,pods", "-n", namespace, "-o", "wide")
		t.Fatalf("rollout of %s in %s: %v\n%s", object, namespace, err, strings.TrimSpace(events))
	}
}

// tellOf shows, of a test that failed, what the Pods of a namespace have met.
func (c *Cluster) tellOf(t testing.TB, namespace string) {
	if !t.Failed() {
		return
	}
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "endpointslices", "-A"},
		{"get", "events", "-n", namespace, "--sort-by=.lastTimestamp"},
		{"logs", "-n", namespace, "-l", "app.kubernetes.io/name=fairlead", "--tail=-1", "--prefix", "--max-log-requests=10"},
		{"logs", "-n", namespace, "-l", "app.kubernetes.io/name=fairlead", "--tail=20", "--prefix", "--previous"},
	} {
		out, err := c.Try(args...)
		if strings.HasPrefix(args[0], "logs") { // not the access log
			var kept []string
			for line := range strings.Lines(out) {
				if strings.Contains(line, `"level"`) {
					kept = append(kept, line)
				}
			}
			out = strings.Join(kept, "")
		}
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, tail(out, 8000))
	}
}
