package cluster

import (
	"encoding/json"
	"errors"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// explanation is what the commands print with -o json.
type explanation struct {
	Verdict     string
	FirstBroken *string
	Steps       []explanationStep
	Findings    []explanationStep // of doctor
}

type explanationStep struct{ Name, Verdict, Reason, Detail, Remedy string }

func (e explanation) step(name string) (s explanationStep) {
	for _, s := range append(e.Steps, e.Findings...) {
		if s.Name == name {
			return s
		}
	}
	return s
}

// command runs fairlead, which may find something broken.
func (c *Cluster) command(t *testing.T, args ...string) explanation {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary(fairlead), append(args, "-o", "json")...).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		if exit != nil {
			out = exit.Stderr
		}
		t.Fatalf("fairlead %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	var e explanation
	if err := json.Unmarshal(out, &e); err != nil {
		t.Fatalf("fairlead %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return e
}

// TestExplainCluster asks explain and doctor about a real API server: what they find in its objects,
// and the rights that the controller lacks.
func TestExplainCluster(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	deploy := filepath.Join(moduleDir(), "..", "..", "deploy")
	c.Kubectl(t, "apply", "-k", filepath.Join(deploy, "base"))
	c.Kubectl(t, "create", "namespace", "shop")
	c.Apply(t, site("shop", "web"))
	explain := func() explanation {
		return c.command(t, "explain", "--kubeconfig", c.Kubeconfig, "--resolve", "web.example:80:192.0.2.1", "http://web.example/")
	}
	doctor := func() explanation { return c.command(t, "doctor", "--kubeconfig", c.Kubeconfig) }

	e := explain()
	if s := e.step("endpoints"); e.FirstBroken == nil || *e.FirstBroken != "listener" || s.Reason != "NoEndpoints" {
		t.Errorf("without endpoints and a load balancer: first broken %v, endpoints %+v", e.FirstBroken, s)
	}
	if s := e.step("listener"); s.Reason != "LoadBalancerPending" {
		t.Errorf("the Service of the controller: %+v", s)
	}
	for _, name := range []string{"pods", "networkpolicy"} {
		if s := e.step(name); strings.HasSuffix(s.Reason, "NotRead") {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, f := range doctor().Findings {
		if f.Reason == "RightMissing" || f.Reason == "SurroundingsNotRead" {
			t.Errorf("with the rights of deploy/: %+v", f)
		}
	}
	c.Apply(t, slice("shop", "web", c.Backend(t, "web")))
	if s := explain().step("endpoints"); s.Verdict != "ok" {
		t.Errorf("with an endpoint: %+v", s)
	}

	// A running instance may read what explanations need, and says so of itself.
	f := serveDeployed(t, c, deploy, "base", "fairlead", nil)
	f.WaitReady(t)
	ask := func() (e explanation) {
		a := f.Admin("/debug/explain?" + url.Values{"url": {"http://web.example/"}}.Encode())
		if err := json.Unmarshal([]byte(a.Body), &e); err != nil {
			t.Fatalf("%v: %s", err, a.Body)
		}
		return e
	}
	running := ask()
	for _, s := range running.Steps {
		if strings.HasSuffix(s.Reason, "NotRead") || s.Reason == "RightMissing" {
			t.Errorf("in the instance: %+v", s)
		}
	}
	refused(t, c, "fairlead")

	c.Kubectl(t, "patch", "clusterrole", "fairlead", "--type=json", "-p", `[{"op":"test","path":"/rules/2/resources/0","value":"endpointslices"},{"op":"remove","path":"/rules/2"}]`)
	Eventually(t, soon, "explain tells of the right that was taken away", func() bool {
		s := explain().step("endpoints")
		return s.Verdict == "broken" && s.Reason == "RightMissing" && strings.Contains(s.Detail, "list endpointslices, watch endpointslices")
	})
	found := false
	for _, f := range doctor().Findings {
		found = found || f.Reason == "RightMissing" && f.Name == "endpoints"
	}
	if !found {
		t.Error("doctor does not tell of the right that was taken away")
	}
	Eventually(t, soon, "so does the instance of itself", func() bool { return ask().step("endpoints").Reason == "RightMissing" })
}

// TestExplainNamespace asks about an installation for one namespace, with the rights that it has itself.
func TestExplainNamespace(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	c.Kubectl(t, "apply", "-k", deployDir("overlays", "namespaced"))
	c.Apply(t, site("default", "web")+slice("default", "web", c.Backend(t, "web")))
	flags := func(kubeconfig string) []string {
		return []string{"--kubeconfig", kubeconfig, "--watch-namespace", "default"}
	}
	own := c.ServiceAccount(t, "default", "fairlead")
	e := c.command(t, append([]string{"explain", "--resolve", "web.example:80:192.0.2.1", "http://web.example/"}, flags(own)...)...)
	if s := e.step("endpoints"); s.Verdict != "ok" {
		t.Errorf("with its own rights: %+v", s)
	}
	for _, f := range c.command(t, append([]string{"doctor"}, flags(c.Kubeconfig)...)...).Findings {
		if f.Reason == "RightMissing" {
			t.Errorf("with the rights of deploy/: %+v", f)
		}
	}
	c.Kubectl(t, "patch", "role", "fairlead", "--type=json", "-p", `[{"op": "replace", "path": "/rules", "value": []}]`)
	s := c.command(t, append([]string{"explain", "--resolve", "web.example:80:192.0.2.1", "http://web.example/"}, flags(c.Kubeconfig)...)...).step("endpoints")
	if want := "-n default --as system:serviceaccount:default:fairlead"; s.Reason != "RightMissing" || !strings.HasSuffix(s.Remedy, want) {
		t.Errorf("without rights: %+v, want RightMissing and a remedy with %s", s, want)
	}
}
