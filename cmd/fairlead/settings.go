package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/issuer"
)

// settings are options that were found to make sense.
type settings struct {
	options
	level          zapcore.Level
	trusted        []netip.Prefix
	debug          []netip.Prefix
	defaultBackend upstream.Key
	defaultCert    types.NamespacedName
	publish        types.NamespacedName
	config         types.NamespacedName
	switches       policy.Switches
	authority      issuer.Authority // of --acme
	bodies         proxy.BodyLimits
}

// mistakes collects what is wrong with a command line.
type mistakes []error

func (m *mistakes) usage(format string, args ...any) {
	*m = append(*m, usageError{fmt.Errorf(format, args...)})
}

// prefixes reads CIDRs, and addresses that stand for themselves.
func (m *mistakes) prefixes(flag string, values []string) (list []netip.Prefix) {
	for _, cidr := range values {
		prefix, err := netip.ParsePrefix(cidr)
		if addr, addrErr := netip.ParseAddr(cidr); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			m.value(flag, cidr, "a CIDR such as 10.0.0.0/8")
			continue
		}
		list = append(list, prefix.Masked())
	}
	return list
}

func (m *mistakes) value(flag, value, want string) { m.usage("--%s: %q is not %s", flag, value, want) }

// check reads the options' values and reports every mistake at once.
func (o options) check() (settings, error) {
	s := settings{options: o}
	var bad mistakes
	s.applyForeign(&bad)
	s.checkTranslation(&bad)
	s.checkSource(&bad)
	s.checkAddresses(&bad)
	s.publish = namedObject(&bad, "publish-service", o.publishService)
	if o.publishService != "" && len(o.publishStatusAddresses) > 0 {
		bad.usage("--publish-service and --publish-status-address both say what to publish: give one")
	}
	if o.electionID != "" && !dnsName.MatchString(o.electionID) {
		bad.value("election-id", o.electionID, "the name of an object")
	}
	s.checkACME(&bad)
	s.trusted = bad.prefixes("trusted-proxies", o.trustedProxies)
	s.debug = bad.prefixes("debug-header-cidrs", o.debugClients)
	s.checkBodies(&bad)
	if o.maxConnections < 0 {
		bad.value("max-connections", strconv.Itoa(o.maxConnections), "a number of connections, or 0 for what the open files allow")
	}
	switch o.accessLog {
	case "json", "nginx", "off":
	default:
		bad.value("access-log", o.accessLog, "json, nginx or off")
	}
	switch proxy.Engine(o.engine) {
	case "", proxy.HTTP1, proxy.NetHTTP:
	default:
		bad.value("engine", o.engine, "http1 or net/http")
	}
	switch o.logLevel {
	case "debug", "info", "warn", "error":
		s.level, _ = zapcore.ParseLevel(o.logLevel) // is one of them
	default:
		bad.value("log-level", o.logLevel, "debug, info, warn or error")
	}
	for _, d := range []struct {
		flag       string
		value, min time.Duration
	}{
		{"shutdown-delay", o.shutdownDelay, 0},
		{"drain-timeout", o.drainTimeout, 0},
		{"election-ttl", o.electionTTL, 2 * time.Second},
	} {
		if d.value < d.min {
			bad.value(d.flag, d.value.String(), fmt.Sprintf("a duration of at least %s", d.min))
		}
	}
	return s, errors.Join(bad...)
}

// checkTranslation reads what decides how objects are understood.
func (s *settings) checkTranslation(bad *mistakes) {
	for _, class := range s.controllerClasses {
		if class == "" {
			bad.value("controller-class", class, "a controller's name such as "+ingress.Controller)
		}
	}
	s.config = namedObject(bad, "configmap", s.configMap)
	for _, q := range s.quirks {
		name, value, _ := strings.Cut(q, "=")
		if value != "on" && value != "off" {
			bad.value("quirk", q, "a name with =on or =off")
		} else if err := s.switches.Switch(name, value == "on"); err != nil {
			bad.usage("--quirk: %w", err)
		}
	}
	s.defaultCert = namedObject(bad, "default-ssl-certificate", s.defaultSSLCertificate)
	s.acme.checkTranslation(bad)
	if s.defaultBackendService != "" {
		service, port, hasPort := strings.Cut(s.defaultBackendService, ":")
		n := namedObject(bad, "default-backend-service", service)
		if hasPort && !dnsName.MatchString(port) {
			bad.value("default-backend-service", s.defaultBackendService, "namespace/name or namespace/name:port")
		}
		s.defaultBackend = upstream.Key{Namespace: n.Namespace, Service: n.Name, Port: port}
	}
}

// translation is how the objects are to be understood. checkTranslation was called.
func (s *settings) translation() ingress.Options {
	return ingress.Options{
		ControllerClasses: s.controllerClasses, IngressClass: s.ingressClass, IngressClassByName: s.ingressClassByName,
		WatchWithoutClass: s.watchWithoutClass, DisableCatchAll: s.disableCatchAll, DisableExternalName: s.disableExternalName,
		DefaultBackend: s.defaultBackend, DefaultCertificate: s.defaultCert, ConfigMap: s.config, Quirks: s.switches,
		ACMENamespace: s.acme.storedIn(),
		ProxyProtocol: s.proxyProtocol, Passthrough: s.sslPassthrough,
	}
}

func (s *settings) checkSource(bad *mistakes) {
	switch {
	case s.manifests == "":
	case s.kubeconfig != "" || s.apiserverHost != "":
		bad.usage("--manifests serves a directory, --kubeconfig and --apiserver-host a cluster: give one")
	default:
		if info, err := os.Stat(s.manifests); err != nil {
			*bad = append(*bad, fmt.Errorf("--manifests: %w", err))
		} else if !info.IsDir() {
			bad.value("manifests", s.manifests, "a directory")
		}
	}
}

func (s *settings) checkAddresses(bad *mistakes) {
	for _, a := range []struct{ flag, address string }{
		{"http-address", s.httpAddress}, {"https-address", s.httpsAddress}, {"admin-address", s.adminAddress},
	} {
		if a.address == "" && a.flag != "admin-address" {
			continue
		}
		if _, port, err := net.SplitHostPort(a.address); err != nil {
			bad.value(a.flag, a.address, "host:port")
		} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			bad.value(a.flag, a.address, "host:port with a port of 0 to 65535")
		}
	}
	if s.httpAddress == "" && s.httpsAddress == "" {
		bad.usage("--http-address and --https-address are both empty: nothing would be served")
	}
}

// namedObject reads namespace/name.
func namedObject(bad *mistakes, flag, value string) (n types.NamespacedName) {
	if value == "" {
		return n
	}
	var ok bool
	n.Namespace, n.Name, ok = strings.Cut(value, "/")
	if !ok || !dnsName.MatchString(n.Namespace) || !dnsName.MatchString(n.Name) {
		bad.value(flag, value, "namespace/name")
	}
	return n
}

var dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

// replicas is how the others are found that share limits with this one; the zero value when each
// has limits of its own, or with a directory, which has no replicas.
func (s *settings) replicas() k8s.Replicas {
	if s.manifests != "" || s.limitsPerReplica {
		return k8s.Replicas{}
	}
	return k8s.Replicas{Service: s.publish, Pod: k8s.PodName()}
}
