package ingress

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// section is an item of spec.tls.
type section struct {
	field  string // of the item
	secret string // "" for none
	hosts  []sectionHost
	// all says that the section is for those of the Ingress's hosts that the certificate
	// covers, as it has no list of its own.
	all bool
}

// sectionHost is a valid host of a section, with its place in the list.
type sectionHost struct {
	name  string
	index int
}

// claims is what the TLS sections of one Ingress come to, and what that was made of.
type claims struct {
	secrets  []*corev1.Secret // of each section, nil where there is none
	made     time.Time
	until    time.Time // when they are to be judged again; zero is never
	list     []claim
	problems []Problem
	issued   []issuedSecrets // of each of the entry's issues
}

// claim is one host of one TLS section.
type claim struct {
	host        string
	field       string // of the section
	certificate *tls.Certificate
	reason      string // why certificate is nil
	alias       bool   // host is but an alias: those who have it come first
	source      string
	// issued says that it is of no section: the certificate is, or is to be, ordered. directory
	// names who issued it, and trouble is what is wrong with that, if something is.
	issued    bool
	directory string
	failed    bool // the last try to order it
	trouble   finding
}

// hold reports whether the claims of e are still what judge would make of s.
func (c *claims) hold(e *entry, s *Snapshot, now time.Time) bool {
	if c == nil {
		return len(e.sections) == 0 && len(e.issues) == 0
	}
	if now.Before(c.made) || !c.until.IsZero() && !now.Before(c.until) {
		return false
	}
	for i := range e.sections {
		if c.secrets[i] != e.secret(s, i) {
			return false
		}
	}
	for i := range e.issues {
		if c.issued[i] != e.issues[i].secrets(s) {
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
// that to the certificate. Without a Secret is only a mistake without a default certificate.
func (cs *certificates) judge(e *entry, s *Snapshot, now time.Time, haveDefault bool) *claims {
	if len(e.sections) == 0 && len(e.issues) == 0 {
		return nil
	}
	j := judgement{certificates: cs, entry: e, now: now, haveDefault: haveDefault}
	j.made, j.secrets = now, make([]*corev1.Secret, len(e.sections))
	for i := range e.sections {
		j.secrets[i] = e.secret(s, i)
		if !e.sections[i].all {
			j.section(i)
		}
	}
	for i := range e.sections {
		if e.sections[i].all {
			j.section(i)
		}
	}
	j.issue(s)
	j.claims.problems = listed(j.claims.problems)
	made := j.claims
	return &made
}

// judgement makes claims.
type judgement struct {
	claims
	*certificates
	*entry
	now         time.Time
	haveDefault bool
}

func (j *judgement) report(f finding, field string) {
	j.claims.problems = append(j.claims.problems, f.on(j.object, field))
}

// fail leaves host to the default certificate.
func (j *judgement) fail(host string, f finding, field string) {
	j.list = append(j.list, claim{host: host, field: field, reason: f.err.Error(), source: j.object.String()})
}

func (j *judgement) section(i int) {
	sec := &j.sections[i]
	hosts := sec.hosts
	if sec.all {
		for _, host := range j.entry.hosts {
			if host != "" {
				hosts = append(hosts, sectionHost{name: host})
			}
		}
	}
	if j.secrets[i] == nil {
		// What is ordered takes the place of the Secret that is not there.
		given := len(hosts)
		hosts = slices.DeleteFunc(slices.Clone(hosts), func(h sectionHost) bool { return j.ordered(h.name) })
		if len(hosts) == 0 && given > 0 {
			return
		}
	}
	if sec.secret == "" {
		f := found(TLSWithoutSecret, "%s of Ingress %s names no Secret", sec.field, j.origin)
		if j.acmeOff {
			f = acmeIsOff() // which was reported
		} else if !j.haveDefault {
			j.report(f, sec.field)
		}
		for _, host := range hosts {
			j.fail(host.name, f, sec.field)
		}
		return
	}
	name := j.secretName(i)
	pair := j.pairs.get(j.secrets[i], name)
	v := pair.judge(name, j.now)
	j.claims.until = earlier(j.claims.until, v.until)
	if v.problem.err != nil {
		j.report(v.problem, sec.field+".secretName")
	}
	covered := false
	for _, host := range hosts {
		switch {
		case !v.usable:
			j.fail(host.name, v.problem, sec.field)
		case pair.covers(host.name):
			covered = true
			j.list = append(j.list, claim{host: host.name, field: sec.field, certificate: pair.certificate, source: "Secret " + name.String()})
		case !sec.all:
			f := found(CertificateNameMismatch, "certificate of Secret %s is for %s, not for %s", name, namesText(pair.names), host.name)
			j.report(f, fmt.Sprintf("%s.hosts[%d]", sec.field, host.index))
			j.fail(host.name, f, sec.field)
		}
	}
	if v.usable && (sec.all || slices.ContainsFunc(hosts, func(h sectionHost) bool { return h.name == j.aliased })) {
		for _, alias := range j.aliases {
			if pair.covers(alias) {
				covered = true
				j.list = append(j.list, claim{host: alias, field: sec.field, certificate: pair.certificate, source: "Secret " + name.String(), alias: true})
			}
		}
	}
	if v.usable && sec.all && !covered {
		j.report(found(CertificateNameMismatch, "certificate of Secret %s is for %s, which is no host of the rules; name the hosts in %s.hosts",
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
