package cluster

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const addresses = "jsonpath={.status.loadBalancer.ingress[*].ip}"

// TestServe is the way of a user: objects by kubectl, requests, status and Events.
func TestServe(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{})
	one, two := c.Backend(t, "one"), c.Backend(t, "two")
	c.Apply(t, ourClass+site("default", "web")+slice("default", "web", one))
	f := c.Serve(t, InstanceOptions{Args: []string{"--publish-status-address", "192.0.2.10"}})
	f.WaitReady(t)
	if a := f.Get("web.example/"); a.Status != http.StatusOK || a.Backend != "one" {
		t.Fatalf("web.example: %+v, want 200 from one", a)
	}

	t.Run("new Ingress", func(t *testing.T) {
		c.Apply(t, site("default", "new")+slice("default", "new", two))
		Eventually(t, soon, "new.example is served", func() bool { return f.Get("new.example/").Backend == "two" })
	})
	t.Run("endpoints", func(t *testing.T) {
		before := f.Admin("/debug/table").Body
		c.Apply(t, slice("default", "web", two))
		Eventually(t, soon, "web.example is served by two", func() bool { return f.Get("web.example/").Backend == "two" })
		if after := f.Admin("/debug/table").Body; after != before {
			t.Errorf("a change of endpoints changed the table from\n%s\nto\n%s", before, after)
		}
	})
	t.Run("status", func(t *testing.T) {
		for _, name := range []string{"web", "new"} {
			Eventually(t, soon, "the address is in the status of "+name, func() bool {
				return c.Kubectl(t, "get", "ingress", name, "-o", addresses) == "192.0.2.10"
			})
		}
	})
	t.Run("other class", func(t *testing.T) {
		foreign := strings.ReplaceAll(site("default", "foreign"), "ingressClassName: fairlead", "ingressClassName: another")
		c.Apply(t, `{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: another}, spec: {controller: example.com/other}}
---
`+foreign+site("default", "after"))
		Eventually(t, soon, "what came after it is known", func() bool { return f.Get("after.example/").Status == http.StatusServiceUnavailable })
		if a := f.Get("foreign.example/"); a.Status != http.StatusNotFound {
			t.Errorf("foreign.example: status %d, want 404", a.Status)
		}
		Eventually(t, soon, "what came after it has an address", func() bool {
			return c.Kubectl(t, "get", "ingress", "after", "-o", addresses) != ""
		})
		if got := c.Kubectl(t, "get", "ingress", "foreign", "-o", addresses); got != "" {
			t.Errorf("the foreign Ingress has address %q, want none", got)
		}
	})
	t.Run("events", func(t *testing.T) {
		c.Apply(t, site("default", "broken"))
		Eventually(t, soon, "an Event", func() bool {
			return strings.Contains(c.Kubectl(t, "describe", "ingress", "broken"), "NoEndpoints")
		})
		Eventually(t, soon, "the port's error in the status", func() bool {
			return strings.Contains(c.Kubectl(t, "get", "ingress", "broken", "-o", "jsonpath={.status.loadBalancer.ingress[*].ports[*].error}"), "fairlead.dev/NoEndpoints")
		})
		c.Apply(t, slice("default", "broken", one))
		Eventually(t, soon, "no error in the status", func() bool {
			return c.Kubectl(t, "get", "ingress", "broken", "-o", "jsonpath={.status.loadBalancer.ingress}") == `[{"ip":"192.0.2.10"}]`
		})
	})
	t.Run("class changes away", func(t *testing.T) {
		c.Kubectl(t, "patch", "ingress", "new", "--type=merge", "-p", `{"spec":{"ingressClassName":"another"}}`)
		Eventually(t, soon, "it is not served", func() bool { return f.Get("new.example/").Status == http.StatusNotFound })
		Eventually(t, soon, "it has no address", func() bool { return c.Kubectl(t, "get", "ingress", "new", "-o", addresses) == "" })
	})
	t.Run("certificates", func(t *testing.T) { certificates(t, c, f) })
	t.Run("shutdown", func(t *testing.T) {
		if err := f.Terminate(t, time.Minute); err != nil {
			t.Errorf("exit: %v", err)
		}
		if got := c.Kubectl(t, "get", "ingress", "web", "-o", addresses); got != "192.0.2.10" {
			t.Errorf("after the end the address is %q, want it left there", got)
		}
		if got := c.Kubectl(t, "get", "lease", "fairlead-leader", "-o", "jsonpath={.spec.holderIdentity}"); got != "" {
			t.Errorf("the Lease is still held by %q", got)
		}
	})
}

func certificates(t *testing.T, c *Cluster, f *Instance) {
	crt, key := keyPair(t, "secure.example")
	secure := strings.Replace(site("default", "secure"), "  rules:", "  tls: [{hosts: [secure.example], secretName: secure}]\n  rules:", 1)
	c.Apply(t, secure)
	names := func(part string) func() bool {
		return func() bool { return strings.Contains(f.Certificate(t, "secure.example"), part) }
	}
	Eventually(t, soon, "the default certificate says that the Secret is missing", names("not found"))

	// A Secret of the wrong type is not in the watch on kubernetes.io/tls. It is noticed because
	// an Ingress names it.
	c.Kubectl(t, "create", "secret", "generic", "secure", "--from-file=tls.crt="+crt, "--from-file=tls.key="+key)
	Eventually(t, soon, "the default certificate says that the type is wrong", names("is of type"))
	Eventually(t, soon, "an Event says so", func() bool {
		return strings.Contains(c.Kubectl(t, "describe", "ingress", "secure"), "SecretWrongType")
	})
	c.Kubectl(t, "delete", "secret", "secure")
	Eventually(t, soon, "the Secret is missing again", names("not found"))
	c.Kubectl(t, "create", "secret", "tls", "secure", "--cert="+crt, "--key="+key)
	Eventually(t, soon, "the certificate is served", func() bool { return f.Certificate(t, "secure.example") == "secure.example" })
	c.Kubectl(t, "delete", "secret", "secure")
	Eventually(t, soon, "the default certificate is served", names("not found"))
}
