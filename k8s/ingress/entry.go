package ingress

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// The answers of rules that cannot be honoured.
var (
	policyRefused      = proxy.Answer{Status: 503, Reason: "policy-refused"}
	routingUnsupported = proxy.Answer{Status: 503, Reason: "routing-unsupported"}
	unsupportedBackend = proxy.Answer{Status: 404, Reason: "unsupported-backend"}
	backendMissing     = proxy.Answer{Status: 503, Reason: "backend-missing"}
	portMissing        = proxy.Answer{Status: 503, Reason: reasonPort}
)

// entry is what is known of one Ingress: whose it is, and what it asks for if it is ours.
type entry struct {
	ingress      *netv1.Ingress
	object       Object
	origin       router.Origin
	alive        bool    // it is ours, and in the last Snapshot
	classProblem Problem // why it is not ours; may be zero

	// What follows is that of an Ingress that is ours. It is a function of the object, its class,
	// the profile, the settings, the Secrets that its policies are made of and the facts of its
	// hosts, and does not change: when one of these is another, the entry is replaced.

	profile     policy.Profile // by its class
	acmeByClass bool           // the class orders certificates for Ingresses that say nothing
	means       []hostFact
	settings    *settings
	authSecrets map[types.NamespacedName]*corev1.Secret
	configMaps  map[types.NamespacedName]*corev1.ConfigMap // that annotations name
	parts       []part                                     // one for each host that it has rules for, or whose facts it depends on
	references  []reference
	hosts       []string // the valid hosts of the rules, each once; "" for hostless ones
	sections    []section
	issues      []issueHost // the hosts that certificates may be ordered for, sorted
	aliases     []string    // valid hosts that are served as aliased is, each once
	aliased     string      // the first of hosts that is one; "" without aliases
	acmeOff     bool        // they would be, with --acme
	problems    []Problem

	claims *claims // what sections came to with the last Snapshot; nil before, and without any
}

// reference is a backend that the Ingress names, at the first place where it does.
type reference struct {
	key    upstream.Key
	field  string
	served bool // some rule forwards to it
}

// reader fills in an entry.
type reader struct {
	*entry
	options  *Options
	snapshot *Snapshot
	known    *hosts          // has the facts; nil for none
	asked    []string        // the hosts whose facts were asked for
	quirks   policy.QuirkSet // of the profile, as they are switched
	policies policy.Set
	variants []*policy.Set // of policies, as some rules have them
	rules    []*proxy.Rule
	// alternatives are what the rules of a canary are: not served by themselves.
	alternatives []*proxy.Rule
	twins        []*proxy.Rule // redirects of hosts that are not the Ingress's own
	// fixed answers instead of every backend, when not zero.
	fixed proxy.Answer
	// The places of hosts and references in their lists.
	hostIndex map[string]struct{}
	meant     map[string]fact // means by host; see own
	// tlsHosts are those of the TLS sections, and tlsForAll says that one is for all hosts; see hasTLS. Nil
	// until somebody asks.
	tlsHosts  map[string]struct{}
	tlsForAll bool
	refIndex  map[upstream.Key]int
}

func newEntry(ing *netv1.Ingress) *entry {
	return &entry{
		ingress: ing, object: ingressObject(ing),
		origin: router.Origin{Namespace: ing.Namespace, Name: ing.Name, Created: ing.CreationTimestamp.UTC()},
	}
}

// read fills in what the Ingress of e asks for, and returns its rules.
func read(o *Options, s *Snapshot, known *hosts, set *settings, e *entry) []*proxy.Rule {
	e.settings = set
	r := &reader{options: o, snapshot: s, known: known, entry: e, quirks: o.Quirks.Of(e.profile), hostIndex: make(map[string]struct{}), refIndex: make(map[upstream.Key]int)}
	r.read(&e.ingress.Spec)
	r.divide()
	r.problems = listed(r.problems)
	return r.rules
}

// divide makes the parts of what was read.
func (r *reader) divide() {
	index := make(map[string]int)
	at := func(host string) *part {
		i, known := index[host]
		if !known {
			i = len(r.parts)
			index[host] = i
			r.parts = append(r.parts, part{host: host})
		}
		return &r.parts[i]
	}
	for rest := r.rules; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Host == rest[0].Host {
			n++
		}
		if p := at(rest[0].Host); p.rules == nil {
			p.rules = rest[:n:n]
		} else {
			p.rules = append(p.rules, rest[:n]...)
		}
		rest = rest[n:]
	}
	for _, alternative := range r.alternatives {
		p := at(alternative.Host)
		p.alternatives = append(p.alternatives, alternative)
	}
	for _, twin := range r.twins {
		if p := at(twin.Host); p.twin == nil {
			p.twin = twin
		}
	}
	for i, alias := range r.aliases {
		if p := at(alias); p.aliasOf == "" {
			p.aliasOf, p.aliasAt = r.aliased, i
		}
	}
	for _, host := range r.asked {
		at(host)
	}
	r.parts = slices.Clip(r.parts)
}

func (r *reader) read(spec *netv1.IngressSpec) {
	if spec.DefaultBackend != nil && len(spec.Rules) == 0 && r.options.DisableCatchAll {
		r.report(CatchAllDisabled, "spec.defaultBackend", "a defaultBackend without rules would answer for every host, which --disable-catch-all forbids")
		return
	}
	annotations := r.annotations()
	if annotations.dropped {
		return
	}
	for i := range spec.Rules {
		r.rule(i, &spec.Rules[i])
	}
	if spec.DefaultBackend != nil {
		r.defaultBackend(spec)
	}
	if r.policies.Canary != nil {
		r.alternate()
	} else {
		r.appRoot()
		r.slashes()
		r.redirectTwins()
		r.alias()
	}
	for i := range spec.TLS {
		r.tls(i, &spec.TLS[i])
	}
	r.readIssues()
	for _, rule := range r.rules {
		for _, key := range [...]*upstream.Key{&rule.Backend, rule.Secure, rule.DefaultBackend} {
			if key == nil || rule.Answer != (proxy.Answer{}) {
				continue
			}
			if i, ok := r.refIndex[*key]; ok {
				r.references[i].served = true
			}
		}
	}
}

// alternate makes the rules of a canary alternatives for those of another Ingress.
func (r *reader) alternate() {
	for _, rule := range r.rules {
		if rule.PathType != router.HostOnly {
			r.alternatives = append(r.alternatives, rule)
		}
	}
	r.rules = nil
}

func (r *reader) report(reason Reason, field, format string, args ...any) {
	r.problems = append(r.problems, found(reason, format, args...).on(r.object, field))
}

// effects is what annotations do beyond the policies of rules.
type effects struct {
	dropped bool // nothing of the Ingress is served
}

func (r *reader) annotations() effects {
	set, findings := policy.Parse(policy.Input{
		Annotations: r.ingress.Annotations, Profile: r.profile, Quirks: r.options.Quirks, Namespace: r.ingress.Namespace, Secret: r.secretData,
		Config: r.settings.config, Refused: r.settings.global.Refused, ConfigMap: r.settings.lookUp,
		OwnConfigMap: r.configMapData, HasDefaultBackend: r.options.DefaultBackend != (upstream.Key{}),
		Passthrough: r.options.Passthrough,
	})
	var e effects
	for _, f := range findings {
		if f.Setting != "" {
			r.report(SettingRefused, "", "the controller's ConfigMap: %w", f.Err)
			continue
		}
		r.problems = append(r.problems, finding{annotationReason(f.Outcome), f.Err}.on(r.object, "metadata.annotations["+f.Annotation+"]"))
		e.dropped = e.dropped || f.Outcome == policy.Dropped
	}
	r.policies = set
	switch {
	case len(set.Refused) > 0:
		r.fixed = policyRefused
	case set.Unroutable:
		r.fixed = routingUnsupported
	}
	return e
}

func annotationReason(o policy.Outcome) Reason {
	switch o {
	case policy.LeftOut:
		return AnnotationUnsupported
	case policy.NoEffect:
		return AnnotationNoEffect
	case policy.Unknown:
		return AnnotationUnknown
	case policy.Dropped:
		return CanaryNotServed
	case policy.Invalid:
		return AnnotationInvalid
	case policy.OtherHosts, policy.Unroutable:
		return RoutingUnsupported
	}
	return AnnotationRefused
}

func (r *reader) rule(i int, rule *netv1.IngressRule) {
	field := "spec.rules[" + strconv.Itoa(i) + "]"
	host, err := canonicalHost(rule.Host)
	if err != nil {
		r.report(InvalidHost, field+".host", "%w", err)
		return
	}
	if _, known := r.hostIndex[host]; !known {
		r.hostIndex[host] = struct{}{}
		r.hosts = append(r.hosts, host)
	}
	before := len(r.rules)
	if rule.HTTP != nil {
		for j := range rule.HTTP.Paths {
			r.path(host, field+".http.paths["+strconv.Itoa(j)+"]", &rule.HTTP.Paths[j])
		}
	}
	if len(r.rules) == before && host != "" {
		// The host exists, if only to be isolated from wildcard and hostless rules.
		r.add(&proxy.Rule{Host: host, PathType: router.HostOnly})
	}
}

func (r *reader) path(host, field string, p *netv1.HTTPIngressPath) {
	pathType, err := pathType(p.PathType)
	if err != nil {
		r.report(InvalidPathType, field+".pathType", "%w", err)
		if pathType == 0 {
			return
		}
	}
	path, err := checkPath(p.Path, pathType)
	if err != nil {
		r.report(InvalidPath, field+".path", "%w", err)
		return
	}
	r.forward(&proxy.Rule{Host: host, Path: path, PathType: pathType}, field+".backend", &p.Backend)
}

// defaultBackend answers on the Ingress's own hosts, or on every host without rules when it
// has none itself. Hosts that are not valid are no reason to answer on all.
func (r *reader) defaultBackend(spec *netv1.IngressSpec) {
	hosts := r.hosts
	if len(spec.Rules) == 0 {
		hosts = []string{""}
	}
	for _, host := range hosts {
		r.forward(&proxy.Rule{Host: host, PathType: router.Default}, "spec.defaultBackend", spec.DefaultBackend)
	}
}

// forward adds a rule that leads to a backend, or to the answer that stands in for it.
func (r *reader) forward(rule *proxy.Rule, field string, b *netv1.IngressBackend) {
	switch {
	case b.Service != nil && b.Service.Name != "":
		rule.Backend = upstream.Key{Namespace: r.origin.Namespace, Service: b.Service.Name, Port: b.Service.Port.Name}
		if rule.Backend.Port == "" && b.Service.Port.Number != 0 {
			rule.Backend.Port = strconv.Itoa(int(b.Service.Port.Number))
		}
		rule.Backend.TargetPort = r.quirks.Has(policy.QuirkTargetPort)
		if rule.Backend.Port == "" {
			r.report(PortNotFound, field+".service.port", "the backend names neither a number nor a name of a port of Service %s/%s", r.origin.Namespace, b.Service.Name)
			rule.Answer = portMissing
		}
	case b.Resource != nil:
		r.report(UnsupportedBackend, field+".resource", "the backend is %s %s, and only Services are supported", b.Resource.Kind, b.Resource.Name)
		rule.Answer = unsupportedBackend
	default:
		r.report(BackendMissing, field, "the backend names no Service")
		rule.Answer = backendMissing
	}
	secure := rule.Backend
	if rule.Backend != (upstream.Key{}) {
		rule.Backend, secure = r.policies.Backend.Keys(rule.Backend)
	}
	refer := rule.Answer == (proxy.Answer{})
	if r.fixed != (proxy.Answer{}) {
		rule.Answer = r.fixed
	}
	if refer {
		r.refer(rule.Backend, field+".service")
		if secure != rule.Backend {
			rule.Secure = &secure
			r.refer(secure, field+".service")
		}
		r.errorPages(rule)
	}
	r.add(rule)
}

func (r *reader) refer(key upstream.Key, field string) {
	if _, known := r.refIndex[key]; !known {
		r.refIndex[key] = len(r.references)
		r.references = append(r.references, reference{key: key, field: field})
	}
}

func (r *reader) add(rule *proxy.Rule) {
	rule.Origin = r.origin
	r.pattern(rule)
	if rule.PathType != router.HostOnly && rule.Policies == nil {
		set := r.policies
		set.AppRoot = ""
		rule.Policies = r.hostPolicies(rule.Host, set)
	}
	r.rules = append(r.rules, rule)
}

func (r *reader) tls(i int, item *netv1.IngressTLS) {
	s := section{
		field:  fmt.Sprintf("spec.tls[%d]", i),
		secret: item.SecretName,
		all:    len(item.Hosts) == 0,
	}
	listed := make(map[string]struct{}, len(item.Hosts))
	for j, name := range item.Hosts {
		host, err := canonicalHost(name)
		if err == nil && host == "" {
			err = errNoHost
		}
		if err != nil {
			r.report(InvalidHost, fmt.Sprintf("%s.hosts[%d]", s.field, j), "%w", err)
			continue
		}
		if _, twice := listed[host]; !twice {
			listed[host] = struct{}{}
			s.hosts = append(s.hosts, sectionHost{host, j})
		}
	}
	r.sections = append(r.sections, s)
}
