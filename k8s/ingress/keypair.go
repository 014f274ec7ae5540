package ingress

import (
	"crypto/sha256"
	"crypto/tls"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// expiringWithin is how long before its end a certificate is reported.
const expiringWithin = 10 * 24 * time.Hour

// keyPair is what a Secret holds, read once.
type keyPair struct {
	certificate *tls.Certificate // nil when there is none to use
	problem     finding          // why, zero when there is one
	names       []string         // that the certificate is for, in lower case
	sorted      []string         // names: a certificate may have thousands, and an Ingress as many hosts
}

// keyPairs remembers what Secrets hold, by object and by content: a Secret that is written
// again with the same content, or copied to other namespaces, is the same certificate.
type keyPairs struct {
	byObject  map[*corev1.Secret]*keyPair
	byContent map[[sha256.Size]byte]*keyPair
}

func newKeyPairs() keyPairs {
	return keyPairs{byObject: make(map[*corev1.Secret]*keyPair), byContent: make(map[[sha256.Size]byte]*keyPair)}
}

// get returns what the Secret named so holds; secret is nil when there is none.
func (ks *keyPairs) get(secret *corev1.Secret, name types.NamespacedName) *keyPair {
	if secret == nil {
		return &keyPair{problem: found(SecretNotFound, "Secret %s not found", name)}
	}
	if k := ks.byObject[secret]; k != nil {
		return k
	}
	k := ks.read(secret, name)
	ks.byObject[secret] = k
	return k
}

func (ks *keyPairs) read(secret *corev1.Secret, name types.NamespacedName) *keyPair {
	if secret.Type != corev1.SecretTypeTLS {
		return &keyPair{problem: found(SecretWrongType, "Secret %s is of type %q, want %s", name, string(secret.Type), corev1.SecretTypeTLS)}
	}
	crt, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	h := sha256.New()
	h.Write(crt)
	h.Write([]byte{0})
	h.Write(key)
	sum := [sha256.Size]byte(h.Sum(nil))
	if k := ks.byContent[sum]; k != nil {
		return k
	}
	certificate, err := certs.Parse(crt, key)
	if err != nil { // its text names the Secret: it is not shared
		return &keyPair{problem: found(SecretInvalid, "Secret %s: %w", name, err)}
	}
	k := &keyPair{certificate: certificate, names: certificateNames(certificate)}
	k.sorted = slices.Sorted(slices.Values(k.names))
	ks.byContent[sum] = k
	return k
}

// forget drops what no Secret of s holds.
func (ks *keyPairs) forget(s *Snapshot) {
	if len(ks.byObject) == 0 {
		return
	}
	live := make(map[*keyPair]bool, len(ks.byContent))
	for secret, k := range ks.byObject {
		if s.Secrets[types.NamespacedName{Namespace: secret.Namespace, Name: secret.Name}] == secret {
			live[k] = true
		} else {
			delete(ks.byObject, secret)
		}
	}
	for sum, k := range ks.byContent {
		if !live[k] {
			delete(ks.byContent, sum)
		}
	}
}

// certificateNames are the DNS names of the certificate; its common name when it has no
// alternative names at all.
func certificateNames(c *tls.Certificate) []string {
	leaf := c.Leaf
	names := leaf.DNSNames
	if len(names)+len(leaf.IPAddresses)+len(leaf.EmailAddresses)+len(leaf.URIs) == 0 && leaf.Subject.CommonName != "" {
		names = []string{leaf.Subject.CommonName}
	}
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = strings.TrimSuffix(strings.ToLower(name), ".")
	}
	return lower
}

// covers reports whether the certificate is for host, in lower case: a wildcard is for one
// label, and a wildcard host needs the same wildcard.
func (k *keyPair) covers(host string) bool {
	if _, exact := slices.BinarySearch(k.sorted, host); exact {
		return true
	}
	dot := strings.IndexByte(host, '.')
	if dot <= 0 {
		return false
	}
	_, wildcard := slices.BinarySearch(k.sorted, "*"+host[dot:])
	return wildcard
}

// validity is how a certificate stands at one time.
type validity struct {
	problem finding   // zero: all is well
	usable  bool      // problem is but a warning, or none
	until   time.Time // when the judgement changes; zero is never
}

func (k *keyPair) judge(name types.NamespacedName, now time.Time) validity {
	if k.certificate == nil {
		return validity{problem: k.problem}
	}
	begin, end := k.certificate.Leaf.NotBefore, k.certificate.Leaf.NotAfter
	warn := end.Add(-expiringWithin)
	switch {
	case now.Before(begin):
		return validity{
			problem: found(CertificateNotYetValid, "certificate of Secret %s is valid from %s", name, stamp(begin)),
			until:   begin,
		}
	case now.After(end):
		return validity{problem: found(CertificateExpired, "certificate of Secret %s expired at %s", name, stamp(end))}
	case now.Before(warn):
		return validity{usable: true, until: warn}
	}
	return validity{
		problem: found(CertificateExpiring, "certificate of Secret %s expires at %s", name, stamp(end)),
		usable:  true,
		until:   end.Add(time.Nanosecond),
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
