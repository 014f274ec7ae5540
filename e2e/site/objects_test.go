package site

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// fixed is a Listener that starts nothing.
func fixed(id BackendID) (netip.AddrPort, error) {
	port := uint16(1000 + len(id.Name) + 100*len(id.Port))
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), nil
}

func TestComplete(t *testing.T) {
	const text = `kind: Service
metadata: {name: web, namespace: shop, annotations: {e2e/backends: a bb=unready}}
spec:
  ports: [{name: x, port: 80}, {port: 81}]
---
kind: Ingress # untouched
---
: no YAML [
---
kind: Service
metadata: {name: other}`
	got, err := Complete([]byte(text), fixed, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := text + `
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-a
  namespace: shop
  labels: {kubernetes.io/service-name: web}
addressType: IPv4
ports:
- {name: "x", port: 1101, protocol: TCP}
- {name: "", port: 1001, protocol: TCP}
endpoints:
- addresses: ["127.0.0.1"]
  conditions: {ready: true, serving: true, terminating: false}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-bb
  namespace: shop
  labels: {kubernetes.io/service-name: web}
addressType: IPv4
ports:
- {name: "x", port: 1102, protocol: TCP}
- {name: "", port: 1002, protocol: TCP}
endpoints:
- addresses: ["127.0.0.1"]
  conditions: {ready: false, serving: false, terminating: false}
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A Service with backends selects Pods of their names; everything else is as it was.
func TestCompletePods(t *testing.T) {
	text := "kind: Service\nmetadata: {name: web, namespace: shop, annotations: {e2e/backends: a b}}\nspec: {ports: [{port: 8080}]}\n"
	got, err := CompletePods([]byte(text+"---\nkind: Ingress # untouched\n"), "image:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Ref{{"Service", "shop", "web"}, {"Ingress", "", ""}, {"Pod", "shop", "a"}, {"Pod", "shop", "b"}}
	var refs []Ref
	for _, d := range Documents(got) {
		refs = append(refs, d.Ref)
	}
	if !slices.Equal(refs, want) {
		t.Errorf("objects %v, want %v", refs, want)
	}
	for _, part := range []string{"selector:\n    e2e/service: web", "labels: {e2e/service: web}", "kind: Ingress # untouched", "image: image:1"} {
		if !strings.Contains(string(got), part) {
			t.Errorf("want %q in\n%s", part, got)
		}
	}
	for notes, want := range map[string]string{"a=unready": "without conditions", "a}}\nspec: {ports: [{port: 80, appProtocol: https}]} #": "without appProtocol"} {
		text := "kind: Service\nmetadata: {name: web, annotations: {e2e/backends: " + notes + "}}\n"
		if _, err := CompletePods([]byte(text), "image:1", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", notes, err, want)
		}
	}
}

func TestCompleteMistakes(t *testing.T) {
	ca, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"kind: Service\nmetadata: {name: web, annotations: {e2e/backends: a=sleepy}}\nspec: {ports: [{port: 80}]}": `got "sleepy"`,
		"kind: Service\nmetadata: {name: web, annotations: {e2e/backends: a}}":                                     "want at least one port",
		"kind: Secret\nmetadata: {name: web, annotations: {e2e/certificate: a, e2e/certificate-fault: ugly}}":      `got "ugly"`,
		"kind: Secret\nmetadata: {name: web, annotations: {e2e/certificate: a, e2e/certificate-ca: mine}}":         `got "mine"`,
	} {
		if _, err := Complete([]byte(text), fixed, ca); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nerror %v, want one with %q", text, err, want)
		}
	}
}

// The certificates are what their annotations say, faults included.
func TestCompleteSecret(t *testing.T) {
	ca, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	issue := func(notes string) (cert, key []byte) {
		t.Helper()
		text, err := Complete([]byte("kind: Secret\nmetadata: {name: s, annotations: {e2e/certificate: a.example *.b.example"+notes+"}}\ntype: kubernetes.io/tls\n"), fixed, ca)
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Type string
			Data map[string][]byte
		}
		if err := yaml.Unmarshal(text, &s); err != nil || s.Type != "kubernetes.io/tls" {
			t.Fatalf("%s\n%v", text, err)
		}
		return s.Data["tls.crt"], s.Data["tls.key"]
	}
	verify := func(certPEM []byte, at time.Time) error {
		t.Helper()
		block, _ := pem.Decode(certPEM)
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: ca.Roots, DNSName: "x.b.example", CurrentTime: at})
		return err
	}

	cert, key := issue("")
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		t.Error(err)
	}
	if err := verify(cert, time.Now()); err != nil {
		t.Error(err)
	}
	cert, key = issue(", e2e/certificate-rsa: 'true'")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil || pair.Leaf.PublicKeyAlgorithm != x509.RSA {
		t.Errorf("want an RSA pair, got %v", err)
	}
	cert, key = issue(", e2e/certificate-fault: expired")
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		t.Error(err)
	}
	if verify(cert, time.Now()) == nil || verify(cert, time.Now().Add(-30*time.Minute)) != nil {
		t.Error("expired: want a certificate that was valid half an hour ago and is not now")
	}
	cert, key = issue(", e2e/certificate-fault: mismatch")
	if _, err := tls.X509KeyPair(cert, key); err == nil || !strings.Contains(err.Error(), "private key does not match") {
		t.Errorf("mismatch: error %v", err)
	}
	if cert, _ = issue(", e2e/certificate-fault: junk"); bytes.Contains(cert, []byte("BEGIN")) {
		t.Errorf("junk: got %s", cert)
	}
}

// A refusing address refuses, and keeps its port.
func TestRefusing(t *testing.T) {
	r, err := newRefusing(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if c, err := net.Dial("tcp", r.at.String()); err == nil {
		_ = c.Close()
		t.Error("it accepts")
	}
	if l, err := net.Listen("tcp", r.at.String()); err == nil {
		_ = l.Close()
		t.Error("its port is free")
	}
}
