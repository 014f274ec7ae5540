package k8s

import (
	"context"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// Issued is a Source that shows what an issuer keeps outside of it as Secrets of Namespace, as
// where the issuer keeps it in a cluster. Its exported fields are set before the first use.
type Issued struct {
	Source
	Namespace string

	mu      sync.Mutex // guards what follows
	notify  func(types.NamespacedName)
	secrets map[types.NamespacedName]*corev1.Secret // none of them changes
	base    *ingress.Snapshot                       // that last was made of
	last    *ingress.Snapshot                       // nil when secrets have changed since
}

// Set takes note of a record of the issuer, nil when it was deleted. It may be called at any time.
func (s *Issued) Set(kind, name string, record map[string][]byte) {
	secret := issuedSecret(kind, record)
	if secret == nil && record != nil {
		return
	}
	at := types.NamespacedName{Namespace: s.Namespace, Name: ingress.IssuedName(kind, name)}
	s.mu.Lock()
	if s.secrets == nil {
		s.secrets = make(map[types.NamespacedName]*corev1.Secret)
	}
	if secret == nil {
		delete(s.secrets, at)
	} else {
		secret.ObjectMeta = metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name}
		s.secrets[at] = secret
	}
	s.last = nil
	notify := s.notify
	s.mu.Unlock()
	if notify != nil {
		notify(types.NamespacedName{})
	}
}

// issuedSecret is what translation reads of a record; nil for a kind of which it reads nothing.
func issuedSecret(kind string, record map[string][]byte) *corev1.Secret {
	if record == nil {
		return nil
	}
	switch kind {
	case ingress.IssuedCertificate:
		return &corev1.Secret{Type: corev1.SecretTypeTLS, Data: ingress.IssuedData(kind, record)}
	case ingress.IssuedOrder:
		return &corev1.Secret{Type: acmeSecretType, Data: ingress.IssuedData(kind, record)}
	}
	return nil
}

// Run implements Source.
func (s *Issued) Run(ctx context.Context, notify func(service types.NamespacedName)) error {
	s.mu.Lock()
	s.notify = notify
	s.mu.Unlock()
	return s.Source.Run(ctx, notify)
}

// Snapshot implements Source.
func (s *Issued) Snapshot() *ingress.Snapshot {
	base := s.Source.Snapshot()
	if base == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && s.base == base {
		return s.last
	}
	merged := *base
	merged.Secrets = maps.Clone(base.Secrets)
	if merged.Secrets == nil {
		merged.Secrets = make(map[types.NamespacedName]*corev1.Secret)
	}
	maps.Copy(merged.Secrets, s.secrets)
	s.base, s.last = base, &merged
	return s.last
}
