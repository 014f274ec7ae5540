package ingress

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/tls/certs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// claims is what the TLS sections of one Ingress come to, and what that was made of.
type claims struct {
	secrets  []*corev1.Secret // of each section, nil where there is none
	made     time.Time        // zero: never
	until    time.Time        // when they are to be judged again; zero is never
	bindings []claim
	problems []Problem
}

// claim is one host of one TLS section.
type claim struct {
	host        string
	field       string // of the section
	certificate *tls.Certificate
	reason      string // why certificate is nil
	source      string
}

// certify fills in the certificates of r and the Problems with them.
func (t *Translator) certify(s *Snapshot, r *Result) {
	now := t.options.Now()
	hosts := make(map[string]int) // index in r.Certificates
	owners := make([]*entry, 0)   // of the first certificate of each
	changed := false
	for _, e := range t.order {
		if len(e.sections) == 0 {
			continue
		}
		if !e.claims.hold(e, s, now) {
			e.claims = t.judge(e, s, now)
			changed = true
		}
		r.until(e.claims.until)
		r.Problems = append(r.Problems, e.claims.problems...)
		for _, c := range e.claims.bindings {
			i, taken := hosts[c.host]
			switch {
			case !taken:
				hosts[c.host] = len(r.Certificates)
				r.Certificates = append(r.Certificates, c.binding())
				owners = append(owners, e)
			case c.certificate == nil || slices.Contains(r.Certificates[i].Certificates, c.certificate):
				// Nothing to add: a section without certificate takes none away.
			case len(r.Certificates[i].Certificates) == 0:
				r.Certificates[i] = c.binding()
				owners[i] = e
			case owners[i] == e:
				r.Certificates[i].Certificates = append(r.Certificates[i].Certificates, c.certificate)
			default:
				r.Problems = append(r.Problems, found(CertificateConflict, "%s is not served for host %s: %s comes first and has %s",
					c.source, c.host, owners[i].object, r.Certificates[i].Source).on(e.object, c.field))
			}
		}
	}
	if t.options.DefaultCertificate != (types.NamespacedName{}) {
		changed = t.certifyDefault(s, r, now) || changed
	}
	if changed {
		t.pairs.forget(s)
	}
}

// certifyDefault reports whether it read a Secret.
func (t *Translator) certifyDefault(s *Snapshot, r *Result, now time.Time) bool {
	name := t.options.DefaultCertificate
	before := len(t.pairs.byObject)
	pair := t.pairs.get(s.Secrets[name], name)
	v := pair.judge(name, now)
	r.until(v.until)
	if v.problem.err != nil {
		r.Problems = append(r.Problems, v.problem.on(Object{Kind: "Secret", Namespace: name.Namespace, Name: name.Name}, ""))
	}
	if v.usable {
		r.DefaultCertificate = pair.certificate
	}
	return len(t.pairs.byObject) != before
}

func (r *Result) until(t time.Time) {
	if !t.IsZero() && (r.Until.IsZero() || t.Before(r.Until)) {
		r.Until = t
	}
}

func (c claim) binding() certs.Binding {
	b := certs.Binding{Host: c.host, Reason: c.reason, Source: c.source}
	if c.certificate != nil {
		b.Certificates = []*tls.Certificate{c.certificate}
	}
	return b
}

// hold reports whether the claims of e are still what judge would make of s.
func (c *claims) hold(e *entry, s *Snapshot, now time.Time) bool {
	if c.made.IsZero() || now.Before(c.made) || !c.until.IsZero() && !now.Before(c.until) {
		return false
	}
	for i := range e.sections {
		if c.secrets[i] != e.secret(s, i) {
			return false
		}
	}
	return true
}

func (e *entry) secretName(i int) types.NamespacedName {
	// Secrets are taken from the Ingress's own namespace and from nowhere else.
	return types.NamespacedName{Namespace: e.object.Namespace, Name: e.sections[i].secret}
}

func (e *entry) secret(s *Snapshot, i int) *corev1.Secret {
	if e.sections[i].secret == "" {
		return nil
	}
	return s.Secrets[e.secretName(i)]
}

// judge makes the claims of e. Sections that name their hosts come before those that leave
// that to the certificate.
func (t *Translator) judge(e *entry, s *Snapshot, now time.Time) claims {
	c := claims{made: now, secrets: make([]*corev1.Secret, len(e.sections))}
	for i := range e.sections {
		c.secrets[i] = e.secret(s, i)
		if !e.sections[i].all {
			t.judgeSection(&c, e, i, now)
		}
	}
	for i := range e.sections {
		if e.sections[i].all {
			t.judgeSection(&c, e, i, now)
		}
	}
	return c
}

func (t *Translator) judgeSection(c *claims, e *entry, i int, now time.Time) {
	sec := &e.sections[i]
	hosts := sec.hosts
	if sec.all {
		hosts = slices.DeleteFunc(slices.Clone(e.hosts), func(host string) bool { return host == "" })
	}
	report := func(f finding, field string) { c.problems = append(c.problems, f.on(e.object, field)) }
	fail := func(host string, f finding) {
		c.bindings = append(c.bindings, claim{host: host, field: sec.field, reason: f.err.Error(), source: e.object.String()})
	}
	if sec.secret == "" {
		f := found(TLSWithoutSecret, "%s of Ingress %s names no Secret", sec.field, e.origin)
		if t.options.DefaultCertificate == (types.NamespacedName{}) {
			report(f, sec.field)
		}
		for _, host := range hosts {
			fail(host, f)
		}
		return
	}
	name := e.secretName(i)
	pair := t.pairs.get(c.secrets[i], name)
	v := pair.judge(name, now)
	if !v.until.IsZero() && (c.until.IsZero() || v.until.Before(c.until)) {
		c.until = v.until
	}
	if v.problem.err != nil {
		report(v.problem, sec.field+".secretName")
	}
	covered := false
	for j, host := range hosts {
		switch {
		case !v.usable:
			fail(host, v.problem)
		case pair.covers(host):
			covered = true
			c.bindings = append(c.bindings, claim{host: host, field: sec.field, certificate: pair.certificate, source: "Secret " + name.String()})
		case !sec.all:
			f := found(CertificateNameMismatch, "certificate of Secret %s is for %s, not for %s", name, namesText(pair.names), host)
			report(f, fmt.Sprintf("%s.hosts[%d]", sec.field, j))
			fail(host, f)
		}
	}
	if v.usable && sec.all && !covered {
		report(found(CertificateNameMismatch, "certificate of Secret %s is for %s, which is no host of the rules; name the hosts in %s.hosts",
			name, namesText(pair.names), sec.field), sec.field)
	}
}

func namesText(names []string) string {
	if len(names) == 0 {
		return "no host"
	}
	if len(names) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
	}
	return strings.Join(names, ", ")
}
