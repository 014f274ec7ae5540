package site

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/fairlead-ingress/fairlead/e2e/echo"
)

// Site is a directory of manifests, a fairlead that serves it, and the backends. It
// implements script.Site.
type Site struct {
	*Process
	dir string
	ca  *Authority

	mu       sync.Mutex
	backends map[BackendID]netip.AddrPort
	servers  []*http.Server
	refusals []*refusing
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
	s := &Site{dir: o.Dir, ca: ca, backends: map[BackendID]netip.AddrPort{}}
	own := false
	for name, objects := range o.Files {
		own = own || classObject.Match(objects)
		if err := s.Apply(name, objects); err != nil {
			return nil, err
		}
	}
	if !own {
		if err := s.Apply("class.yaml", []byte(defaultClass)); err != nil {
			return nil, err
		}
	}
	s.Process, err = StartProcess(o.Binary, append([]string{
		"serve", "--manifests", o.Dir,
		"--http-address", "127.0.0.1:0", "--https-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0",
		"--shutdown-delay", "0s",
	}, o.Flags...)...)
	if err != nil {
		s.closeBackends()
		return nil, err
	}
	return s, nil
}

var classObject = regexp.MustCompile(`(?m)^kind: IngressClass$`)

const defaultClass = `apiVersion: networking.k8s.io/v1
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
	s.closeBackends()
	return err
}

// Apply writes a file of manifests in place of the one of that name. It is not seen half
// written.
func (s *Site) Apply(name string, objects []byte) error {
	full, err := Complete(objects, s.listen, s.ca)
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

// listen implements Listener. A backend that was started stays until the site stops, also
// when no EndpointSlice names it any more: a Pod that is being deleted goes on for a while.
func (s *Site) listen(id BackendID) (netip.AddrPort, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.backends[id]; ok {
		return at, nil
	}
	if id.Refuses {
		r, err := newRefusing()
		if err != nil {
			return netip.AddrPort{}, err
		}
		s.refusals = append(s.refusals, r)
		s.backends[id] = r.at
		return r.at, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	s.backends[id] = at
	server, err := s.newServer(id)
	if err != nil {
		return netip.AddrPort{}, err
	}
	s.servers = append(s.servers, server)
	go func() {
		if server.TLSConfig != nil {
			_ = server.ServeTLS(l, "", "") // returns when the site stops
			return
		}
		_ = server.Serve(l) // likewise
	}()
	return at, nil
}

// newServer makes the server of a backend for the protocol that its Service announces.
func (s *Site) newServer(id BackendID) (*http.Server, error) {
	server := &http.Server{
		Handler:           echo.Backend{Name: id.Name, Port: id.Port},
		ReadHeaderTimeout: 10 * time.Second,
		Protocols:         new(http.Protocols),
	}
	switch id.Protocol {
	case "kubernetes.io/h2c":
		server.Protocols.SetUnencryptedHTTP2(true)
	case "https":
		conf, err := s.ca.serverConfig(id.Name)
		if err != nil {
			return nil, err
		}
		server.TLSConfig = conf
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetHTTP2(true)
	case "", "http", "kubernetes.io/ws":
		server.Protocols.SetHTTP1(true)
	default:
		return nil, fmt.Errorf("backend %s: want appProtocol http, https, kubernetes.io/h2c or kubernetes.io/ws, got %q", id.Name, id.Protocol)
	}
	return server, nil
}

func (s *Site) closeBackends() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, server := range s.servers {
		_ = server.Close() // they only serve tests
	}
	for _, r := range s.refusals {
		r.close()
	}
}
