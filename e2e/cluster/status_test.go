package cluster

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestContestedStatus has somebody else write the status of one of our Ingresses all the time.
// Neither fights: at most five writes a minute are ours, and it is said once.
func TestContestedStatus(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	c.Apply(t, ourClass+site("default", "web"))
	f := c.Serve(t, InstanceOptions{Args: []string{"--publish-status-address", "192.0.2.10"}})
	Eventually(t, soon, "our address", func() bool { return published(t, c, "default", "web") == "192.0.2.10" })

	ingresses := c.Client(t).NetworkingV1().Ingresses("default")
	theirs := []byte(`{"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.1"}]}}}`)
	begin := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Since(begin) < time.Minute {
		<-tick.C
		if _, err := ingresses.Patch(context.Background(), "web", types.MergePatchType, theirs, metav1.PatchOptions{FieldManager: "other"}, "status"); err != nil {
			t.Fatal(err)
		}
	}
	ours := 0
	for _, r := range c.Requests(t, "admin") {
		if r.String() == "patch ingresses/status" && strings.HasPrefix(r.UserAgent, "fairlead") {
			ours++
		}
	}
	if ours < 2 || ours > 1+5 { // the first was uncontested
		t.Errorf("%d writes in a minute, want some and at most 6", ours)
	}
	warnings := 0
	for _, e := range f.Entries() {
		if strings.Contains(e.Message, "somebody else keeps writing") {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings about it, want one", warnings)
	}
	// They stop, and the next time that we write lasts.
	Eventually(t, 2*time.Minute, "our address again", func() bool { return published(t, c, "default", "web") == "192.0.2.10" })
}

// TestForeignStatusIsLeftAlone: addresses that we did not write are no business of ours when
// the Ingress is not ours, even when they are the same as ours.
func TestForeignStatusIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	c.Apply(t, ourClass+`{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: another}, spec: {controller: example.com/other}}
---
`+strings.ReplaceAll(site("default", "foreign"), "ingressClassName: fairlead", "ingressClassName: another")+site("default", "adopted")+site("default", "last"))
	patch := `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.10"},{"hostname":"lb.example"}]}}}`
	for _, name := range []string{"foreign", "adopted"} {
		c.Kubectl(t, "patch", "ingress", name, "--subresource=status", "--type=merge", "-p", patch)
	}
	f := c.Serve(t, InstanceOptions{Args: []string{"--publish-status-address", "192.0.2.10", "--update-status-on-shutdown"}})
	Eventually(t, soon, "the last one is written", func() bool { return published(t, c, "default", "last") == "192.0.2.10" })
	Eventually(t, soon, "what another controller left on ours is replaced", func() bool { return published(t, c, "default", "adopted") == "192.0.2.10" })
	// Ours goes to the other controller, which then writes the same address.
	c.Kubectl(t, "patch", "ingress", "adopted", "--type=merge", "-p", `{"spec":{"ingressClassName":"another"}}`)
	Eventually(t, soon, "our address is taken back", func() bool { return published(t, c, "default", "adopted") == "" })
	c.Kubectl(t, "patch", "ingress", "adopted", "--subresource=status", "--type=merge", "-p", patch)
	if err := f.Terminate(t, time.Minute); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"foreign", "adopted"} {
		if got := published(t, c, "default", name); got != "192.0.2.10 lb.example" {
			t.Errorf("%s has %q, want what the other controller wrote", name, got)
		}
	}
}

// TestClearOnShutdown needs the published Service to see that no other replica is left.
func TestClearOnShutdown(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	replica := func(name, ip string) string {
		return `, {addresses: [` + ip + `], targetRef: {kind: Pod, name: ` + name + `, namespace: default}}`
	}
	lb := func(endpoints string) string {
		return `{apiVersion: v1, kind: Service, metadata: {name: lb}, spec: {type: LoadBalancer, externalIPs: [192.0.2.7], ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: lb-1, labels: {kubernetes.io/service-name: lb}}, addressType: IPv4, ports: [{port: 80}], endpoints: [` + strings.TrimPrefix(endpoints, ", ") + `]}
---
`
	}
	args := []string{"--publish-service", "default/lb", "--update-status-on-shutdown"}
	one, both := replica("fairlead-0", "10.0.0.1"), replica("fairlead-0", "10.0.0.1")+replica("fairlead-1", "10.0.0.2")

	c.Apply(t, ourClass+site("default", "web")+lb(both))
	for _, end := range []struct {
		endpoints, want string
	}{{both, "192.0.2.7"}, {one, ""}} {
		c.Apply(t, lb(end.endpoints))
		f := c.Serve(t, InstanceOptions{Args: args})
		f.WaitReady(t)
		Eventually(t, soon, "this replica leads and has written", func() bool {
			return strings.HasPrefix(holder(t, c), "fairlead-0_") && published(t, c, "default", "web") == "192.0.2.7"
		})
		if err := f.Terminate(t, time.Minute); err != nil {
			t.Error(err)
		}
		if got := published(t, c, "default", "web"); got != end.want {
			t.Errorf("after the end the address is %q, want %q; endpoints%s", got, end.want, end.endpoints)
		}
	}
}
