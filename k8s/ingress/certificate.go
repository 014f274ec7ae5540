package ingress

import (
	"cmp"
	"crypto/tls"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// certificates settles which certificate each host has.
type certificates struct {
	pairs keyPairs
	// hosts are the claims by host. Those of the hosts in touched may be in any order and
	// have some that were withdrawn, for bindings is not up to date with them.
	hosts    map[string][]hostClaim
	touched  map[string]struct{}
	bindings []certs.Binding // of the last Result, which shares the list
	// conflicts are the Problems of those that lost a host.
	conflicts map[string][]Problem
	issues    map[string]Issue // by host
	issueList []Issue          // of issues, if it is not nil; the last Result shares it
	judged    time.Time        // when the claims were judged last
	until     time.Time        // when one of them is to be judged again; zero is never
	undated   bool             // until may be that of claims that were withdrawn
}

// hostClaim is what one Ingress has for a host.
type hostClaim struct {
	*entry
	of *claims // withdrawn unless they are the entry's
	claim
}

func newCertificates() certificates {
	return certificates{
		pairs:     newKeyPairs(),
		hosts:     make(map[string][]hostClaim),
		touched:   make(map[string]struct{}),
		conflicts: make(map[string][]Problem),
		issues:    make(map[string]Issue),
	}
}

// certify fills in the certificates of r, and the Problems of the default certificate.
func (t *Translator) certify(s *Snapshot, gone, fresh []*entry, r *Result) {
	cs := &t.certificates
	now := t.options.Now()
	for _, e := range gone {
		cs.withdraw(e)
	}
	for _, e := range fresh {
		t.rejudge(e, s, now)
	}
	sameSecrets := sameMap(t.last.Secrets, s.Secrets)
	due := now.Before(cs.judged) || !cs.until.IsZero() && !now.Before(cs.until)
	if !sameSecrets || due {
		for _, e := range t.ranking.entries {
			if !e.claims.hold(e, s, now) {
				t.rejudge(e, s, now)
			}
		}
	}
	cs.judged = now
	if len(cs.touched) > 0 {
		cs.settle()
	}
	if cs.undated {
		cs.until, cs.undated = time.Time{}, false
		for _, e := range t.ranking.entries {
			if e.claims != nil {
				cs.until = earlier(cs.until, e.claims.until)
			}
		}
	}
	r.Certificates, r.Until, r.Issues = cs.bindings, cs.until, cs.listIssues()
	if t.options.DefaultCertificate != (types.NamespacedName{}) {
		t.certifyDefault(s, r, now)
	}
	if !sameSecrets {
		cs.pairs.forget(s)
	}
}

func (t *Translator) certifyDefault(s *Snapshot, r *Result, now time.Time) {
	name := t.options.DefaultCertificate
	pair := t.certificates.pairs.get(s.Secrets[name], name)
	v := pair.judge(name, now)
	r.Until = earlier(r.Until, v.until)
	if v.problem.err != nil {
		r.Problems = append(r.Problems, v.problem.on(Object{Kind: "Secret", Namespace: name.Namespace, Name: name.Name}, ""))
	}
	if v.usable {
		r.DefaultCertificate = pair.certificate
	}
}

// earlier returns the earlier of two times of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// rejudge replaces the claims of e.
func (t *Translator) rejudge(e *entry, s *Snapshot, now time.Time) {
	cs := &t.certificates
	cs.withdraw(e)
	e.claims = cs.judge(e, s, now, t.options.DefaultCertificate != (types.NamespacedName{}))
	if e.claims != nil {
		cs.until = earlier(cs.until, e.claims.until)
		for _, c := range e.claims.list {
			cs.hosts[c.host] = append(cs.hosts[c.host], hostClaim{e, e.claims, c})
			cs.touched[c.host] = struct{}{}
		}
	}
	t.note(e)
}

// withdraw takes the claims of e back.
func (cs *certificates) withdraw(e *entry) {
	if e.claims == nil {
		return
	}
	cs.undated = cs.undated || !cs.until.IsZero() && e.claims.until.Equal(cs.until)
	for _, c := range e.claims.list {
		cs.touched[c.host] = struct{}{}
	}
	e.claims = nil
}

// settle brings bindings and conflicts up to date.
func (cs *certificates) settle() {
	byHost := func(b certs.Binding, host string) int { return cmp.Compare(b.Host, host) }
	type change struct {
		host    string
		binding certs.Binding
		has     bool
	}
	var changes []change
	for host := range cs.touched {
		c := change{host: host}
		c.binding, c.has = cs.settleClaims(host)
		at, had := slices.BinarySearchFunc(cs.bindings, host, byHost)
		if had != c.has || had && !sameBinding(cs.bindings[at], c.binding) {
			changes = append(changes, c)
		}
	}
	clear(cs.touched)
	if len(changes) == 0 {
		return
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.host, b.host) })
	next, rest := make([]certs.Binding, 0, len(cs.bindings)+len(changes)), cs.bindings
	for _, c := range changes {
		at, had := slices.BinarySearchFunc(rest, c.host, byHost)
		next, rest = append(next, rest[:at]...), rest[at:]
		if had {
			rest = rest[1:]
		}
		if c.has {
			next = append(next, c.binding)
		}
	}
	cs.bindings = append(next, rest...)
}

// settleClaims returns what a host comes to, false when nobody claims it any more.
func (cs *certificates) settleClaims(host string) (certs.Binding, bool) {
	delete(cs.conflicts, host)
	claims := slices.DeleteFunc(cs.hosts[host], func(h hostClaim) bool { return h.of != h.entry.claims })
	if len(claims) == 0 {
		delete(cs.hosts, host)
		cs.setIssue(host, Issue{})
		return certs.Binding{}, false
	}
	// Stable, for those of one Ingress are in order of its sections.
	slices.SortStableFunc(claims, func(a, b hostClaim) int {
		if a.alias != b.alias {
			if a.alias {
				return 1
			}
			return -1
		}
		return compareEntries(a.entry, b.entry)
	})
	cs.hosts[host] = claims
	issue, binding, conflicts := settleHost(claims)
	cs.setIssue(host, issue)
	if len(conflicts) > 0 {
		cs.conflicts[host] = conflicts
	}
	return binding, true
}

// settleHost gives a host to the first Ingress that has a certificate for it: a section
// without one takes none away. All certificates of that Ingress are choices. Those of others
// are conflicts, unless they are the same. Among the Ingresses of one namespace a Secret takes the
// place of what was issued; between namespaces it is as any certificate. The Issue is what is to be
// ordered, the zero Issue if that would not be served.
func settleHost(claims []hostClaim) (Issue, certs.Binding, []Problem) {
	var owner, orders *hostClaim
	for i := range claims {
		c := inPlaceOf(&claims[i], claims)
		if orders == nil && c.issued {
			orders = c
		}
		if c.certificate != nil {
			owner = c
			break
		}
	}
	switch {
	case owner == nil && orders != nil: // which says more than a section without one
		owner = orders
	case owner == nil:
		owner = &claims[0]
	}
	b := owner.binding()
	var issue Issue
	var conflicts []Problem
	if orders != nil {
		issue = orders.issue()
		if orders.trouble.err != nil {
			conflicts = append(conflicts, orders.trouble.on(orders.object, orders.field))
		}
	}
	for _, c := range claims {
		switch {
		case c.certificate == nil || c.issued || slices.Contains(b.Certificates, c.certificate):
		case c.entry == owner.entry:
			b.Certificates = append(b.Certificates, c.certificate)
		default:
			conflicts = append(conflicts, found(CertificateConflict, "%s is not served for host %s: %s comes first and has %s",
				c.source, c.host, owner.object, owner.source).on(c.object, c.field))
		}
	}
	return issue, b, conflicts
}

// inPlaceOf returns c or, if it is of what is issued, the first claim of its namespace with the
// certificate of a Secret.
func inPlaceOf(c *hostClaim, claims []hostClaim) *hostClaim {
	if !c.issued {
		return c
	}
	for i := range claims {
		if s := &claims[i]; s.certificate != nil && !s.issued && s.object.Namespace == c.object.Namespace {
			return s
		}
	}
	return c
}

// sameBinding compares certificates as pointers: each Secret is parsed once.
func sameBinding(a, b certs.Binding) bool {
	return a.Host == b.Host && a.Reason == b.Reason && a.Source == b.Source && slices.Equal(a.Certificates, b.Certificates)
}

func (c claim) binding() certs.Binding {
	b := certs.Binding{Host: c.host, Reason: c.reason, Source: c.source}
	if c.certificate != nil {
		b.Certificates = []*tls.Certificate{c.certificate}
	}
	return b
}
