package k8s

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
)

// What the Secrets of an issuer are found by. The name that a record is of may be too long for a
// label.
const (
	issuedOwnerLabel = "fairlead.dev/acme"        // whose: the name of the Lease of those who order
	issuedKindLabel  = "fairlead.dev/acme-kind"   // of the record
	issuedNameNote   = "fairlead.dev/acme-record" // an annotation: the name of the record
)

// ACMELeaseName is the name of the Lease that elects who orders, for replicas that elect their
// leader by the given one. It names what they keep, too.
func ACMELeaseName(leader string) string {
	if leader == LeaseName("") {
		return "fairlead-acme"
	}
	return leader + "-acme"
}

// acmeSecretType is of the Secrets of accounts and orders.
const acmeSecretType corev1.SecretType = "fairlead.dev/acme"

// IssuedStore keeps the records of an issuer in Secrets of one namespace. It is an issuer.Store.
// Nothing of what is in them gets into an error.
type IssuedStore struct {
	Client    kubernetes.Interface
	Namespace string
	// Owner sets its Secrets apart from those of other installations in the namespace.
	Owner string

	mu       sync.Mutex
	versions map[string]string // resource versions as last read or written, by the name of the Secret
}

// storeCall bounds one request.
const storeCall = 15 * time.Second

func (s *IssuedStore) version(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[name]
}

// saw notes the version of a Secret, "" for one that is not there.
func (s *IssuedStore) saw(name, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions == nil {
		s.versions = make(map[string]string)
	}
	if version == "" {
		delete(s.versions, name)
		return
	}
	s.versions[name] = version
}

// Get implements issuer.Store. A Secret of that name that is not ours is an error.
func (s *IssuedStore) Get(ctx context.Context, kind, name string) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, storeCall)
	defer cancel()
	object := ingress.IssuedName(kind, name)
	secret, err := s.Client.CoreV1().Secrets(s.Namespace).Get(ctx, object, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		s.saw(object, "")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if secret.Labels[issuedOwnerLabel] != s.Owner || secret.Labels[issuedKindLabel] != kind {
		return nil, fmt.Errorf("Secret %s/%s is not ours: want label %s: %s, got %q", s.Namespace, object, issuedOwnerLabel, s.Owner, secret.Labels[issuedOwnerLabel])
	}
	s.saw(object, secret.ResourceVersion)
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	return secret.Data, nil
}

// Put implements issuer.Store.
func (s *IssuedStore) Put(ctx context.Context, kind, name string, record map[string][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, storeCall)
	defer cancel()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: ingress.IssuedName(kind, name),
			Labels:      map[string]string{issuedOwnerLabel: s.Owner, issuedKindLabel: kind, "app.kubernetes.io/managed-by": "fairlead"},
			Annotations: map[string]string{issuedNameNote: name},
		},
		Type: acmeSecretType, Data: record,
	}
	if kind == ingress.IssuedCertificate {
		secret.Type = corev1.SecretTypeTLS
	}
	secrets := s.Client.CoreV1().Secrets(s.Namespace)
	var made *corev1.Secret
	var err error
	if secret.ResourceVersion = s.version(secret.Name); secret.ResourceVersion == "" {
		made, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
	} else {
		made, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	if err != nil {
		return err
	}
	s.saw(secret.Name, made.ResourceVersion)
	return nil
}

// Delete implements issuer.Store. What another process has written since is not deleted.
func (s *IssuedStore) Delete(ctx context.Context, kind, name string) error {
	ctx, cancel := context.WithTimeout(ctx, storeCall)
	defer cancel()
	object := ingress.IssuedName(kind, name)
	var o metav1.DeleteOptions
	if version := s.version(object); version != "" {
		o.Preconditions = &metav1.Preconditions{ResourceVersion: &version}
	}
	err := s.Client.CoreV1().Secrets(s.Namespace).Delete(ctx, object, o)
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	s.saw(object, "")
	return nil
}

// List implements issuer.Store.
func (s *IssuedStore) List(ctx context.Context, kind string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, storeCall)
	defer cancel()
	list, err := s.Client.CoreV1().Secrets(s.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{issuedOwnerLabel: s.Owner, issuedKindLabel: kind}.String(),
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		if name := list.Items[i].Annotations[issuedNameNote]; name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// IssuedOptions say where a Cluster finds what an IssuedStore keeps.
type IssuedOptions struct {
	Namespace, Owner string
	// Changed is told of every record of an order or a certificate that is there at first, that
	// changes and, with a nil record, that goes. It must be quick. Nil: nobody is told.
	Changed func(kind, name string, record map[string][]byte)
}

// selector selects what is served and answered: accounts are the Store's matter alone.
func (o *IssuedOptions) selector() selector {
	return selector{labels: issuedOwnerLabel + "=" + o.Owner + "," + issuedKindLabel + " in (" + ingress.IssuedCertificate + "," + ingress.IssuedOrder + ")"}
}

// stripIssued removes the key of an order, which only its Store reads.
func stripIssued(s *corev1.Secret) {
	stripMeta(&s.ObjectMeta)
	if s.Labels[issuedKindLabel] == ingress.IssuedOrder {
		delete(s.Data, corev1.TLSPrivateKeyKey)
	}
}

// sameIssued looks also at what a record is found by.
func sameIssued(old, now *corev1.Secret) bool {
	return sameSecret(old, now) && maps.Equal(old.Labels, now.Labels) && maps.Equal(old.Annotations, now.Annotations)
}

// recordOf returns the kind and the name of the record that a Secret has; empty for nil, for a copy that
// somebody has made, and for one that lost its annotation.
func recordOf(s *corev1.Secret) (kind, name string) {
	if s == nil {
		return "", ""
	}
	kind, name = s.Labels[issuedKindLabel], s.Annotations[issuedNameNote]
	if s.Name != ingress.IssuedName(kind, name) {
		return "", ""
	}
	return kind, name
}

// issuedChanged is called with the lock held.
func (c *Cluster) issuedChanged(old, now *corev1.Secret) {
	was, wasOf := recordOf(old)
	kind, name := recordOf(now)
	changed := c.o.Issued.Changed
	if changed == nil {
		changed = func(string, string, map[string][]byte) {}
	}
	if was != "" && kind == "" {
		delete(c.issuedSecrets, keyOf(old))
		changed(was, wasOf, nil)
	}
	if kind != "" {
		record := now.Data
		if record == nil {
			record = map[string][]byte{}
		}
		secret := issuedSecret(kind, record)
		secret.ObjectMeta = metav1.ObjectMeta{Namespace: now.Namespace, Name: now.Name, UID: now.UID}
		c.issuedSecrets[keyOf(now)] = secret
		changed(kind, name, record)
	}
	if was != "" || kind != "" {
		c.stale.secrets, c.events.full = true, true
	}
}
