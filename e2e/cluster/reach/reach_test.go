package reach

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// objects are a cluster with one site: shop.example, whose Pods run on the Node far.
const objects = `
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: fairlead}, spec: {controller: fairlead.dev/ingress-controller}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  ingressClassName: fairlead
  rules:
  - {host: shop.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}
  - {host: outside.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: outside, port: {number: 80}}}}]}}
status: {loadBalancer: {ingress: [{ip: 10.2.0.2}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.80, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {type: ExternalName, externalName: db.other.example, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: fairlead, namespace: fairlead}
spec: {type: LoadBalancer, clusterIP: 10.96.0.81, selector: {app.kubernetes.io/name: fairlead}, ports: [{name: http, port: 80, nodePort: 30080}]}
status: {loadBalancer: {ingress: [{ip: 10.2.0.2}]}}
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, selector: {k8s-app: kube-dns}, ports: [{name: dns, port: 53, protocol: UDP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns-1, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}]
endpoints: [{addresses: [10.12.0.53]}]
---
{apiVersion: v1, kind: Node, metadata: {name: far}, spec: {podCIDR: 10.12.0.0/24}, status: {addresses: [{type: InternalIP, address: 10.2.0.2}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: near}, spec: {podCIDR: 10.13.0.0/24}, status: {addresses: [{type: InternalIP, address: 10.3.0.2}]}}
---
`

// slice is the EndpointSlice of the Service web.
func slice(addresses ...string) string {
	var b strings.Builder
	b.WriteString(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 8080}]
endpoints: [`)
	for _, a := range addresses {
		fmt.Fprintf(&b, "{addresses: [%s]},", a)
	}
	b.WriteString("]\n---\n")
	return b.String()
}

// pod is a Pod that is ready, or that crashes.
func pod(namespace, name, labels, node, address string, ready bool) string {
	state := "conditions: [{type: Ready, status: 'True'}]"
	if !ready {
		state = "conditions: [{type: Ready, status: 'False'}], containerStatuses: [{name: main, state: {waiting: {reason: CrashLoopBackOff}}}]"
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s, labels: {%s}}
spec: {nodeName: %s, containers: [{name: main}]}
status: {phase: Running, podIP: %s, %s}
---
`, name, namespace, labels, node, address, state)
}

var (
	webPod  = pod("shop", "web-1", "app: web", "far", "10.12.0.8", true)
	nearPod = pod("shop", "web-2", "app: web", "near", "10.13.0.8", true)
	dnsPod  = pod("kube-system", "coredns-1", "k8s-app: kube-dns", "far", "10.12.0.53", true)
)

type explanation struct {
	Verdict     string
	Status      *int
	FirstBroken *string
	Steps       []struct{ Name, Verdict, Reason, Detail, Remedy string }
}

// explain asks on a machine.
func (l *lab) explain(machine, url string, manifests string, flags ...string) explanation {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, "cluster.yaml"), []byte(objects+manifests), 0o600); err != nil {
		l.t.Fatal(err)
	}
	args := append([]string{"netns", "exec", machine, binary, "explain", "--manifests", l.dir, "--probe", "-o", "json"}, flags...)
	out, err := exec.CommandContext(l.t.Context(), "ip", append(args, url)...).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		l.t.Fatalf("explain: %v\n%s", err, out)
	}
	var e explanation
	if err := json.Unmarshal(out, &e); err != nil {
		l.t.Fatalf("explain: %v\n%s", err, out)
	}
	return e
}

// The way in, and names, as they are where nothing is broken.
const known = "--resolve=shop.example:80:10.2.0.2"

// sound sets up what works: a case breaks it before or after.
func (l *lab) sound() {
	l.t.Helper()
	l.pod("far", "10.12.0.8")
	l.pod("far", "10.12.0.53")
	l.pod("far", "10.96.0.10") // what kube-proxy does
	l.pod("far", "10.96.0.80")
	l.pod("near", "10.13.0.8")
	l.serve("far", "10.12.0.8:8080")
	l.serve("far", "10.96.0.80:80")
	l.serve("far", "10.2.0.2:80")
	l.serve("far", "10.2.0.2:30080")
	l.serve("near", "10.13.0.8:8080")
	l.resolver("10.96.0.10")
}

// TestReach breaks the network in one way after the other.
func TestReach(t *testing.T) {
	names := []string{"shop.example", "db.other.example"}
	working := func(l *lab) {
		l.dns("far", "10.12.0.53", names...)
		l.dns("far", "10.96.0.10", names...)
	}
	denyDNS := `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: egress, namespace: fairlead}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 8080}]}]}
---
` + pod("fairlead", "fairlead-1", "app.kubernetes.io/name: fairlead", "near", "10.1.0.2", true)
	for _, tt := range []struct {
		name      string
		breaks    func(*lab)
		manifests string
		from, url string
		flags     []string
		first     string // first broken; empty for none
		step      string // that names the cause
		reason    string
		says      []string
	}{
		{
			name: "nothing is broken", breaks: working, manifests: webPod + dnsPod + slice("10.12.0.8"),
			step: "probe", reason: "Reachable",
		},
		{
			name: "no route to the addresses of Pods", manifests: webPod + slice("10.12.0.8"), flags: []string{known},
			breaks: func(l *lab) {
				l.run("ip", "route", "del", "10.12.0.0/24")
				l.run("ip", "route", "add", "unreachable", "10.12.0.0/24")
			},
			first: "probe", step: "probe", reason: "NoRoute", says: []string{"network plugin", "Node far"},
		},
		{
			name: "a firewall drops between the nodes", manifests: webPod + slice("10.12.0.8"), flags: []string{known},
			breaks: func(l *lab) { l.drop("ip daddr 10.12.0.0/24") },
			first:  "probe", step: "probe", reason: "ConnectTimeout", says: []string{"firewall", "Node far"},
		},
		{
			name: "a firewall drops what goes to one of two nodes", manifests: webPod + nearPod + slice("10.12.0.8", "10.13.0.8"), flags: []string{known},
			breaks: func(l *lab) { l.drop("ip daddr 10.12.0.0/24") },
			step:   "probe", reason: "SomeUnreachable", says: []string{"fail are on Node far", "answer on near"},
		},
		{
			name: "nothing listens at the Pod", manifests: webPod + strings.Replace(slice("10.12.0.8"), "8080", "8081", 1), flags: []string{known},
			breaks: working, first: "probe", step: "probe", reason: "ConnectionRefused",
		},
		{
			name: "the address of a Pod is also one of a network here", manifests: webPod + slice("10.12.0.8"), flags: []string{known},
			breaks: func(l *lab) {
				l.on("ctl", "ip", "link", "add", "lan", "type", "bridge")
				l.on("ctl", "ip", "addr", "add", "10.12.0.200/24", "dev", "lan")
				l.on("ctl", "ip", "link", "set", "lan", "up")
			},
			first: "probe", step: "probe", reason: "AddressConflict", says: []string{"10.12.0.0/24", "overlaps"},
		},
		{
			name: "the address of a Pod is this machine's own", manifests: webPod + slice("10.12.0.8"), flags: []string{known},
			breaks: func(l *lab) { l.pod("ctl", "10.12.0.8"); l.serve("ctl", "10.12.0.8:8080") },
			first:  "probe", step: "probe", reason: "AddressConflict", says: []string{"this machine itself"},
		},
		{
			name: "a Service that selects no Pod", manifests: pod("shop", "web-1", "app: wep", "far", "10.12.0.8", true), flags: []string{known},
			breaks: working, first: "endpoints", step: "endpoints", reason: "SelectorMatchesNothing", says: []string{"app=wep"},
		},
		{
			name: "the cluster's DNS is not the one that is asked", manifests: webPod + dnsPod + slice("10.12.0.8"), url: "http://outside.example/", flags: []string{"--resolve=outside.example:80:10.2.0.2"},
			breaks: func(l *lab) { working(l); l.dns("far", "10.2.0.2"); l.resolver("10.2.0.2") },
			first:  "endpoints", step: "endpoints", reason: "DNSMisconfigured", says: []string{"resolv.conf"},
		},
		{
			name: "the Pods of the cluster's DNS are down", manifests: webPod + slice("10.12.0.8") + pod("kube-system", "coredns-1", "k8s-app: kube-dns", "far", "10.12.0.53", false),
			breaks: func(*lab) {}, first: "dns", step: "dns", reason: "DNSPodsNotReady", says: []string{"CrashLoopBackOff", "does not answer"},
		},
		{
			name: "the cluster's DNS does not answer", manifests: webPod + dnsPod + slice("10.12.0.8"),
			breaks: func(l *lab) { working(l); l.drop("udp dport 53") }, first: "dns", step: "dns", reason: "DNSSilent", says: []string{"dropped"},
		},
		{
			name: "the cluster's DNS has no such name", manifests: webPod + dnsPod + slice("10.12.0.8"), url: "http://outside.example/", flags: []string{"--resolve=outside.example:80:10.2.0.2"},
			breaks: func(l *lab) { l.dns("far", "10.12.0.53"); l.dns("far", "10.96.0.10") }, first: "endpoints", step: "endpoints", reason: "NameNotFound", says: []string{"db.other.example"},
		},
		{
			name: "kube-proxy does not lead to the cluster's DNS", manifests: webPod + dnsPod + slice("10.12.0.8"),
			breaks: func(l *lab) { l.dns("far", "10.12.0.53", names...) }, first: "dns", step: "dns", reason: "DNSServiceUnreachable", says: []string{"kube-proxy"},
		},
		{
			name: "a NetworkPolicy keeps the controller from DNS", manifests: webPod + dnsPod + slice("10.12.0.8") + denyDNS,
			breaks: func(l *lab) { working(l); l.drop("ip saddr 10.1.0.2 udp dport 53") }, first: "dns", step: "dns", reason: "DNSNotAdmitted", says: []string{"fairlead/egress"},
		},
		{
			name: "no controller for the class", manifests: webPod + slice("10.12.0.8") + `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: foreign, namespace: shop}, spec: {ingressClassName: nginx, rules: [{host: foreign.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}}`,
			url: "http://foreign.example/", flags: []string{"--resolve=foreign.example:80:10.2.0.2"}, breaks: working, first: "class", step: "class", reason: "ClassNotFound",
		},
		{
			name: "the wrong type of Service for outside", manifests: `
{apiVersion: v1, kind: Service, metadata: {name: front, namespace: other}, spec: {clusterIP: 10.96.0.82, selector: {app.kubernetes.io/name: fairlead}, ports: [{name: http, port: 80}]}}
---
` + webPod + slice("10.12.0.8"), flags: []string{known, "--controller-namespace=other"}, breaks: working,
			first: "listener", step: "listener", reason: "ServiceNotExposed",
		},
		{
			name: "the load balancer leads to a port where nothing listens", manifests: webPod + slice("10.12.0.8"), flags: []string{"--resolve=shop.example:80:10.3.0.2"},
			breaks: working, first: "listener", step: "listener", reason: "FrontRefused", says: []string{"10.3.0.2:80", "node port 10.2.0.2:30080 takes connections"},
		},
		{
			name: "the node port is another", manifests: webPod + slice("10.12.0.8"), url: "http://shop.example:30099/", flags: []string{"--resolve=shop.example:30099:10.2.0.2"},
			breaks: working, first: "listener", step: "listener", reason: "PortNotExposed", says: []string{"10.2.0.2:30099", "refused"},
		},
		{
			name: "nothing listens on the node port", manifests: webPod + slice("10.12.0.8"), url: "http://shop.example:30080/", flags: []string{"--resolve=shop.example:30080:10.3.0.2"},
			breaks: working, first: "listener", step: "listener", reason: "FrontRefused", says: []string{"10.3.0.2:30080"},
		},
		{
			name: "the firewall outside is closed", manifests: webPod + slice("10.12.0.8"), flags: []string{known}, from: "near",
			breaks: func(l *lab) { working(l); l.drop("ip saddr 10.3.0.2 tcp dport 80") },
			first:  "listener", step: "listener", reason: "FrontDropped", says: []string{"firewall", "node port 10.2.0.2:30080 takes connections"},
		},
		{
			name: "packets of full size are lost", manifests: webPod + slice("10.12.0.8"), flags: []string{known},
			breaks: func(l *lab) { l.drop("ip daddr 10.12.0.8 meta length > 1000") },
			first:  "probe", step: "probe", reason: "LargeRequestLost", says: []string{"MTU"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.sound()
			tt.breaks(l)
			from, url := tt.from, tt.url
			if from == "" {
				from = "ctl"
			}
			if url == "" {
				url = "http://shop.example/"
			}
			e := l.explain(from, url, tt.manifests, tt.flags...)
			first := ""
			if e.FirstBroken != nil {
				first = *e.FirstBroken
			}
			ok := first == tt.first
			for _, s := range e.Steps {
				if s.Name != tt.step {
					continue
				}
				ok = ok && s.Reason == tt.reason
				for _, text := range tt.says {
					ok = ok && strings.Contains(s.Detail+s.Remedy, text)
				}
			}
			if !ok {
				t.Errorf("want first broken %q, %s %s with %q; got first broken %q and", tt.first, tt.step, tt.reason, tt.says, first)
				for _, s := range e.Steps {
					t.Errorf("  %s %s %s: %s -> %s", s.Name, s.Verdict, s.Reason, s.Detail, s.Remedy)
				}
			}
		})
	}
}
