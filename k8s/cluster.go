package k8s

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// ClusterOptions say what is read of a cluster.
type ClusterOptions struct {
	Client kubernetes.Interface
	// Namespace is the only one whose Ingresses, Services, EndpointSlices and Secrets are
	// read; empty for all.
	Namespace string
	// PublishService and DefaultBackend are Services that are read though they are in
	// another namespace. Of PublishService no endpoints are read there.
	PublishService, DefaultBackend types.NamespacedName
	// DefaultCertificate is a Secret that is read as if an Ingress named it.
	DefaultCertificate types.NamespacedName
	// ConfigMap is the controller's. All of its namespace are read, as it may name others
	// there. The zero name is none, and none is read.
	ConfigMap types.NamespacedName
	// AssumedClass takes the place of all IngressClasses while they may not be read, as
	// with a Role of one namespace; nil when they must be read.
	AssumedClass *netv1.IngressClass
	// Issued says where an issuer keeps what is served; nil where there is none.
	Issued *IssuedOptions
	// FieldManager is who writes the Ingresses' status, as in Status.
	FieldManager string
	// Log is nil for none.
	Log *zap.Logger
}

// Cluster is a Source that mirrors the objects of an API server. The server may be away at the
// start and at any time later: what was read last is kept until the server says otherwise.
//
// An object whose new version differs in nothing that is read here stays the same pointer and
// notifies nobody, so a relist of unchanged objects costs next to nothing.
type Cluster struct {
	o   ClusterOptions
	log *zap.Logger

	// notify is set by Run before the first object comes.
	notify func(service types.NamespacedName)
	wg     sync.WaitGroup // of the readers of named Secrets

	// maxBehind takes the place of the constant in tests; zero does not.
	maxBehind time.Duration

	mu sync.Mutex // guards all that follows, the mirrors' objects too

	ingresses *mirror[*netv1.Ingress]
	classes   *mirror[*netv1.IngressClass]
	services  []*mirror[*corev1.Service]
	slices    []*mirror[*discoveryv1.EndpointSlice]
	tls       *mirror[*corev1.Secret]
	named     namedSecrets
	// issued is nil without ClusterOptions.Issued; issuedSecrets is what a Snapshot has of it.
	issued        *mirror[*corev1.Secret]
	issuedSecrets map[types.NamespacedName]*corev1.Secret
	// configMaps is nil without ClusterOptions.ConfigMap.
	configMaps *mirror[*corev1.ConfigMap]
	// ownConfigMaps are those of other namespaces that Ingresses mention.
	ownConfigMaps named[*corev1.ConfigMap]
	statuses      statuses

	ingressList list[*netv1.Ingress]                                  // the objects of ingresses
	byService   map[types.NamespacedName][]*discoveryv1.EndpointSlice // the lists are not changed in place
	stale       stale
	last        *ingress.Snapshot // nil before everything was loaded
	loaded      bool
	events      pendingEvents
}

// stale says which parts of the last Snapshot are out of date.
type stale struct{ ingresses, classes, services, slices, secrets, configMaps bool }

// pendingEvents is what the change at hand has to notify when the lock is released.
type pendingEvents struct {
	full     bool
	services []types.NamespacedName
}

// NewCluster returns a Cluster that reads nothing before Run.
func NewCluster(o ClusterOptions) *Cluster {
	c := &Cluster{o: o, log: o.Log, byService: make(map[types.NamespacedName][]*discoveryv1.EndpointSlice)}
	if c.log == nil {
		c.log = zap.NewNop()
	}
	c.statuses.manager = o.FieldManager
	c.named.init(c)
	if o.DefaultCertificate.Name != "" {
		c.named.mention(nil, []types.NamespacedName{o.DefaultCertificate})
	}
	c.ownConfigMaps = named[*corev1.ConfigMap]{
		cluster: c, kind: "ConfigMaps",
		client:   func(namespace string) namedClient[*corev1.ConfigMap] { return o.Client.CoreV1().ConfigMaps(namespace) },
		mirrored: func(name types.NamespacedName) bool { return name.Namespace == o.ConfigMap.Namespace },
		strip:    stripConfigMap, same: sameConfigMap,
		changed: func() { c.stale.configMaps = true },
	}

	networking, core, discovery := o.Client.NetworkingV1(), o.Client.CoreV1(), o.Client.DiscoveryV1()
	c.ingresses = &mirror[*netv1.Ingress]{
		cluster: c, kind: "Ingress", resource: resourceOf(networking.Ingresses(o.Namespace).List, networking.Ingresses(o.Namespace).Watch),
		strip: c.statuses.strip, same: sameIngress, see: c.statuses.see,
		changed: func(old, now *netv1.Ingress) {
			c.ingressList.replace(old, now)
			c.stale.ingresses, c.events.full = true, true
			c.stale.classes = c.stale.classes || c.classes.mayDoWithout() // see readClasses
			c.named.mentionPasswords(passwordNames(old), passwordNames(now))
			c.named.mention(secretNames(old), secretNames(now))
			c.ownConfigMaps.mention(configMapNames(old), configMapNames(now))
		},
	}
	c.classes = &mirror[*netv1.IngressClass]{
		cluster: c, kind: "IngressClass", resource: resourceOf(networking.IngressClasses().List, networking.IngressClasses().Watch),
		strip: stripClass, same: sameClass,
		changed: func(_, _ *netv1.IngressClass) { c.stale.classes, c.events.full = true, true },
	}
	if o.AssumedClass != nil {
		c.classes.otherwise = "the class " + o.AssumedClass.Name + " is taken to be ours and all others not"
	}
	c.tls = &mirror[*corev1.Secret]{
		cluster: c, kind: "Secret", resource: resourceOf(core.Secrets(o.Namespace).List, core.Secrets(o.Namespace).Watch),
		selector:  selector{fields: fields.OneTermEqualSelector("type", string(corev1.SecretTypeTLS)).String()},
		otherwise: "those that Ingresses name are read one by one",
		strip:     stripSecret, same: sameSecret,
		changed: func(old, now *corev1.Secret) {
			c.stale.secrets, c.events.full = true, true
			c.named.settle(keyOf(cmp.Or(now, old)))
		},
	}
	if o.Issued != nil {
		c.issuedSecrets = make(map[types.NamespacedName]*corev1.Secret)
		c.issued = &mirror[*corev1.Secret]{
			cluster: c, kind: "Secret", resource: resourceOf(core.Secrets(o.Issued.Namespace).List, core.Secrets(o.Issued.Namespace).Watch),
			selector:  o.Issued.selector(),
			otherwise: "certificates by ACME are not served",
			strip:     stripIssued, same: sameIssued, changed: c.issuedChanged,
		}
	}
	if namespace := o.ConfigMap.Namespace; namespace != "" {
		c.configMaps = &mirror[*corev1.ConfigMap]{
			cluster: c, kind: "ConfigMap", resource: resourceOf(core.ConfigMaps(namespace).List, core.ConfigMaps(namespace).Watch),
			strip: stripConfigMap, same: sameConfigMap,
			changed: func(_, _ *corev1.ConfigMap) { c.stale.configMaps, c.events.full = true, true },
		}
	}
	addService := func(namespace, name string) {
		m := &mirror[*corev1.Service]{
			cluster: c, kind: "Service", resource: resourceOf(core.Services(namespace).List, core.Services(namespace).Watch),
			strip: stripService, same: sameService,
			changed: c.serviceChanged,
		}
		if name != "" {
			m.selector.fields = fields.OneTermEqualSelector("metadata.name", name).String()
		}
		c.services = append(c.services, m)
	}
	addSlices := func(namespace, service string) {
		m := &mirror[*discoveryv1.EndpointSlice]{
			cluster: c, kind: "EndpointSlice", resource: resourceOf(discovery.EndpointSlices(namespace).List, discovery.EndpointSlices(namespace).Watch),
			strip: stripSlice, same: sameSlice, changed: c.sliceChanged,
		}
		if service != "" {
			m.selector.labels = labels.Set{discoveryv1.LabelServiceName: service}.String()
		}
		c.slices = append(c.slices, m)
	}
	addService(o.Namespace, "")
	addSlices(o.Namespace, "")
	if o.Namespace != "" {
		outside := make(map[types.NamespacedName]bool) // and whether the endpoints are needed
		for _, n := range []types.NamespacedName{o.PublishService, o.DefaultBackend} {
			if n.Name != "" && n.Namespace != o.Namespace {
				outside[n] = outside[n] || n == o.DefaultBackend
			}
		}
		for n, endpoints := range outside {
			addService(n.Namespace, n.Name)
			if endpoints {
				addSlices(n.Namespace, n.Name)
			}
		}
	}
	return c
}

// Run mirrors the objects until ctx ends.
func (c *Cluster) Run(ctx context.Context, notify func(service types.NamespacedName)) error {
	c.notify = notify
	c.named.ctx, c.ownConfigMaps.ctx = ctx, ctx
	c.mu.Lock()
	c.ownConfigMaps.start()
	c.mu.Unlock()
	ctx = withLogger(ctx, c.log)
	for _, m := range c.mirrors() {
		c.wg.Go(func() { m.run(ctx) })
	}
	<-ctx.Done()
	c.wg.Wait()
	return nil
}

// Snapshot is the present state; nil until everything was loaded once. Parts that did not
// change since the last call are the same maps and slices.
func (c *Cluster) Snapshot() *ingress.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		return nil
	}
	if c.last != nil && c.stale == (stale{}) {
		return c.last
	}
	var s ingress.Snapshot
	if c.last != nil {
		s = *c.last
	} else {
		c.stale = stale{ingresses: true, classes: true, services: true, slices: true, secrets: true, configMaps: true}
	}
	if c.stale.ingresses {
		s.Ingresses = slices.Clone(c.ingressList.objects)
	}
	if c.stale.classes {
		s.Classes = c.readClasses()
	}
	if c.stale.services {
		s.Services = maps.Clone(c.services[0].objects)
		for _, m := range c.services[1:] {
			maps.Copy(s.Services, m.objects)
		}
	}
	if c.stale.slices {
		s.Slices = maps.Clone(c.byService)
	}
	if c.stale.secrets {
		s.Secrets = make(map[types.NamespacedName]*corev1.Secret, len(c.tls.objects)+len(c.named.readers))
		c.named.copyTo(s.Secrets)
		maps.Copy(s.Secrets, c.tls.objects)
		maps.Copy(s.Secrets, c.issuedSecrets)
	}
	if c.stale.configMaps {
		s.ConfigMaps = make(map[types.NamespacedName]*corev1.ConfigMap)
		c.ownConfigMaps.copyTo(s.ConfigMaps)
		if c.configMaps != nil {
			maps.Copy(s.ConfigMaps, c.configMaps.objects)
		}
	}
	c.stale = stale{}
	c.last = &s
	return c.last
}

// Service is a Snapshot of the named Service and its EndpointSlices alone; nil until
// everything was loaded once.
func (c *Cluster) Service(name types.NamespacedName) *ingress.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		return nil
	}
	s := &ingress.Snapshot{
		Services: make(map[types.NamespacedName]*corev1.Service, 1),
		Slices:   map[types.NamespacedName][]*discoveryv1.EndpointSlice{name: c.byService[name]},
	}
	for _, m := range c.services {
		if svc, ok := m.objects[name]; ok {
			s.Services[name] = svc
		}
	}
	return s
}

// readClasses is called with the lock held. Where IngressClasses may not be read, the assumed
// one is ours, and the others that Ingresses name are taken to exist and to be somebody's:
// otherwise each would look like a mistake.
func (c *Cluster) readClasses() []*netv1.IngressClass {
	if c.classes.loaded || !c.classes.mayDoWithout() {
		return slices.Collect(maps.Values(c.classes.objects))
	}
	assumed := []*netv1.IngressClass{c.o.AssumedClass}
	named := map[string]struct{}{c.o.AssumedClass.Name: {}}
	for _, ing := range c.ingresses.objects {
		if name := ing.Spec.IngressClassName; name != nil && *name != "" {
			if _, known := named[*name]; !known {
				named[*name] = struct{}{}
				assumed = append(assumed, &netv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: *name}})
			}
		}
	}
	return assumed
}

// settle draws the consequences of a kind having been loaded or refused. It is called with the
// lock held.
func (c *Cluster) settle() {
	c.stale.classes = true
	if !c.named.started && (c.tls.loaded || c.tls.forbidden) {
		c.named.start()
	}
}

// serviceChanged is called with the lock held. What a Service says has no influence on the
// table, only on where its backends are, and the published one on the status.
func (c *Cluster) serviceChanged(old, now *corev1.Service) {
	c.stale.services = true
	if name := keyOf(cmp.Or(now, old)); name == c.o.PublishService {
		c.events.full = true
	} else {
		c.events.services = append(c.events.services, name)
	}
}

// sliceChanged keeps byService. It is called with the lock held.
func (c *Cluster) sliceChanged(old, now *discoveryv1.EndpointSlice) {
	from, to := serviceOf(old), serviceOf(now)
	if old != nil && from.Name != "" {
		kept := slices.DeleteFunc(slices.Clone(c.byService[from]), func(s *discoveryv1.EndpointSlice) bool { return s == old })
		if len(kept) > 0 {
			c.byService[from] = kept
		} else {
			delete(c.byService, from)
		}
		c.events.services = append(c.events.services, from)
	}
	if now != nil && to.Name != "" {
		c.byService[to] = append(slices.Clip(c.byService[to]), now)
		if to != from {
			c.events.services = append(c.events.services, to)
		}
	}
	c.stale.slices = true
}

// locked runs change with the lock held and notifies afterwards of what it noted.
func (c *Cluster) locked(change func()) {
	c.mu.Lock()
	change()
	events := c.events
	c.events = pendingEvents{}
	if !c.loaded {
		c.loaded = c.isLoaded()
		events.full, events.services = c.loaded, nil
	}
	c.mu.Unlock()
	if events.full {
		c.notify(types.NamespacedName{})
	}
	for _, name := range events.services {
		c.notify(name)
	}
}

// isLoaded reports whether everything was read once, or may not be read where that is
// provided for. It is called with the lock held.
func (c *Cluster) isLoaded() bool {
	for _, m := range c.mirrors() {
		if !m.isLoaded() && !m.mayDoWithout() {
			return false
		}
	}
	return c.named.answered() && c.ownConfigMaps.answered()
}

// Missing returns the kinds for want of which there is no Snapshot yet, each with the error of the last try to
// list its objects; nil while there was none.
func (c *Cluster) Missing() map[string]error {
	c.mu.Lock()
	defer c.mu.Unlock()
	missing := make(map[string]error)
	for _, m := range c.mirrors() {
		if !m.isLoaded() && !m.mayDoWithout() {
			kind, err := m.lastError()
			missing[kind] = err
		}
	}
	return missing
}

// anyMirror is a mirror of whatever kind. All but run is called with the cluster's lock held.
type anyMirror interface {
	run(ctx context.Context)
	isLoaded() bool
	mayDoWithout() bool
	lastError() (kind string, err error)
}

func (c *Cluster) mirrors() []anyMirror {
	all := []anyMirror{c.ingresses, c.classes, c.tls}
	if c.issued != nil {
		all = append(all, c.issued)
	}
	if c.configMaps != nil {
		all = append(all, c.configMaps)
	}
	for _, m := range c.services {
		all = append(all, m)
	}
	for _, m := range c.slices {
		all = append(all, m)
	}
	return all
}
