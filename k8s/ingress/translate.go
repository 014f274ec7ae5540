// Package ingress translates a Snapshot of Kubernetes objects into what the proxy serves:
// rules, certificates and endpoints, and a Problem for every mistake on the way. It is pure:
// the same Snapshot at the same time gives the same Result, whatever came before.
package ingress

import (
	"crypto/tls"
	"sync/atomic"
	"time"

	netv1 "k8s.io/api/networking/v1"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// Result is what a Snapshot means. It does not change once it was returned, and parts of it
// are shared with other Results: what did not change is the same.
type Result struct {
	// Config depends on Ingresses, IngressClasses, the controller's ConfigMap and the Secrets
	// that annotations name alone: Services, EndpointSlices and certificates never alter it. The
	// rules of each host are in order of precedence.
	Config proxy.Config
	// Certificates has each host once, sorted.
	Certificates []certs.Binding
	// Issues are the hosts that are to have certificates by ACME, sorted: those for which no
	// Secret comes before what is issued. Certificates has what was issued.
	Issues []Issue
	// DefaultCertificate is that of Options.DefaultCertificate, or nil.
	DefaultCertificate *tls.Certificate
	Problems           []Problem // sorted, no duplicates
	// Resolutions has every backend that Config forwards to.
	Resolutions upstream.Map[upstream.Resolution]
	// Owned are the Ingresses of our classes, in order of precedence.
	Owned []*netv1.Ingress
	// Until is when Certificates or Problems change although no object does, as a
	// certificate begins or ends to be valid. The zero time is never.
	Until time.Time
}

// Translator turns Snapshots into Results. It keeps what it made of each object for as long
// as the Snapshots have it, so that the cost of a Result is that of what changed. This has no
// influence on what a Result says. It is not safe for concurrent use.
type Translator struct {
	options Options
	read    atomic.Uint64
	state
}

// Read counts the Ingresses that were read: each once, and again when it or what its rules depend
// on changed. It may be called at any time.
func (t *Translator) Read() uint64 { return t.read.Load() }

// state is what a Translator knows of the last Snapshot.
type state struct {
	// whole is false while a Snapshot is translated. A panic leaves it so, and then the
	// rest is not to be trusted.
	whole        bool
	last         Snapshot // the lists and maps of the last Snapshot, to see which are the same
	known        map[*netv1.Ingress]*entry
	classes      *Classes
	settings     *settings
	ranking      ranking
	hosts        hosts
	backends     backends
	certificates certificates
	// classProblems are those of the IngressClasses themselves.
	classProblems []Problem
	// troubled are the entries that have Problems of their own.
	troubled map[*entry]struct{}
}

// NewTranslator returns a Translator that has seen nothing.
func NewTranslator(o Options) *Translator {
	t := &Translator{options: o.withDefaults()}
	t.forget()
	return t
}

func (t *Translator) forget() {
	t.state = state{
		whole:        true,
		known:        make(map[*netv1.Ingress]*entry),
		hosts:        newHosts(),
		backends:     newBackends(t.options.DefaultBackend),
		certificates: newCertificates(),
		troubled:     make(map[*entry]struct{}),
	}
}

// Translate returns what s means now.
func (t *Translator) Translate(s *Snapshot) *Result {
	if !t.whole {
		t.forget()
	}
	t.whole = false

	sameSettings := t.settings
	t.settings = readSettings(&t.options, s, t.settings)
	gone, fresh := t.claim(s, sameSettings == t.settings)
	if len(gone)+len(fresh) > 0 {
		t.ranking = t.ranking.replace(gone, fresh)
	}
	for _, e := range gone {
		t.hosts.leave(e)
		t.backends.unlink(e)
	}
	for _, e := range fresh {
		t.hosts.enter(e)
		t.backends.link(e)
	}
	t.hosts.settle(&t.backends)
	r := &Result{
		Config:      proxy.Config{Hosts: t.hosts.list, DefaultBackend: t.options.DefaultBackend, DefaultPolicies: t.settings.unmatched, Trust: t.settings.global.Trust, Listener: t.listener()},
		Owned:       t.ranking.owned,
		Resolutions: t.resolve(s),
	}
	t.certify(s, gone, fresh, r)
	r.Problems = t.problems(r.Problems)

	t.last, t.whole = *s, true
	return r
}

// listener is what the ConfigMap and the Options say of the data ports.
func (t *Translator) listener() policy.Listener {
	if t.options.ProxyProtocol {
		return t.settings.global.BehindBalancer()
	}
	return t.settings.global.Listener
}

// problems adds those of all that the Translator knows to those of the default certificate.
func (t *Translator) problems(problems []Problem) []Problem {
	problems = append(problems, t.classProblems...)
	problems = append(problems, t.settings.problems...)
	for h := range t.hosts.troubled {
		problems = append(problems, h.problems...)
	}
	for e := range t.troubled {
		if e.classProblem.Err != nil {
			problems = append(problems, e.classProblem)
		}
		if e.alive {
			problems = append(problems, e.problems...)
			if e.claims != nil {
				problems = append(problems, e.claims.problems...)
			}
		}
	}
	for b := range t.backends.failing {
		problems = append(problems, b.problems(&t.backends)...)
	}
	for _, conflicts := range t.certificates.conflicts {
		problems = append(problems, conflicts...)
	}
	return sorted(listedOfEach(problems))
}

// note keeps t.troubled after the Problems of e changed.
func (t *Translator) note(e *entry) {
	if e.classProblem.Err != nil || e.alive && (len(e.problems) > 0 || e.claims != nil && len(e.claims.problems) > 0) {
		t.troubled[e] = struct{}{}
	} else {
		delete(t.troubled, e)
	}
}
