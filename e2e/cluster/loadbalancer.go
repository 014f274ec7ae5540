package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// A loadBalancer is what a cloud has for Services of type LoadBalancer: each gets an address,
// in its status too. New connections to it go to the node port of a node whose health check
// answers, and stay there: it passes packets on, with the clients' addresses, as the network
// load balancers of clouds do.
type loadBalancer struct {
	cluster *Cluster
	client  kubernetes.Interface
	checker *http.Client

	numbers map[types.UID]byte // of Services: the last byte of their addresses
	failed  map[string]int     // checks in a row, by URL; absent before the first that passed
	rules   string             // as they are in the kernel
}

// As clouds do it by default, or quicker: one check a second, and unless Options say otherwise two that fail.
const (
	checkInterval = time.Second
	failuresOut   = 2
)

// startLoadBalancer starts it; it ends with the test.
func (c *Cluster) startLoadBalancer(t testing.TB) {
	t.Helper()
	// Addresses without a rule lead to nobody. To a node they must not: kube-proxy would answer
	// there too, and connections would break off when the first rule sends them elsewhere.
	for _, network := range balanced(c.number, c.options.DualStack) {
		if err := routeLink(network, fmt.Sprintf("node%d", c.number)); err != nil {
			t.Fatal(err)
		}
	}
	l := &loadBalancer{
		cluster: c, client: c.Client(t), numbers: map[types.UID]byte{}, failed: map[string]int{},
		checker: &http.Client{Timeout: checkInterval, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(checkInterval)
		defer tick.Stop()
		for {
			l.step(ctx, t)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// step looks once at Services and nodes. While the API server is away all stays as it is.
func (l *loadBalancer) step(ctx context.Context, t testing.TB) {
	services, err := l.client.CoreV1().Services("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return
	}
	rules := make(map[string]string)
	for i := range services.Items {
		s := &services.Items[i]
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer || s.Spec.LoadBalancerClass != nil {
			continue
		}
		addresses, err := l.assign(ctx, s)
		if err != nil {
			continue // the next step tries again
		}
		healthy := l.healthy(s)
		for _, port := range s.Spec.Ports {
			for _, address := range addresses {
				rules[fmt.Sprintf("%v.%d", address, port.Port)] = rule(address, port, healthy)
			}
		}
	}
	if err := l.program(rules); err != nil {
		t.Errorf("load balancer: %v", err)
	}
}

// assign returns the addresses of a Service, one for each of its families, and writes them to its
// status where they are not there yet.
func (l *loadBalancer) assign(ctx context.Context, s *corev1.Service) ([]net.IP, error) {
	number, ok := l.numbers[s.UID]
	if !ok {
		number = byte(1 + len(l.numbers))
		l.numbers[s.UID] = number
	}
	networks := balanced(l.cluster.number, l.cluster.options.DualStack)
	var ips []net.IP
	var have, want []corev1.LoadBalancerIngress
	for _, family := range s.Spec.IPFamilies {
		network := networks[0]
		if family == corev1.IPv6Protocol {
			network = networks[1]
		}
		ip := slices.Clone(network.IP)
		ip[len(ip)-1] = number
		ips = append(ips, ip)
		want = append(want, corev1.LoadBalancerIngress{IP: ip.String()})
	}
	for _, i := range s.Status.LoadBalancer.Ingress {
		have = append(have, corev1.LoadBalancerIngress{IP: i.IP})
	}
	if reflect.DeepEqual(have, want) {
		return ips, nil
	}
	patch, err := json.Marshal(map[string]any{"status": corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: want}}})
	if err != nil {
		return nil, err
	}
	_, err = l.client.CoreV1().Services(s.Namespace).Patch(ctx, s.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return ips, err
}

// healthy are the nodes whose check passes: for externalTrafficPolicy Local that of the
// Service, else kube-proxy's.
func (l *loadBalancer) healthy(s *corev1.Service) []*Node {
	port := int32(10256)
	if s.Spec.HealthCheckNodePort != 0 {
		port = s.Spec.HealthCheckNodePort
	}
	answers := make([]bool, len(l.cluster.Nodes))
	var asked sync.WaitGroup
	for i, node := range l.cluster.Nodes {
		asked.Go(func() {
			resp, err := l.checker.Get(checkURL(node, port))
			if err == nil {
				answers[i] = resp.StatusCode == http.StatusOK
				_ = resp.Body.Close()
			}
		})
	}
	asked.Wait()
	var healthy []*Node
	for i, node := range l.cluster.Nodes {
		url := checkURL(node, port)
		if answers[i] {
			l.failed[url] = 0
		} else if _, passed := l.failed[url]; passed {
			l.failed[url]++
		}
		if failed, passed := l.failed[url]; passed && failed < cmp.Or(l.cluster.options.FailuresOut, failuresOut) {
			healthy = append(healthy, node)
		}
	}
	return healthy
}

func checkURL(n *Node, port int32) string { return fmt.Sprintf("http://%v:%d/healthz", n.IP, port) }

// rule sends new connections to one of some nodes; with none they are left to time out.
func rule(address net.IP, port corev1.ServicePort, nodes []*Node) string {
	if len(nodes) == 0 || port.NodePort == 0 {
		return ""
	}
	which, family := "ip", 0
	if address.To4() == nil {
		which, family = "ip6", 1
	}
	var choices []string
	for i, node := range nodes {
		choices = append(choices, fmt.Sprintf("%d : %v", i, node.addresses[family].IP))
	}
	return fmt.Sprintf("%[1]s daddr %[2]v tcp dport %[3]d dnat %[1]s to numgen random mod %[4]d map { %[5]s } : %[6]d\n",
		which, address, port.Port, len(nodes), strings.Join(choices, ", "), port.NodePort)
}

// program has the kernel do as the rules say. Connections that are open stay as they are.
func (l *loadBalancer) program(rules map[string]string) error {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		text.WriteString(rules[key])
	}
	if text.String() == l.rules {
		return nil
	}
	table := fmt.Sprintf("lb%d", l.cluster.number)
	script := fmt.Sprintf("table inet %[1]s { chain out { type nat hook output priority -100; }; }\nflush chain inet %[1]s out\ntable inet %[1]s { chain out {\n%[2]s}; }\n",
		table, text.String())
	if err := nft(script); err != nil {
		return err
	}
	l.rules = text.String()
	return nil
}
