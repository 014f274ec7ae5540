package ingress

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// noRoute answers for a path that no rule of the Ingress has and that a policy speaks of.
var noRoute = proxy.Answer{Status: 404, Reason: "no-path-rule"}

// profile is whose behaviour the Ingresses of a class get.
func (cs *Classes) profile(c Claim) policy.Profile {
	if c.Object == nil {
		return cs.options.profile()
	}
	return profileOf(c.Object.Spec.Controller)
}

// profile is whose behaviour counts without an IngressClass to tell: that of the controllers that
// are ours, if that is but one.
func (o *Options) profile() policy.Profile {
	if len(o.ControllerClasses) == 1 {
		return profileOf(o.ControllerClasses[0])
	}
	return policy.Spec
}

func profileOf(controller string) policy.Profile {
	if controller == NginxController {
		return policy.Nginx
	}
	return policy.Spec
}

// stale reports whether what e asks for was read with other settings, or from other Secrets
// or ConfigMaps than those of s.
func (e *entry) stale(s *Snapshot, set *settings) bool {
	if e.settings != set {
		return true
	}
	for name, secret := range e.authSecrets {
		if s.Secrets[name] != secret {
			return true
		}
	}
	for name, config := range e.configMaps {
		if s.ConfigMaps[name] != config {
			return true
		}
	}
	return false
}

// configMapData returns the data of a ConfigMap of the Ingress's namespace, and notes that it was
// read.
func (r *reader) configMapData(name string) map[string]string {
	at := types.NamespacedName{Namespace: r.ingress.Namespace, Name: name}
	if r.configMaps == nil {
		r.configMaps = make(map[types.NamespacedName]*corev1.ConfigMap)
	}
	r.configMaps[at] = r.snapshot.ConfigMaps[at]
	return configData(r.configMaps[at])
}

// secretData returns the data of a Secret that a policy is made of, and notes that it was.
func (r *reader) secretData(namespace, name string) map[string][]byte {
	at := types.NamespacedName{Namespace: namespace, Name: name}
	secret := r.snapshot.Secrets[at]
	if r.authSecrets == nil {
		r.authSecrets = make(map[types.NamespacedName]*corev1.Secret)
	}
	r.authSecrets[at] = secret
	if secret == nil {
		return nil
	}
	if secret.Data == nil {
		return map[string][]byte{}
	}
	return secret.Data
}

// hostPolicies returns set as the rules of one host have it, nil when that is none: redirects
// to HTTPS are of hosts with TLS, unless they are for always. Equal sets are one.
func (r *reader) hostPolicies(host string, set policy.Set) *policy.Set {
	set.ACME = nil // it is of certificates, and makes no other rule
	set.Aliases = nil
	if set.SSLRedirect != nil && !set.SSLRedirect.Always && !r.hasTLS(host) {
		if r.borrowsTLS(host) {
			set.Quirks = set.Quirks.With(policy.QuirkAnyTLSSection)
		} else {
			set.SSLRedirect = nil
		}
	}
	if reflect.DeepEqual(set, policy.Set{}) {
		return nil
	}
	for _, have := range r.variants {
		if reflect.DeepEqual(*have, set) {
			return have
		}
	}
	r.variants = append(r.variants, &set)
	return &set
}

// borrowsTLS reports whether a TLS section counts for host that is not for it.
func (r *reader) borrowsTLS(host string) bool {
	return r.quirks.Has(policy.QuirkAnyTLSSection) && (r.factsOf(host)&factTLS != 0 || len(r.ingress.Spec.TLS) > 0)
}

// hasTLS reports whether the Ingress has a TLS section for host, or a certificate is ordered for it.
func (r *reader) hasTLS(host string) bool {
	if r.orders() && canBeIssued(host) {
		return true
	}
	if r.tlsHosts == nil {
		r.tlsHosts = make(map[string]struct{})
		for _, section := range r.ingress.Spec.TLS {
			r.tlsForAll = r.tlsForAll || len(section.Hosts) == 0
			for _, name := range section.Hosts {
				if h, err := canonicalHost(name); err == nil {
					r.tlsHosts[h] = struct{}{}
				}
			}
		}
	}
	_, named := r.tlsHosts[host]
	return named || r.tlsForAll
}

// appRoot gives requests for exactly "/" to the redirect, on each host of the Ingress. An Exact
// "/" takes nothing else from the other rules.
func (r *reader) appRoot() {
	if r.policies.AppRoot == "" {
		return
	}
	done := make(map[string]bool)
	for _, rule := range r.rules {
		if rule.PathType == router.Exact && rule.Path == "/" {
			rule.Policies = r.hostPolicies(rule.Host, r.policies)
			done[rule.Host] = true
		}
	}
	for _, host := range r.hosts {
		if !done[host] {
			rule := &proxy.Rule{Host: host, Path: "/", PathType: router.Exact, Answer: noRoute, Policies: r.hostPolicies(host, r.policies)}
			if r.fixed != (proxy.Answer{}) {
				rule.Answer = r.fixed
			}
			r.add(rule)
		}
	}
}

// slashes redirects the path without the slash to an Exact path with it, as nginx does. That of
// a Prefix is redirected by its own rule.
func (r *reader) slashes() {
	if r.policies.Slash != policy.SlashAdded || r.fixed != (proxy.Answer{}) {
		return
	}
	type address struct{ host, path string }
	served := make(map[address]struct{}, len(r.rules))
	for _, rule := range r.rules {
		served[address{rule.Host, rule.Path}] = struct{}{}
	}
	for _, rule := range slices.Clone(r.rules) {
		path := strings.TrimSuffix(rule.Path, "/")
		without := address{rule.Host, path}
		if _, taken := served[without]; rule.PathType != router.Exact || path == rule.Path || path == "" || taken {
			continue
		}
		served[without] = struct{}{}
		set := policy.Set{Quirks: r.policies.Quirks, HSTS: r.policies.HSTS, Slash: policy.SlashAlways, Blocking: r.policies.Blocking, NotLogged: r.policies.NotLogged}
		r.add(&proxy.Rule{Host: rule.Host, Path: path, PathType: router.Exact, Answer: noRoute, Policies: r.hostPolicies(rule.Host, set)})
	}
}

// errorPages says where the errors of a rule are answered.
func (r *reader) errorPages(rule *proxy.Rule) {
	if service := r.policies.Errors.Service; service != "" {
		rule.DefaultBackend = &upstream.Key{Namespace: r.origin.Namespace, Service: service}
		r.refer(*rule.DefaultBackend, r.annotationField("default-backend"))
	}
	if len(r.policies.Errors.Codes) > 0 && r.options.DefaultBackend != (upstream.Key{}) {
		rule.ErrorBackend = &r.options.DefaultBackend
	}
}

// annotationField is where the annotation of a key stands.
func (e *entry) annotationField(key string) string {
	prefix := policy.Prefix
	if _, ok := e.ingress.Annotations[prefix+key]; !ok {
		prefix = policy.NginxPrefix
	}
	return "metadata.annotations[" + prefix + key + "]"
}
