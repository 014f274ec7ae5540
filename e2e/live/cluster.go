package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// Options say where a cluster and its fairlead are. All of them are needed.
type Options struct {
	Kubectl    []string // the program, with arguments that every call begins with
	Namespace  string   // of the controller
	Deployment string   // of the controller: one replica, strategy Recreate, no IngressClass
	Address    string   // of the load balancer
	Client     string   // of this process, as the load balancer sees it
	Backends   []string // addresses of Pods that run site/backends
	PodImage   string   // of Pods that are backends
}

// Cluster is where scripts are played, one at a time.
type Cluster struct {
	o          Options
	ca         *site.Authority
	args       []string // of the controller, without a script's
	namespaces map[string]bool
	pods       map[[2]string]string // of backends, by namespace and name: all ports of one are in one Pod
	at         map[site.BackendID]netip.AddrPort
	restarts   int
}

// New looks at the installation.
func New(o Options) (*Cluster, error) {
	ca, err := site.NewAuthority()
	if err != nil {
		return nil, err
	}
	c := &Cluster{o: o, ca: ca, namespaces: map[string]bool{"default": true}, pods: map[[2]string]string{}, at: map[site.BackendID]netip.AddrPort{}}
	out, err := c.kubectl(nil, "get", "deployment", o.Deployment, "-n", o.Namespace, "-o", "jsonpath={.spec.template.spec.containers[0].args}")
	if err != nil {
		return nil, err
	}
	return c, json.Unmarshal([]byte(out), &c.args)
}

// kubectlTime bounds one call.
const kubectlTime = 4 * time.Minute

func (c *Cluster) kubectl(stdin []byte, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), kubectlTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.o.Kubectl[0], append(c.o.Kubectl[1:len(c.o.Kubectl):len(c.o.Kubectl)], args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// apply applies objects, and makes their namespaces first.
func (c *Cluster) apply(all []site.Document) error {
	if len(all) == 0 {
		return nil
	}
	if err := c.ensureNamespaces(all); err != nil {
		return err
	}
	_, err := c.kubectl(join(all), "apply", "--server-side", "--force-conflicts", "-f", "-")
	return err
}

// delete deletes the objects that are there. With wait they are gone when it returns.
func (c *Cluster) delete(all []site.Document, wait bool) error {
	if len(all) == 0 {
		return nil
	}
	_, err := c.kubectl(join(all), "delete", "--ignore-not-found", fmt.Sprintf("--wait=%v", wait), "-f", "-")
	return err
}

func join(all []site.Document) []byte {
	var b bytes.Buffer
	for _, d := range all {
		b.WriteString("---\n")
		b.WriteString(d.Text)
		b.WriteString("\n")
	}
	return b.Bytes()
}

func orDefault(namespace string) string {
	if namespace == "" {
		return "default"
	}
	return namespace
}

// defaultClass makes the class of scripts that have none of their own, or deletes it.
func (c *Cluster) defaultClass(wanted bool) error {
	class := site.Documents([]byte(site.DefaultClass))
	if !wanted {
		return c.delete(class, true)
	}
	return c.apply(class)
}

func (c *Cluster) ensureNamespaces(all []site.Document) error {
	for _, ref := range all {
		if ref.Namespace == "" || c.namespaces[ref.Namespace] {
			continue
		}
		text := fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s}}", ref.Namespace)
		if _, err := c.kubectl([]byte(text), "apply", "--server-side", "-f", "-"); err != nil {
			return err
		}
		// Pods need its ServiceAccount, which comes a moment later.
		err := within(kubectlTime, func() error {
			_, err := c.kubectl(nil, "get", "serviceaccount", "default", "-n", ref.Namespace)
			return err
		})
		if err != nil {
			return err
		}
		c.namespaces[ref.Namespace] = true
	}
	return nil
}

// listen implements site.Listener: the Pods take turns.
func (c *Cluster) listen(id site.BackendID) (netip.AddrPort, error) {
	if at, ok := c.at[id]; ok {
		return at, nil
	}
	certificate, key, err := c.ca.Issue(site.Request{Names: []string{id.Name}})
	if err != nil {
		return netip.AddrPort{}, err
	}
	order, err := json.Marshal(site.Order{ID: id, Certificate: certificate, Key: key})
	if err != nil {
		return netip.AddrPort{}, err
	}
	pod, ok := c.pods[[2]string{id.Namespace, id.Name}]
	if !ok {
		pod = c.o.Backends[len(c.pods)%len(c.o.Backends)]
		c.pods[[2]string{id.Namespace, id.Name}] = pod
	}
	client := http.Client{Timeout: 20 * time.Second}
	resp, err := client.Post("http://"+net.JoinHostPort(pod, "7000")+"/", "application/json", bytes.NewReader(order))
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("backend %s in Pod %s: status %d: %s", id.Name, pod, resp.StatusCode, body)
	}
	if err != nil {
		return netip.AddrPort{}, err
	}
	at, err := netip.ParseAddrPort(string(body))
	if err == nil {
		c.at[id] = at
	}
	return at, err
}

// restart starts the controller anew with further flags, waits until it answers through the load
// balancer, and returns the address of its admin listener.
func (c *Cluster) restart(flags []string) (string, error) {
	c.restarts++
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{"e2e/restart": fmt.Sprint(c.restarts)}},
		"spec":     map[string]any{"containers": []map[string]any{{"name": "fairlead", "args": append(c.args[:len(c.args):len(c.args)], flags...)}}},
	}}})
	if err != nil {
		return "", err
	}
	if _, err := c.kubectl(nil, "patch", "deployment", c.o.Deployment, "-n", c.o.Namespace, "-p", string(patch)); err != nil {
		return "", err
	}
	if _, err := c.kubectl(nil, "rollout", "status", "deployment", c.o.Deployment, "-n", c.o.Namespace, "--timeout=180s"); err != nil {
		return "", err
	}
	var ip string
	err = within(kubectlTime, func() error {
		out, err := c.kubectl(nil, "get", "pods", "-n", c.o.Namespace, "-l", "app.kubernetes.io/name=fairlead", "-o", "jsonpath={.items[*].status.podIP}")
		ips := strings.Fields(out)
		if err == nil && len(ips) != 1 {
			err = fmt.Errorf("want one Pod of the controller, got %q", out)
		}
		ip = strings.Join(ips, "")
		return err
	})
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(ip, "10254"), within(kubectlTime, c.answers)
}

// answers asks whether anybody answers at the load balancer: there is one replica at a time.
func (c *Cluster) answers() error {
	client := http.Client{
		Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Get("http://" + c.o.Address + "/")
	return errors.Join(err, closing(resp))
}

func closing(resp *http.Response) error {
	if resp == nil {
		return nil
	}
	return resp.Body.Close()
}
