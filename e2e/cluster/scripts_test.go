package cluster

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// backendsDeployment are the Pods that the backends of scripts are in: on both nodes.
const backendsDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: backends, namespace: scripts}
spec:
  replicas: 4
  selector: {matchLabels: {app: backends}}
  template:
    metadata: {labels: {app: backends}}
    spec:
      containers:
      - name: backends
        image: test.local/backends:1
        env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
        readinessProbe: {httpGet: {path: /, port: 7000}, periodSeconds: 1, timeoutSeconds: 10}
---
`

// settingsRights let the controller read the ConfigMaps that scripts name: the chart gives that right for those that
// it makes, in its own namespace.
const settingsRights = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: settings, namespace: default}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: settings, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: settings}
subjects: [{kind: ServiceAccount, name: fairlead, namespace: fairlead}]
---
`

// scriptParts is in how many parts the scripts are played, side by side: they are mostly waited for.
const scriptParts = 2

// TestScripts plays the behaviour scripts of e2e/testdata, those of the conformance suite among
// them, at the chart as it is installed: one replica, since two learn of a change one after the
// other, which no script is about. FAIRLEAD_E2E_SCRIPTS is a regular expression for those to play.
func TestScripts(t *testing.T) {
	t.Parallel()
	for part := range scriptParts {
		t.Run(fmt.Sprintf("part %d", part+1), func(t *testing.T) {
			t.Parallel()
			playScripts(t, part)
		})
	}
}

func playScripts(t *testing.T, part int) {
	// The only replica is away for a moment before each script: the load balancer waits for it.
	c := Start(t, Options{Nodes: 2, FailuresOut: 1000})
	for _, ns := range []string{"scripts", "fairlead"} {
		c.Kubectl(t, "create", "namespace", ns)
	}
	c.Apply(t, settingsRights+backendsDeployment+helmTemplate(t, "fairlead", "fairlead", `
controller:
  replicaCount: 1
  updateStrategy: {type: Recreate}
  shutdownDelaySeconds: 0
  ingressClassResource: {enabled: false}
  nodeSelector: {kubernetes.io/hostname: node1}
`))
	c.Rollout(t, "kube-system", "deployment/coredns")
	c.Rollout(t, "scripts", "deployment/backends")
	c.Rollout(t, "fairlead", "deployment/fairlead")
	f := c.Installed(t, "fairlead", "fairlead")
	pods := strings.Fields(c.Kubectl(t, "get", "pods", "-n", "scripts", "-l", "app=backends", "-o", "jsonpath={.items[*].status.podIP}"))

	some := os.Getenv("FAIRLEAD_E2E_SCRIPTS")
	begin := time.Now()
	p := startProcess(t, "scripts", binary("scripts"), nil, "-test.v", "-test.timeout=20m", "-test.run=^TestScripts$/("+some+")",
		fmt.Sprintf("-part=%d", part), fmt.Sprintf("-parts=%d", scriptParts),
		"-kubectl="+strings.Join([]string{binary(controlPlane), "kubectl", "--kubeconfig", c.Kubeconfig}, ","),
		"-deployment=fairlead/fairlead", "-address="+f.Address, "-client="+c.IP.String(), "-backends="+strings.Join(pods, ","),
		"-pod-image=test.local/web:1", "-testdata="+moduleDir()+"/../testdata")
	err := p.Wait(t, 21*time.Minute)
	results := map[string]int{}
	for _, result := range regexp.MustCompile(`(?m)^    --- (PASS|FAIL|SKIP): TestScripts/`).FindAllStringSubmatch(p.Log(), -1) {
		results[result[1]]++
	}
	t.Logf("%v in %v", results, time.Since(begin).Round(time.Second))
	if err != nil || results["FAIL"] > 0 || results["PASS"] < 50/scriptParts && some == "" {
		t.Errorf("scripts: %v, %v\n%s", results, err, p.Log())
	}
}
