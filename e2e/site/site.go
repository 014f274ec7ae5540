package site

import (
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
)

// Site is a directory of manifests, a fairlead that serves it, and the backends. It
// implements script.Site.
type Site struct {
	*Process
	dir      string
	ca       *Authority
	backends *Backends
}

// Options say how a Site is made.
type Options struct {
	Binary string
	Dir    string // an empty directory of its own, for the manifests
	// Files are the manifests to begin with, by name. Unless one of them has an
	// IngressClass, a default one is added.
	Files map[string][]byte
	// Flags are added to those that the site needs.
	Flags []string
}

// Start makes a Site and waits until it is ready.
func Start(o Options) (*Site, error) {
	ca, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	s := &Site{dir: o.Dir, ca: ca, backends: NewBackends(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ca)}
	own := false
	for name, objects := range o.Files {
		own = own || HasClass(objects)
		if err := s.Apply(name, objects); err != nil {
			return nil, err
		}
	}
	if !own {
		if err := s.Apply("class.yaml", []byte(DefaultClass)); err != nil {
			return nil, err
		}
	}
	s.Process, err = StartProcess(o.Binary, append([]string{
		"serve", "--manifests", o.Dir,
		"--http-address", "127.0.0.1:0", "--https-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0",
		"--shutdown-delay", "0s",
	}, o.Flags...)...)
	if err != nil {
		s.backends.Close()
		return nil, err
	}
	return s, nil
}

var classObject = regexp.MustCompile(`(?m)^kind: IngressClass$`)

// HasClass reports whether a file has an IngressClass, so that DefaultClass is not wanted.
func HasClass(objects []byte) bool { return classObject.Match(objects) }

// DefaultClass is the class of scripts that have none of their own.
const DefaultClass = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: fairlead
  annotations:
    ingressclass.kubernetes.io/is-default-class: "true"
spec:
  controller: fairlead.dev/ingress-controller
`

// Stop ends the process, then the backends. The error is the process's.
func (s *Site) Stop() error {
	err := s.Process.Stop()
	s.backends.Close()
	return err
}

// Apply writes a file of manifests in place of the one of that name. It is not seen half
// written.
func (s *Site) Apply(name string, objects []byte) error {
	full, err := Complete(objects, s.backends.Listen, s.ca)
	if err != nil {
		return err
	}
	// A dot file is no manifest; the rename makes it one.
	hidden := filepath.Join(s.dir, "."+name)
	if err := os.WriteFile(hidden, full, 0o600); err != nil {
		return err
	}
	return os.Rename(hidden, filepath.Join(s.dir, name))
}

// Delete removes a file of manifests.
func (s *Site) Delete(name string) error { return os.Remove(filepath.Join(s.dir, name)) }

// Client is the loopback address: what this process connects from.
func (*Site) Client() string { return "127.0.0.1" }

// Roots has the authority of the site's Secrets.
func (s *Site) Roots() *x509.CertPool { return s.ca.Roots }
