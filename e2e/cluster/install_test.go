package cluster

import (
	"net/http"
	"path/filepath"
	"testing"
)

// TestInstall installs the manifests of deploy/ on nodes and asks through the address that the
// load balancer gave: the way of a user.
func TestInstall(t *testing.T) {
	c := Start(t, Options{Nodes: 2})
	c.Kubectl(t, "apply", "-k", filepath.Join(moduleDir(), "..", "..", "deploy", "base"))
	c.Kubectl(t, "create", "namespace", "shop")
	c.Apply(t, webDeployment("shop", "web", 2)+site("shop", "web")+webService("shop", "web"))
	c.Rollout(t, "kube-system", "deployment/coredns")
	c.Rollout(t, "fairlead", "deployment/fairlead")
	c.Rollout(t, "shop", "deployment/web")
	f := c.Installed(t, "fairlead", "fairlead")
	Eventually(t, soon, "web.example is served", func() bool { return f.Get("web.example/").Status == http.StatusOK })
	Eventually(t, soon, "the status has the address", func() bool { return published(t, c, "shop", "web") == f.Address })
}
