package ingress_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// signer makes certificates of one key, as fast as it goes.
type signer struct {
	key    *ecdsa.PrivateKey
	keyPEM []byte
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
}

func (s *signer) secret(t *testing.T, name, host string, from, until time.Time) *corev1.Secret {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: from, NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &s.key.PublicKey, s.key)
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "tls.key": s.keyPEM},
	}
}

// TestBadSecretsAmongMany: of 5,000 Secrets 50 become bad, in every way there is. Their hosts get the
// default certificate and their Ingresses a Problem; all others keep what they have, to the very
// pointer, so that nothing of them was read again.
func TestBadSecretsAmongMany(t *testing.T) {
	const many, bad = 5000, 50
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	sign, other := newSigner(t), newSigner(t)
	s := &ingress.Snapshot{Secrets: make(map[types.NamespacedName]*corev1.Secret, many)}
	class := "fairlead"
	s.Classes = []*netv1.IngressClass{{ObjectMeta: metav1.ObjectMeta{Name: class}, Spec: netv1.IngressClassSpec{Controller: ingress.Controller}}}
	prefix := netv1.PathTypePrefix
	hosts := make([]string, many)
	for i := range many {
		name := fmt.Sprintf("web-%d", i)
		hosts[i] = name + ".example"
		s.Secrets[types.NamespacedName{Namespace: "shop", Name: name}] = sign.secret(t, name, hosts[i], now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
		s.Ingresses = append(s.Ingresses, &netv1.Ingress{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec: netv1.IngressSpec{
				IngressClassName: &class,
				TLS:              []netv1.IngressTLS{{Hosts: hosts[i : i+1], SecretName: name}},
				Rules: []netv1.IngressRule{{Host: hosts[i], IngressRuleValue: netv1.IngressRuleValue{HTTP: &netv1.HTTPIngressRuleValue{Paths: []netv1.HTTPIngressPath{{
					Path: "/", PathType: &prefix, Backend: netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: "web", Port: netv1.ServiceBackendPort{Number: 80}}},
				}}}}}},
			},
		})
	}
	tr := ingress.NewTranslator(ingress.Options{Now: func() time.Time { return now }})
	start := time.Now()
	before := byHost(tr.Translate(s).Certificates)
	cold := time.Since(start)
	for _, host := range hosts {
		if len(before[host].Certificates) != 1 {
			t.Fatalf("%s has no certificate to begin with: %s", host, before[host].Reason)
		}
	}

	ways := []struct {
		reason ingress.Reason
		spoil  func(*corev1.Secret) *corev1.Secret
	}{
		{ingress.SecretNotFound, func(*corev1.Secret) *corev1.Secret { return nil }},
		{ingress.SecretWrongType, func(s *corev1.Secret) *corev1.Secret { s.Type = corev1.SecretTypeOpaque; return s }},
		{ingress.SecretInvalid, func(s *corev1.Secret) *corev1.Secret { s.Data = nil; return s }},
		{ingress.SecretInvalid, func(s *corev1.Secret) *corev1.Secret { s.Data["tls.crt"] = []byte("no PEM"); return s }},
		{ingress.SecretInvalid, func(s *corev1.Secret) *corev1.Secret { s.Data["tls.crt"] = s.Data["tls.crt"][:200]; return s }},
		{ingress.SecretInvalid, func(s *corev1.Secret) *corev1.Secret { s.Data["tls.key"] = other.keyPEM; return s }},
		{ingress.SecretInvalid, func(s *corev1.Secret) *corev1.Secret {
			s.Data["tls.crt"] = bytes.Repeat(s.Data["tls.crt"], 1<<20/len(s.Data["tls.crt"])) // the same certificate, a MiB of it
			s.Data["tls.key"] = other.keyPEM
			return s
		}},
		{ingress.SecretInvalid, func(s *corev1.Secret) *corev1.Secret {
			s.Data["tls.crt"] = bytes.Repeat([]byte("-----BEGIN "), 90_000)
			return s
		}},
		{ingress.CertificateExpired, func(s *corev1.Secret) *corev1.Secret {
			return sign.secret(t, s.Name, s.Name+".example", now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0))
		}},
		{ingress.CertificateNotYetValid, func(s *corev1.Secret) *corev1.Secret {
			return sign.secret(t, s.Name, s.Name+".example", now.AddDate(1, 0, 0), now.AddDate(2, 0, 0))
		}},
		{ingress.CertificateNameMismatch, func(s *corev1.Secret) *corev1.Secret {
			return sign.secret(t, s.Name, "other.example", now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0))
		}},
	}
	changed := *s
	changed.Secrets = maps.Clone(s.Secrets)
	spoiled := make(map[string]ingress.Reason)
	for i := range bad {
		n := i * (many / bad)
		at := types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("web-%d", n)}
		way := ways[i%len(ways)]
		spoiled[hosts[n]] = way.reason
		if secret := way.spoil(s.Secrets[at].DeepCopy()); secret != nil {
			changed.Secrets[at] = secret
		} else {
			delete(changed.Secrets, at)
		}
	}
	start = time.Now()
	result := tr.Translate(&changed)
	t.Logf("%d certificates: %v at first, %v when %d of them became bad", many, cold.Round(time.Millisecond), time.Since(start).Round(time.Millisecond), bad)

	told := make(map[string]ingress.Reason)
	for _, p := range result.Problems {
		if p.Object.Kind == "Ingress" && p.Reason != ingress.ServiceNotFound {
			if told[p.Object.Name+".example"] != "" {
				t.Errorf("%s has a second Problem: %v", p.Object, p.Err)
			}
			told[p.Object.Name+".example"] = p.Reason
		}
	}
	after := byHost(result.Certificates)
	for _, host := range hosts {
		reason, is := spoiled[host]
		switch {
		case told[host] != reason:
			t.Errorf("%s: Problem %q, want %q", host, told[host], reason)
		case is && (len(after[host].Certificates) != 0 || after[host].Reason == ""):
			t.Errorf("%s: want the default certificate and why, got %+v", host, after[host])
		case !is && (len(after[host].Certificates) != 1 || after[host].Certificates[0] != before[host].Certificates[0]):
			t.Errorf("%s: another certificate than before", host)
		}
	}
}

func byHost(bindings []certs.Binding) map[string]certs.Binding {
	all := make(map[string]certs.Binding, len(bindings))
	for _, b := range bindings {
		all[b.Host] = b
	}
	return all
}
