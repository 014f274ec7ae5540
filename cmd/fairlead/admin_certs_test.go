package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/tls/certs"
)

func TestDebugCerts(t *testing.T) {
	in := &instance{certs: new(certs.Store)}
	ask := func() (shown []shownBinding, body []byte) {
		w := httptest.NewRecorder()
		in.serveCerts(w, httptest.NewRequest("GET", "/debug/certs", nil))
		if err := json.Unmarshal(w.Body.Bytes(), &shown); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
		return shown, w.Body.Bytes()
	}
	if shown, body := ask(); shown == nil || len(shown) != 0 {
		t.Errorf("before the first set: %s", body)
	}
	end := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: "a"}, Issuer: pkix.Name{CommonName: "ca"}, DNSNames: []string{"a.example"},
		PublicKeyAlgorithm: x509.ECDSA, NotAfter: end,
	}
	in.certs.Swap(certs.NewSet([]certs.Binding{
		{Host: "a.example", Source: "Ingress shop/a", Certificates: []*tls.Certificate{{Leaf: leaf, PrivateKey: "secret-key"}}},
		{Host: "b.example", Source: "Ingress shop/b", Reason: "Secret shop/b not found"},
	}, nil))
	shown, body := ask()
	if len(shown) != 2 || shown[0].Default != "" || len(shown[0].Certificates) != 1 || shown[1].Default != "Secret shop/b not found" {
		t.Fatalf("got %s", body)
	}
	c := shown[0].Certificates[0]
	if shown[0].Host != "a.example" || c.Issuer != "CN=ca" || c.Subject != "CN=a" || len(c.Names) != 1 || c.Algorithm != "ECDSA" || !c.NotAfter.Equal(end) {
		t.Errorf("got %s", body)
	}
	if bytes.Contains(body, []byte("secret-key")) {
		t.Error("the key is shown")
	}
}
