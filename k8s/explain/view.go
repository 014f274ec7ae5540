package explain

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// State is what serves, with the objects that it was made of. It is only read.
type State struct {
	Snapshot *ingress.Snapshot
	Options  ingress.Options // those that Snapshot was translated with
	// Proxy and Table decide about requests.
	Proxy *proxy.Proxy
	Table *proxy.Table
	// Certificates answer handshakes.
	Certificates *certs.Set
	Problems     []ingress.Problem
	// Listeners are the data ports that are open; nil when nothing is known of them.
	Listeners []OpenPort
	// Controller says which Pods are the controller's.
	Controller Controller
	// StatusOf returns what the status of an Ingress says now; nil when the objects of
	// Snapshot say it.
	StatusOf func(types.NamespacedName) []netv1.IngressLoadBalancerIngress
	// OnlyNamespace is the only one whose objects were read; empty when all were.
	OnlyNamespace string
}

// OpenPort is a data port of the proxy.
type OpenPort struct {
	Scheme string // "http" or "https"
	Port   uint16
}

// Controller says which Pods are the controller's. The zero value means the Pods in namespace
// "fairlead" with the label app.kubernetes.io/name=fairlead.
type Controller struct {
	Namespace string
	Labels    map[string]string
}

// Account is the user that the Pods are to the API server: by the ServiceAccount of the first of them that is
// among pods, else by the name in deploy/.
func (c Controller) Account(pods []*corev1.Pod) string {
	c = c.withDefaults()
	account := "fairlead"
	for _, p := range pods {
		if p.Namespace == c.Namespace && labels.SelectorFromSet(c.Labels).Matches(labels.Set(p.Labels)) && p.Spec.ServiceAccountName != "" {
			account = p.Spec.ServiceAccountName
			break
		}
	}
	return "system:serviceaccount:" + c.Namespace + ":" + account
}

func (c Controller) withDefaults() Controller {
	if c.Namespace == "" {
		c.Namespace = "fairlead"
	}
	if len(c.Labels) == 0 {
		c.Labels = map[string]string{"app.kubernetes.io/name": "fairlead"}
	}
	return c
}

// View answers Questions about one State. It is safe for concurrent use.
type View struct {
	State
	around  *ingress.Surroundings // never nil
	classes *ingress.Classes

	ingresses map[types.NamespacedName]*netv1.Ingress
	// others are the Ingresses that are not ours, by the hosts of their rules in lower case,
	// "" for rules without.
	others map[string][]other
	// problems are those of each object.
	problems map[ingress.Object][]ingress.Problem
	pods     map[string][]*corev1.Pod // by namespace
	bindings map[string]certs.Binding // by host
	now      time.Time
}

// other is an Ingress that is not ours.
type other struct {
	*netv1.Ingress
	claim ingress.Claim
}

// New returns a View of s, which must not change any more.
func New(s State) *View {
	s.Controller = s.Controller.withDefaults()
	v := &View{
		State: s, around: s.Snapshot.Around, classes: ingress.NewClasses(s.Options, s.Snapshot.Classes),
		ingresses: make(map[types.NamespacedName]*netv1.Ingress, len(s.Snapshot.Ingresses)),
		others:    make(map[string][]other),
		problems:  make(map[ingress.Object][]ingress.Problem),
		pods:      make(map[string][]*corev1.Pod),
		bindings:  make(map[string]certs.Binding),
		now:       time.Now(),
	}
	if s.Options.Now != nil {
		v.now = s.Options.Now()
	}
	if v.around == nil {
		v.around = &ingress.Surroundings{Unread: map[string]error{"Pod": errNotRead, "NetworkPolicy": errNotRead}}
	}
	for _, ing := range s.Snapshot.Ingresses {
		v.ingresses[types.NamespacedName{Namespace: ing.Namespace, Name: ing.Name}] = ing
		if c := v.classes.Claim(ing); c.Whose != ingress.Ours {
			v.fileOther(other{ing, c})
		}
	}
	for _, p := range s.Problems {
		o := p.Object
		o.UID = ""
		v.problems[o] = append(v.problems[o], p)
	}
	for _, p := range v.around.Pods {
		v.pods[p.Namespace] = append(v.pods[p.Namespace], p)
	}
	for _, b := range s.Certificates.Bindings() {
		if _, twice := v.bindings[b.Host]; !twice {
			v.bindings[b.Host] = b
		}
	}
	return v
}

func (v *View) fileOther(o other) {
	hosts := make(map[string]bool, len(o.Spec.Rules))
	for i := range o.Spec.Rules {
		hosts[strings.ToLower(o.Spec.Rules[i].Host)] = true
	}
	if len(o.Spec.Rules) == 0 {
		hosts[""] = true
	}
	for host := range hosts {
		v.others[host] = append(v.others[host], o)
	}
}

// Offline makes the State of a Snapshot that nothing serves: it is translated and compiled as
// an instance would. extra are Problems from elsewhere, such as those of files. The proxy of
// the State forwards nothing, but its Pools connect where those of an instance would; done lets
// go of it.
func Offline(s *ingress.Snapshot, o ingress.Options, extra []ingress.Problem) (state State, done func()) {
	r := ingress.NewTranslator(o).Translate(s)
	pools := upstream.NewRegistry(upstream.Options{AllowLocal: s.LocalEndpoints})
	p := proxy.New(pools)
	table, conflicts := p.Compile(r.Config)
	for key, resolution := range r.Resolutions.All() {
		pools.Pool(key).Set(resolution)
	}
	problems := append(append([]ingress.Problem(nil), r.Problems...), ingress.ConflictProblems(conflicts)...)
	return State{
		Snapshot: s, Options: o, Proxy: p, Table: table,
		Certificates: certs.NewSet(r.Certificates, r.DefaultCertificate),
		Problems:     append(problems, extra...),
	}, pools.Close
}

// problemsOf returns the Problems of an object, without its UID.
func (v *View) problemsOf(kind, namespace, name string) []ingress.Problem {
	return v.problems[ingress.Object{Kind: kind, Namespace: namespace, Name: name}]
}

func (v *View) statusOf(ing *netv1.Ingress) []netv1.IngressLoadBalancerIngress {
	if v.StatusOf != nil {
		return v.StatusOf(types.NamespacedName{Namespace: ing.Namespace, Name: ing.Name})
	}
	return ing.Status.LoadBalancer.Ingress
}

// find returns an Ingress, or nil.
func (v *View) find(namespace, name string) *netv1.Ingress {
	return v.ingresses[types.NamespacedName{Namespace: namespace, Name: name}]
}
