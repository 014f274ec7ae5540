package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

func serverTLS(c *tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*c}}
}

// clientTLS returns a configuration that verifies.
func clientTLS(c *tls.Certificate, trusted bool, serverName string) *tls.Config {
	roots := x509.NewCertPool()
	if trusted {
		roots.AddCert(c.Leaf)
	}
	return &tls.Config{RootCAs: roots, ServerName: serverName}
}

func echoed(t testing.TB, body string) proxytest.Echoed {
	t.Helper()
	var e proxytest.Echoed
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %q", err, body)
	}
	return e
}
