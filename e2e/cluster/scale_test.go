package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// TestScale serves many Ingresses: FAIRLEAD_E2E_SCALE of them, 1,000 if it is not set. It
// reports how long the start, a change and the writing of every status take. With
// FAIRLEAD_E2E_PROFILE set to a folder it leaves heap profiles there.
func TestScale(t *testing.T) {
	n := 1000
	if s := os.Getenv("FAIRLEAD_E2E_SCALE"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	c := Start(t, Options{})
	at := c.Backend(t, "web")
	client := c.Client(t)
	c.Apply(t, ourClass)
	begin := time.Now()
	var workers sync.WaitGroup
	for w := range 16 {
		workers.Go(func() {
			for i := w; i < n; i += 16 {
				create(t, client, fmt.Sprintf("site-%d", i), at.IP.String(), int32(at.Port))
			}
		})
	}
	workers.Wait()
	t.Logf("%d Ingresses with Services and EndpointSlices made in %v", n, time.Since(begin).Round(time.Millisecond))

	begin = time.Now()
	f := c.Serve(t, InstanceOptions{Args: []string{"--publish-status-address", "192.0.2.10", "--profiling"}})
	f.WaitReady(t)
	t.Logf("ready %v after the start, resident %d MiB", time.Since(begin).Round(time.Millisecond), resident(t, f))
	profile(t, f, "ready")
	last := fmt.Sprintf("site-%d.example/", n-1)
	if a := f.Get(last); a.Backend != "web" {
		t.Fatalf("%s: %+v, want 200 from web", last, a)
	}
	Eventually(t, 5*time.Minute, "every status is written", func() bool {
		list, err := client.NetworkingV1().Ingresses("default").List(context.Background(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, ing := range list.Items {
			if len(ing.Status.LoadBalancer.Ingress) == 0 {
				return false
			}
		}
		return true
	})
	t.Logf("every status is written %v after the start", time.Since(begin).Round(time.Millisecond))

	var longest, sum time.Duration
	const changes = 20
	for i := range changes {
		name := fmt.Sprintf("new-%d", i)
		create(t, client, name, at.IP.String(), int32(at.Port))
		begin := time.Now()
		Eventually(t, soon, name+" is served", func() bool {
			a := f.Get(name + ".example/")
			// Of a new route nothing but "not there yet" may be seen before it is there.
			if a.Status != http.StatusOK && a.Status != http.StatusNotFound {
				t.Errorf("%s: %+v before it was served", name, a)
			}
			return a.Status == http.StatusOK
		})
		took := time.Since(begin)
		longest, sum = max(longest, took), sum+took
	}
	t.Logf("a new Ingress was served after %v on average, %v at most (looked at every 20 ms)", (sum / changes).Round(time.Millisecond), longest.Round(time.Millisecond))
	t.Logf("resident %d MiB", resident(t, f))
	profile(t, f, "end")
	t.Logf("resident %d MiB after a collection", resident(t, f))
}

// profile leaves a heap profile in the folder FAIRLEAD_E2E_PROFILE, if there is one.
func profile(t *testing.T, f *Instance, name string) {
	t.Helper()
	dir := os.Getenv("FAIRLEAD_E2E_PROFILE")
	heap := f.Admin("/debug/pprof/heap?gc=1")
	if dir == "" || heap.Status != http.StatusOK {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".heap"), []byte(heap.Body), 0o644); err != nil {
		t.Error(err)
	}
}

// create makes a Service with an endpoint, and then an Ingress for it.
func create(t *testing.T, client kubernetes.Interface, name, ip string, port int32) {
	ctx, meta := context.Background(), metav1.ObjectMeta{Name: name}
	class, prefix, empty := "fairlead", netv1.PathTypePrefix, ""
	service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 80}}}}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &empty, Port: &port}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{ip}}},
	}
	backend := netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: name, Port: netv1.ServiceBackendPort{Number: 80}}}
	ingress := &netv1.Ingress{ObjectMeta: meta, Spec: netv1.IngressSpec{IngressClassName: &class, Rules: []netv1.IngressRule{{
		Host: name + ".example",
		IngressRuleValue: netv1.IngressRuleValue{HTTP: &netv1.HTTPIngressRuleValue{Paths: []netv1.HTTPIngressPath{
			{Path: "/", PathType: &prefix, Backend: backend},
			{Path: "/a", PathType: &prefix, Backend: backend},
			{Path: "/b", PathType: &prefix, Backend: backend},
			{Path: "/c/d", PathType: &prefix, Backend: backend},
		}}},
	}}}}
	if _, err := client.CoreV1().Services("default").Create(ctx, service, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := client.DiscoveryV1().EndpointSlices("default").Create(ctx, slice, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := client.NetworkingV1().Ingresses("default").Create(ctx, ingress, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

// resident is the memory of a process, in MiB.
func resident(t *testing.T, f *Instance) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib >> 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
