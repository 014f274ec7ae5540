// Package ingress translates a Snapshot of Kubernetes objects into what the proxy serves:
// rules, certificates and endpoints, and a Problem for every mistake on the way. It is pure:
// the same Snapshot at the same time gives the same Result, whatever came before.
package ingress

import (
	"crypto/tls"
	"slices"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/tls/certs"
	netv1 "k8s.io/api/networking/v1"
)

// Result is what a Snapshot means. It does not change once it was returned, and parts of it
// may be shared with later Results.
type Result struct {
	// Config depends on Ingresses and IngressClasses alone: Services, EndpointSlices and
	// Secrets never alter it. Its rules are in order of precedence.
	Config proxy.Config
	// Certificates has each host once, in order of precedence of the Ingresses.
	Certificates []certs.Binding
	// DefaultCertificate is that of Options.DefaultCertificate, or nil.
	DefaultCertificate *tls.Certificate
	Problems           []Problem // sorted, no duplicates
	// Resolutions has every backend that Config forwards to.
	Resolutions map[upstream.Key]upstream.Resolution
	// Owned are the Ingresses of our classes, in order of precedence.
	Owned []*netv1.Ingress
	// Until is when Certificates or Problems change although no object does, as a
	// certificate begins or ends to be valid. The zero time is never.
	Until time.Time
}

// Translator turns Snapshots into Results. It keeps what it made of each object for as long
// as the Snapshots have it, which changes the cost of a Result and nothing else. It is not
// safe for concurrent use.
type Translator struct {
	options    Options
	generation uint64 // counts Translate; what was not seen by the last one is forgotten
	entries    map[*netv1.Ingress]*entry
	order      []*entry // those of the last Snapshot that are ours, by precedence
	backends   map[upstream.Key]*backend
	fallback   *backend // of Options.DefaultBackend; nil when there is none
	pairs      keyPairs
}

// NewTranslator returns a Translator that has seen nothing.
func NewTranslator(o Options) *Translator {
	t := &Translator{
		options:  o.withDefaults(),
		entries:  make(map[*netv1.Ingress]*entry),
		backends: make(map[upstream.Key]*backend),
		pairs:    newKeyPairs(),
	}
	if o.DefaultBackend != (upstream.Key{}) {
		t.fallback = t.backend(o.DefaultBackend)
	}
	return t
}

// Translate returns what s means now.
func (t *Translator) Translate(s *Snapshot) *Result {
	t.generation++
	r := &Result{Config: proxy.Config{DefaultBackend: t.options.DefaultBackend}}
	r.Problems = t.claim(s)

	rules := 0
	for _, e := range t.order {
		rules += len(e.rules)
	}
	r.Config.Rules = make([]*proxy.Rule, 0, rules)
	r.Owned = make([]*netv1.Ingress, 0, len(t.order))
	for _, e := range t.order {
		r.Owned = append(r.Owned, e.ingress)
		r.Config.Rules = append(r.Config.Rules, e.rules...)
		r.Problems = append(r.Problems, e.problems...)
	}
	t.resolve(s, r)
	t.certify(s, r)
	r.Problems = sorted(r.Problems)
	return r
}

// claim brings t.entries and t.order up to date: the Ingresses of s that are ours.
func (t *Translator) claim(s *Snapshot) []Problem {
	cs := newClasses(&t.options, s.Classes)
	problems := cs.problems(s.Classes)
	var fresh []*entry
	for _, ing := range s.Ingresses {
		ours, problem := cs.claims(ing)
		if problem.Err != nil {
			problems = append(problems, problem)
		}
		if !ours {
			continue
		}
		e := t.entries[ing]
		if e == nil {
			e = t.read(ing)
			t.entries[ing] = e
			fresh = append(fresh, e)
		}
		e.seen = t.generation
	}
	slices.SortFunc(fresh, compareEntries)
	// What was there before is in order already: dropping and merging is all that is left.
	kept := slices.DeleteFunc(t.order, func(e *entry) bool {
		gone := e.seen != t.generation
		if gone {
			delete(t.entries, e.ingress)
		}
		return gone
	})
	t.order = merge(kept, fresh)
	return problems
}

func (t *Translator) read(ing *netv1.Ingress) *entry {
	e := read(&t.options, ing)
	for i := range e.references {
		e.references[i].backend = t.backend(e.references[i].key)
	}
	return e
}

func compareEntries(a, b *entry) int {
	if c := a.origin.Compare(b.origin); c != 0 {
		return c
	}
	return a.object.compare(b.object)
}

// merge returns the entries of two sorted lists, sorted. It may reuse a.
func merge(a, b []*entry) []*entry {
	if len(b) == 0 {
		return a
	}
	merged := make([]*entry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compareEntries(a[0], b[0]) <= 0 {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}
