// Package live plays behaviour scripts at a fairlead that is installed in a cluster: its Pod is
// started anew for each, with the flags of the script, when the first objects are there.
package live

import (
	"crypto/x509"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/site"
)

// Site is a script's part of a Cluster. It implements script.Site. Errors have what kubectl said.
type Site struct {
	cluster *Cluster
	admin   string // address of the admin listener
	pods    bool   // backends are Pods of their own
	files   map[string][]byte
	order   []string // of their names, as they were first applied
}

// Start applies the first files of a script and starts the controller with its flags. With pods
// every backend is a Pod of its own that its Service selects, else a port of one that EndpointSlices
// name. What Start has made is removed by Stop, also after an error.
func (c *Cluster) Start(files map[string][]byte, flags []string, pods bool) (*Site, error) {
	s := &Site{cluster: c, pods: pods, files: map[string][]byte{}}
	names := make([]string, 0, len(files))
	own := false
	for name, objects := range files {
		names = append(names, name)
		own = own || site.HasClass(objects)
	}
	// Classes first: what is made before its default class has none.
	slices.SortFunc(names, func(a, b string) int {
		if x, y := site.HasClass(files[a]), site.HasClass(files[b]); x != y {
			return map[bool]int{true: -1, false: 1}[x]
		}
		return strings.Compare(a, b)
	})
	if err := c.defaultClass(!own); err != nil {
		return s, err
	}
	var first []site.Document
	for _, name := range names {
		full, err := s.complete(files[name])
		if err != nil {
			return s, err
		}
		s.order = append(s.order, filepath.Base(name))
		s.files[filepath.Base(name)] = full
		first = append(first, site.Documents(full)...)
	}
	if err := s.create(first); err != nil {
		return s, err
	}
	if pods {
		if _, err := c.kubectl(nil, "wait", "pods", "-A", "-l", site.PodLabel, "--for=condition=Ready", "--timeout=120s"); err != nil {
			return s, err
		}
	}
	var err error
	s.admin, err = c.restart(flags)
	return s, err
}

// create applies objects: those that say when they were made after the others and in that order,
// as old as each other where they say the same. The API server counts their ages in seconds.
func (s *Site) create(all []site.Document) error {
	groups := map[string][]site.Document{}
	for _, d := range all {
		groups[d.Created] = append(groups[d.Created], d)
	}
	for _, created := range slices.Sorted(maps.Keys(groups)) {
		if created != "" {
			now := time.Now()
			<-time.After(now.Truncate(time.Second).Add(time.Second + 10*time.Millisecond).Sub(now))
		}
		if err := s.cluster.apply(groups[created]); err != nil {
			return err
		}
	}
	return nil
}

// Apply applies a file of objects and deletes those that the file of this name had before and
// has no more.
func (s *Site) Apply(name string, objects []byte) error {
	full, err := s.complete(objects)
	if err != nil {
		return err
	}
	before, again := s.files[name]
	if !again {
		s.order = append(s.order, name)
	}
	s.files[name] = full
	now := site.Documents(full)
	if err := s.cluster.apply(now); err != nil {
		return err
	}
	gone := slices.DeleteFunc(site.Documents(before), func(d site.Document) bool {
		return slices.ContainsFunc(now, func(n site.Document) bool { return n.Ref == d.Ref })
	})
	return s.cluster.delete(gone, false)
}

func (s *Site) complete(objects []byte) ([]byte, error) {
	if s.pods {
		return site.CompletePods(objects, s.cluster.o.PodImage, s.cluster.ca)
	}
	return site.Complete(objects, s.cluster.listen, s.cluster.ca)
}

// Delete deletes the objects of a file.
func (s *Site) Delete(name string) error {
	text, ok := s.files[name]
	if !ok {
		return fmt.Errorf("%s was not applied", name)
	}
	delete(s.files, name)
	s.order = slices.DeleteFunc(s.order, func(n string) bool { return n == name })
	return s.cluster.delete(site.Documents(text), false)
}

// Stop deletes what the script has made.
func (s *Site) Stop() error {
	var all []site.Document
	for _, name := range slices.Backward(s.order) {
		all = append(all, site.Documents(s.files[name])...)
	}
	return s.cluster.delete(all, s.pods)
}

// Address is the load balancer's, but for the admin port, which it does not lead to.
func (s *Site) Address(listener string) string {
	if listener == "admin" {
		return s.admin
	}
	return s.cluster.o.Address + map[string]string{"http": ":80", "https": ":443"}[listener]
}

// Client is where this process connects from, which the load balancer leaves as it is.
func (s *Site) Client() string { return s.cluster.o.Client }

// Roots has the authority of the Secrets.
func (s *Site) Roots() *x509.CertPool { return s.cluster.ca.Roots }

// Log is the end of the controller's log.
func (s *Site) Log() string {
	out, err := s.cluster.kubectl(nil, "logs", "-n", s.cluster.o.Namespace, "deployment/"+s.cluster.o.Deployment, "--tail=50")
	if err != nil {
		return err.Error()
	}
	return out
}

// Published are the addresses in the status of an Ingress, with spaces between.
func (s *Site) Published(ref site.Ref) (string, error) {
	out, err := s.cluster.kubectl(nil, "get", "ingress", ref.Name, "-n", orDefault(ref.Namespace), "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
	return strings.TrimSpace(out), err
}

// Ingresses are those that are there now.
func (s *Site) Ingresses() []site.Ref {
	var found []site.Ref
	for _, name := range s.order {
		for _, d := range site.Documents(s.files[name]) {
			if d.Kind == "Ingress" {
				found = append(found, d.Ref)
			}
		}
	}
	return found
}

// within repeats ask until it is content. The error is its last.
func within(d time.Duration, ask func() error) error {
	deadline := time.Now().Add(d)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}
