// Package deploy holds the tests of the manifests in deploy/: that kustomize and helm accept
// them, that both install the same, and that alerts and dashboard name metrics that exist.
package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// rendered returns the objects, by kind and name; those named after a release without it.
func rendered(t *testing.T, objects []Object, err error) map[string]Object {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]Object)
	for _, o := range objects {
		if _, twice := found[o.String()]; twice {
			t.Errorf("%v is there twice", o)
		}
		found[o.String()] = o
	}
	return found
}

func kustomized(t *testing.T, dir string) map[string]Object {
	t.Helper()
	objects, err := kustomize(dir)
	return rendered(t, objects, err)
}

func helmed(t *testing.T, values string) map[string]Object {
	t.Helper()
	objects, err := helm(values)
	return rendered(t, objects, err)
}

// TestKustomizations builds every one; the kinds say whether the right objects are left.
func TestKustomizations(t *testing.T) {
	namespaced := "Deployment PodDisruptionBudget Role RoleBinding Secret Service ServiceAccount"
	base := "ClusterRole ClusterRoleBinding Deployment IngressClass Namespace PodDisruptionBudget Role RoleBinding Secret Service ServiceAccount"
	for dir, want := range map[string]string{
		"base":                   base,
		"overlays/namespaced":    namespaced,
		"overlays/named-secrets": namespaced,
		"overlays/daemonset":     "ClusterRole ClusterRoleBinding DaemonSet IngressClass Namespace Role RoleBinding Secret ServiceAccount",
		"overlays/production": "ClusterRole ClusterRoleBinding ConfigMap Deployment HorizontalPodAutoscaler IngressClass Namespace NetworkPolicy " +
			"PodDisruptionBudget PrometheusRule Role RoleBinding Secret Service ServiceAccount ServiceMonitor",
	} {
		var kinds []string
		for _, o := range kustomized(t, dir) {
			kinds = append(kinds, o["kind"].(string))
			if o.at("metadata", "namespace") == nil && !strings.Contains(" ClusterRole ClusterRoleBinding IngressClass Namespace ", " "+o["kind"].(string)+" ") {
				t.Errorf("%s: %v has no namespace", dir, o)
			}
		}
		slices.Sort(kinds)
		if got := strings.Join(slices.Compact(kinds), " "); got != want {
			t.Errorf("%s has\n%s, want\n%s", dir, got, want)
		}
	}
	built, err := filepath.Glob(filepath.Join(manifests, "overlays", "*"))
	if err != nil || len(built) != 4 {
		t.Errorf("overlays: %v, %v; each has to be in this test", built, err)
	}
}

// same compares what two ways of installing say of an object, without what has to differ:
// labels of a release, and what the API server fills in anyway.
func same(t *testing.T, what string, a, b any) {
	t.Helper()
	x, y := text(plain(t, a)), text(plain(t, b))
	if x == y {
		return
	}
	// From the first line that differs.
	p, q := strings.Split(x, "\n"), strings.Split(y, "\n")
	n := 0
	for n < min(len(p), len(q)) && p[n] == q[n] {
		n++
	}
	t.Errorf("%s differs, from line %d:\n%s\n-- and --\n%s", what, n+1,
		strings.Join(p[n:min(n+10, len(p))], "\n"), strings.Join(q[n:min(n+10, len(q))], "\n"))
}

// sorted are the elements of a list as texts, in order: for lists whose order means nothing.
func sorted(list any) []string {
	var all []string
	for _, v := range list.([]any) {
		all = append(all, text(v))
	}
	slices.Sort(all)
	return all
}

func plain(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var copied any
	if err := json.Unmarshal(b, &copied); err != nil {
		t.Fatal(err)
	}
	strip(copied)
	return copied
}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "app.kubernetes.io/instance")
		delete(v, "imagePullPolicy")
		for _, value := range v {
			strip(value)
		}
	case []any:
		for _, value := range v {
			strip(value)
		}
	}
}

func text(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestChartIsTheBase: both ways of installing install the same.
func TestChartIsTheBase(t *testing.T) {
	base, chart := kustomized(t, "base"), helmed(t, "")
	for _, part := range []struct {
		object string
		path   []string
	}{
		{"ClusterRole fairlead", []string{"rules"}},
		{"ClusterRoleBinding fairlead", []string{"roleRef"}},
		{"ClusterRoleBinding fairlead", []string{"subjects"}},
		{"Role fairlead", []string{"rules"}},
		{"RoleBinding fairlead", []string{"roleRef"}},
		{"Secret fairlead-leader-tickets", []string{"type"}},
		{"Deployment fairlead", []string{"spec", "strategy"}},
		{"Deployment fairlead", []string{"spec", "replicas"}},
		{"Deployment fairlead", []string{"spec", "template", "metadata", "annotations"}},
		{"Deployment fairlead", []string{"spec", "template", "spec"}},
		{"IngressClass fairlead", []string{"spec"}},
		{"PodDisruptionBudget fairlead", []string{"spec"}},
		{"Service fairlead", []string{"spec"}},
	} {
		a, b := base[part.object].at(part.path...), chart[part.object].at(part.path...)
		if a == nil || b == nil {
			t.Errorf("%s: %v: %v and %v", part.object, part.path, a, b)
			continue
		}
		same(t, part.object, a, b)
	}
	delete(base, "Namespace fairlead") // helm --create-namespace
	if len(base) != len(chart) {
		t.Errorf("%d objects of kustomize, %d of helm", len(base), len(chart))
	}
}

// TestChartParts compares what is off by default with the components and overlays.
func TestChartParts(t *testing.T) {
	production := kustomized(t, "overlays/production")
	chart := helmed(t, `controller: {config: {hsts: "true"}, autoscaling: {enabled: true}, networkPolicy: {enabled: true}, metrics: {serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}}`)
	for _, name := range []string{
		"HorizontalPodAutoscaler fairlead", "NetworkPolicy fairlead", "PrometheusRule fairlead",
		"ServiceMonitor fairlead", "Service fairlead-metrics",
	} {
		same(t, name, production[name].at("spec"), chart[name].at("spec"))
	}
	same(t, "Role", production["Role fairlead"].at("rules"), chart["Role fairlead"].at("rules"))
	same(t, "Pod", production["Deployment fairlead"].at("spec", "template", "spec"), chart["Deployment fairlead"].at("spec", "template", "spec"))
	same(t, "settings", map[string]any{"hsts": "true"}, chart["ConfigMap fairlead"].at("data"))
	same(t, "dashboard", production["ConfigMap fairlead-dashboard"].at("data"), chart["ConfigMap fairlead-dashboard"].at("data"))
	for way, d := range map[string]Object{"kustomize": production["Deployment fairlead"], "helm": chart["Deployment fairlead"]} {
		if got := d.at("spec", "replicas"); got != nil {
			t.Errorf("%s: replicas %v beside an autoscaler, want none", way, got)
		}
	}

	scoped := helmed(t, `controller: {scope: {enabled: true}}`)
	for name := range scoped {
		if strings.HasPrefix(name, "Cluster") || strings.HasPrefix(name, "IngressClass") {
			t.Errorf("for one namespace there is a %s", name)
		}
	}
	namespaced := kustomized(t, "overlays/namespaced")
	same(t, "Role of one namespace", sorted(namespaced["Role fairlead"].at("rules")), sorted(scoped["Role fairlead"].at("rules")))
	same(t, "Pod of one namespace", namespaced["Deployment fairlead"].at("spec", "template", "spec"), scoped["Deployment fairlead"].at("spec", "template", "spec"))

	hostPorts := helmed(t, `controller: {kind: DaemonSet, hostPort: {enabled: true}, service: {enabled: false}, publishStatusAddress: 192.0.2.1}`)
	same(t, "Pod of a DaemonSet", kustomized(t, "overlays/daemonset")["DaemonSet fairlead"].at("spec", "template", "spec"),
		hostPorts["DaemonSet fairlead"].at("spec", "template", "spec"))
}

// everything sets every value of the chart that becomes a flag or a field.
const everything = `
fullnameOverride: edge
commonLabels: {team: web}
imagePullSecrets: [{name: pull}]
controller:
  image: {registry: registry.example, image: team/fairlead, tag: v1}
  ingressClass: nginx
  ingressClassResource: {name: nginx, default: true, controllerValue: k8s.io/ingress-nginx, annotations: {a: b}}
  controllerClasses: [k8s.io/ingress-nginx]
  electionID: edge-leader
  config: {hsts-max-age: 31536000, force-ssl-redirect: true, denylist-source-range: 192.0.2.0/24}
  ingressClassByName: true
  watchIngressWithoutClass: true
  publishStatusAddress: 192.0.2.1,192.0.2.2
  extraArgs: {default-ssl-certificate: shop/tls, profiling: true, access-log: "off"}
  extraEnvs: [{name: A, value: b}]
  shutdownDelaySeconds: 30
  drainTimeoutSeconds: 60
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
  nodeSelector: {disk: ssd}
  tolerations: [{operator: Exists}]
  priorityClassName: system-cluster-critical
  podLabels: {l: m}
  podAnnotations: {c: d}
  service: {annotations: {e: f}, labels: {g: h}, loadBalancerSourceRanges: [192.0.2.0/24], ipFamilyPolicy: PreferDualStack, nodePorts: {http: 30080}}
serviceAccount: {annotations: {i: j}}
`

// TestChartValues: the values go where they belong, and the binary knows every flag that comes
// of them.
func TestChartValues(t *testing.T) {
	binary, err := site.Build("../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	objects := helmed(t, everything)
	pod := objects["Deployment edge"].at("spec", "template", "spec").(map[string]any)
	container := Object(pod["containers"].([]any)[0].(map[string]any))
	var args []string
	for _, a := range container["args"].([]any) {
		args = append(args, a.(string))
	}
	for _, want := range []string{
		"--ingress-class=nginx", "--controller-class=k8s.io/ingress-nginx", "--election-id=edge-leader", "--ingress-class-by-name",
		"--watch-ingress-without-class", "--configmap=$(POD_NAMESPACE)/edge", "--publish-status-address=192.0.2.1,192.0.2.2", "--default-ssl-certificate=shop/tls",
		"--profiling=true", "--access-log=off", "--shutdown-delay=30s", "--drain-timeout=60s",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("args %q lack %q", args, want)
		}
	}
	if out, err := exec.Command(binary, append(args, "--help")...).CombinedOutput(); err != nil {
		t.Errorf("fairlead %q: %v\n%s", args, err, out)
	}
	same(t, "grace period", pod["terminationGracePeriodSeconds"], 100)
	same(t, "readiness", container.at("readinessProbe", "failureThreshold"), 17)
	same(t, "image", container["image"], "registry.example/team/fairlead:v1")
	spread := Object(pod["topologySpreadConstraints"].([]any)[0].(map[string]any))
	same(t, "spread", spread.at("labelSelector", "matchLabels"), map[string]any{"app.kubernetes.io/name": "fairlead"})
	// Numbers of values files are floating point to Helm: 3.1536e+07 is no age.
	same(t, "settings", objects["ConfigMap edge"].at("data"),
		map[string]any{"hsts-max-age": "31536000", "force-ssl-redirect": "true", "denylist-source-range": "192.0.2.0/24"})
	rules := text(objects["Role edge"].at("rules"))
	if !strings.Contains(rules, `"edge-leader"`) {
		t.Errorf("the Role does not name the Lease: %s", rules)
	}
	same(t, "class", objects["IngressClass nginx"].at("spec", "controller"), "k8s.io/ingress-nginx")
	same(t, "node port", objects["Service edge"].at("spec", "ports").([]any)[0].(map[string]any)["nodePort"], 30080)
}

func TestChartRefuses(t *testing.T) {
	for values, want := range map[string]string{
		`controller: {replicas: 3}`:                             "replicas",
		`controller: {kind: StatefulSet}`:                       "kind",
		`controller: {service: {type: External}}`:               "type",
		`controller: {containerPort: {http: 80}}`:               "http",
		`controller: {extraArgs: {--profiling: true}}`:          "profiling",
		`controller: {controllerClasses: [example.com/x]}`:      "electionID",
		`controller: {extraArgs: {configmap: shop/settings}}`:   "controller.config",
		`controller: {extraArgs: {election-id: edge}}`:          "controller.electionID",
		`controller: {extraArgs: {watch-namespace: shop}}`:      "controller.scope",
		`controller: {image: {digest: "md5:abc"}}`:              "digest",
		`controller: {allowSnippetAnnotations: true}`:           "allowSnippetAnnotations",
		`controller: {admissionWebhooks: {enabled: true}}`:      "admissionWebhooks",
		`tcp: {"9000": "default/example:9000"}`:                 "tcp",
		`controller: {ingressClassResource: {enabled: "true"}}`: "enabled",
		`controller: {metrics: {enabled: false}}`:               "metrics",
		`controller: {hostNetwork: true}`:                       "hostNetwork",
		`defaultBackend: {enabled: true}`:                       "defaultBackend",
	} {
		if _, err := helm(values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error about %q", values, err, want)
		}
	}
}

// TestChartOfIngressNginx: values which ask for what is so anyway may stay, and change nothing. A flag
// with an empty value is the flag alone, as that chart has it.
func TestChartOfIngressNginx(t *testing.T) {
	plain := helmed(t, "")
	same(t, "objects", helmed(t, `
controller:
  admissionWebhooks: {enabled: false, failurePolicy: Ignore}
  allowSnippetAnnotations: false
  enableAnnotationValidations: true
  hostNetwork: false
  opentelemetry: {enabled: false}
  metrics: {enabled: true}
  service: {internal: {enabled: false}}
defaultBackend: {enabled: false}
tcp: {}
udp: {}
`), plain)
	passing := helmed(t, `controller: {extraArgs: {enable-ssl-passthrough: "", update-status: false}}`)
	pod := passing["Deployment fairlead"].at("spec", "template", "spec").(map[string]any)
	args := pod["containers"].([]any)[0].(map[string]any)["args"].([]any)
	for _, want := range []any{"--enable-ssl-passthrough", "--update-status=false"} {
		if !slices.Contains(args, want) {
			t.Errorf("args %q lack %q", args, want)
		}
	}
}

// TestChartFlags: every flag that the chart gives is one that extraArgs refuses, so that none is given twice.
func TestChartFlags(t *testing.T) {
	helpers, err := os.ReadFile(filepath.Join(manifests, "helm", "fairlead", "templates", "_helpers.tpl"))
	if err != nil {
		t.Fatal(err)
	}
	workload, err := os.ReadFile(filepath.Join(manifests, "helm", "fairlead", "templates", "workload.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	given := regexp.MustCompile(`(?m)^        - --([a-z-]+)`).FindAllStringSubmatch(string(workload), -1)
	if len(given) < 10 {
		t.Fatalf("the chart gives %d flags", len(given))
	}
	for _, flag := range given {
		if !strings.Contains(string(helpers), "\n"+flag[1]+": controller.") {
			t.Errorf("the template fairlead.flags lacks %s", flag[1])
		}
	}
}

// TestMetrics: alerts and dashboard name what docs/metrics.md has, with its labels.
func TestMetrics(t *testing.T) {
	docs, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	labels := make(map[string]string) // by metric; with the suffixes of a histogram
	for _, row := range regexp.MustCompile("(?m)^\\| `(fairlead_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\|").FindAllStringSubmatch(string(docs), -1) {
		labels[row[1]] = row[3]
		if row[2] == "histogram" {
			labels[row[1]+"_bucket"], labels[row[1]+"_count"], labels[row[1]+"_sum"] = row[3]+"`le`", row[3], row[3]
			delete(labels, row[1])
		}
	}
	if len(labels) < 20 {
		t.Fatalf("docs/metrics.md has %d metrics", len(labels))
	}
	for _, name := range []string{"prometheusrule.yaml", "fairlead.json"} {
		content, err := os.ReadFile(filepath.Join(manifests, "components", "monitoring", name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "fairlead.json" && !json.Valid(content) {
			t.Errorf("%s is no JSON", name)
		}
		used := 0
		for _, use := range regexp.MustCompile(`(fairlead_[a-z_]+)(\{[^}]*\})?`).FindAllStringSubmatch(strings.ReplaceAll(string(content), `\"`, `"`), -1) {
			used++
			known, ok := labels[use[1]]
			if !ok {
				t.Errorf("%s: no metric %s in docs/metrics.md", name, use[1])
				continue
			}
			for _, label := range regexp.MustCompile(`([a-z_]+)(=|!)`).FindAllStringSubmatch(use[2], -1) {
				if !strings.Contains(known, "`"+label[1]+"`") {
					t.Errorf("%s: %s has no label %s", name, use[0], label[1])
				}
			}
		}
		if used < 10 {
			t.Errorf("%s names %d metrics", name, used)
		}
	}
}
