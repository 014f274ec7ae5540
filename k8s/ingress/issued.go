package ingress

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// What the issuer keeps in Secrets of Options.ACMENamespace: the kinds, which IssuedName takes,
// and the keys of their data that are read here.
const (
	IssuedCertificate = "certificate" // of type kubernetes.io/tls
	IssuedOrder       = "order"

	issuedDirectory = "directory" // of a certificate: who issued it
	issuedStatus    = "status"    // of an order: how it stands, for people
	issuedFailures  = "failures"  // of an order: there if the last try has failed
)

// IssuedData is the part of a record that is read here: of an order not its key.
func IssuedData(kind string, record map[string][]byte) map[string][]byte {
	keys := []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, issuedDirectory}
	if kind == IssuedOrder {
		keys = []string{issuedStatus, issuedFailures}
	}
	read := make(map[string][]byte, len(keys))
	for _, key := range keys {
		if v, ok := record[key]; ok {
			read[key] = v
		}
	}
	return read
}

// maxObjectName is the longest name of an object.
const maxObjectName = 253

// IssuedName is the name of the Secret with what the issuer keeps under a kind and a name: a
// host's where the kind is one of the above.
func IssuedName(kind, name string) string {
	full := "acme-" + kind + "." + name
	if len(full) > maxObjectName {
		sum := sha256.Sum256([]byte(name))
		full = "acme-" + kind + ".sha256-" + hex.EncodeToString(sum[:16])
	}
	return full
}

// Issue is a host that is to have a certificate by ACME.
type Issue struct {
	Host string
	// Certificate is what was issued and is served; nil while there is none. Directory says by
	// whom, by the URL of its ACME directory.
	Certificate *tls.Certificate
	Directory   string
	// Failed says that the last try to order one has failed, and is recorded.
	Failed bool
	// Namespace is of the Ingress that it is ordered for.
	Namespace string
}

// issueHost is a host of an Ingress that certificates are ordered for.
type issueHost struct {
	host               string
	certificate, order types.NamespacedName // of the Secrets
	cannot             bool                 // be proved
	alias              bool                 // and no host of the Ingress itself
}

// issuedSecrets is what there is for a host; nil where there is nothing.
type issuedSecrets struct{ certificate, order *corev1.Secret }

func (h *issueHost) secrets(s *Snapshot) issuedSecrets {
	return issuedSecrets{s.Secrets[h.certificate], s.Secrets[h.order]}
}

// canBeIssued reports whether a host can be proved by a challenge that a proxy answers.
func canBeIssued(host string) bool {
	return strings.Contains(host, ".") && !strings.HasPrefix(host, "*.")
}

// wantsACME reports whether the Ingress, or its class for it, asks for certificates. Those of a
// canary's hosts are the matter of the Ingress that it belongs to.
func (r *reader) wantsACME() bool {
	if r.policies.Canary != nil {
		return false
	}
	if r.policies.ACME != nil {
		return *r.policies.ACME
	}
	return r.acmeByClass
}

// orders reports whether certificates are ordered for the hosts of the Ingress.
func (r *reader) orders() bool { return r.options.ACMENamespace != "" && r.wantsACME() }

func acmeIsOff() finding {
	return found(ACMEDisabled, "certificates are to be ordered by ACME, and the controller runs without --acme")
}

// readIssues lists the hosts of the rules and of the TLS sections, and the aliases. An Ingress that
// asks to pass TLS on has none, as nobody would be served what is issued.
func (r *reader) readIssues() {
	if !r.wantsACME() {
		return
	}
	if !r.orders() {
		r.acmeOff = true
		f := acmeIsOff()
		r.report(f.reason, "", "%w", f.err)
		return
	}
	if r.policies.Passthrough {
		if r.policies.ACME != nil {
			r.report(AnnotationNoEffect, r.annotationField("acme"), "no certificate is ordered beside ssl-passthrough: the backends have theirs")
		}
		return
	}
	seen := make(map[string]struct{})
	add := func(host string, alias bool) {
		if _, twice := seen[host]; twice || host == "" {
			return
		}
		seen[host] = struct{}{}
		name := func(kind string) types.NamespacedName {
			return types.NamespacedName{Namespace: r.options.ACMENamespace, Name: IssuedName(kind, host)}
		}
		h := issueHost{host: host, cannot: !canBeIssued(host), alias: alias}
		if !h.cannot {
			h.certificate, h.order = name(IssuedCertificate), name(IssuedOrder)
		}
		r.issues = append(r.issues, h)
	}
	for _, host := range r.hosts {
		add(host, false)
	}
	for _, s := range r.sections {
		for _, h := range s.hosts {
			add(h.name, false)
		}
	}
	for _, host := range r.aliases {
		add(host, true)
	}
	slices.SortFunc(r.issues, func(a, b issueHost) int { return strings.Compare(a.host, b.host) })
}

// ordered reports whether a certificate is ordered for host where no Secret has one.
func (e *entry) ordered(host string) bool {
	at, found := slices.BinarySearchFunc(e.issues, host, func(h issueHost, host string) int { return strings.Compare(h.host, host) })
	return found && !e.issues[at].cannot
}

// issue makes the claims of the hosts that no section has settled.
func (j *judgement) issue(s *Snapshot) {
	if len(j.entry.issues) == 0 {
		return
	}
	settled := make(map[string]struct{}, len(j.list))
	for _, c := range j.list {
		settled[c.host] = struct{}{}
	}
	j.claims.issued = make([]issuedSecrets, len(j.entry.issues))
	for i := range j.entry.issues {
		h := &j.entry.issues[i]
		j.claims.issued[i] = h.secrets(s)
		if _, ok := settled[h.host]; ok {
			continue
		}
		if h.cannot {
			f := found(CertificateNotOrdered, "no certificate is ordered for %s: ACME by HTTP or TLS proves full domain names that are no wildcards", h.host)
			j.report(f, "")
			j.list = append(j.list, claim{host: h.host, alias: h.alias, reason: f.err.Error(), source: j.object.String()})
			continue
		}
		j.list = append(j.list, j.issuedClaim(h, j.claims.issued[i]))
	}
}

// issuedClaim is what was issued for a host, or the reason why there is nothing.
func (j *judgement) issuedClaim(h *issueHost, have issuedSecrets) claim {
	c := claim{host: h.host, issued: true, alias: h.alias, source: j.object.String()}
	status, failed := "it is being ordered", false
	if have.order != nil {
		status = string(have.order.Data[issuedStatus])
		failed = len(have.order.Data[issuedFailures]) > 0
	}
	c.failed = failed
	why := "no certificate of " + h.host + " yet"
	if have.certificate != nil {
		pair := j.pairs.get(have.certificate, h.certificate)
		v := pair.judge(h.certificate, j.now)
		j.claims.until = earlier(j.claims.until, v.until)
		switch {
		case v.usable && pair.covers(h.host):
			c.certificate, c.source = pair.certificate, "Secret "+h.certificate.String()
			c.directory = string(have.certificate.Data[issuedDirectory])
			if failed {
				c.trouble = found(CertificateNotRenewed, "certificate of %s was not renewed and ends at %s: %s", h.host, stamp(pair.certificate.Leaf.NotAfter), status)
			}
			return c
		case v.usable:
			why = "Secret " + h.certificate.String() + " has no certificate of " + h.host
		default:
			why = v.problem.err.Error()
		}
	}
	reason := CertificatePending
	if failed {
		reason = CertificateNotIssued
	}
	c.trouble = found(reason, "%s: %s", why, status)
	c.reason = c.trouble.err.Error()
	return c
}

// issue is what the claim, which is of what is issued, orders.
func (c *hostClaim) issue() Issue {
	return Issue{Host: c.host, Certificate: c.certificate, Directory: c.directory, Failed: c.failed, Namespace: c.object.Namespace}
}

// setIssue keeps issues. An Issue without host is none.
func (cs *certificates) setIssue(host string, now Issue) {
	if cs.issues[host] == now {
		return
	}
	if now.Host == "" {
		delete(cs.issues, host)
	} else {
		cs.issues[host] = now
	}
	cs.issueList = nil
}

// listIssues is issues for a Result.
func (cs *certificates) listIssues() []Issue {
	if cs.issueList == nil && len(cs.issues) > 0 {
		cs.issueList = make([]Issue, 0, len(cs.issues))
		for _, host := range slices.Sorted(maps.Keys(cs.issues)) {
			cs.issueList = append(cs.issueList, cs.issues[host])
		}
	}
	return cs.issueList
}
