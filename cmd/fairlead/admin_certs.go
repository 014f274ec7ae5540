package main

import (
	"encoding/json"
	"net/http"
	"time"
)

// shownBinding is what a host has for certificates, as /debug/certs shows it. Keys are never
// part of it.
type shownBinding struct {
	Host   string `json:"host"`
	Source string `json:"source"`
	// Default says why the default certificate is served; empty when one of Certificates is.
	Default      string             `json:"default,omitempty"`
	Certificates []shownCertificate `json:"certificates,omitempty"`
}

type shownCertificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Names     []string  `json:"names"`
	Algorithm string    `json:"algorithm"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// serveCerts answers /debug/certs from what handshakes are answered from.
func (in *instance) serveCerts(w http.ResponseWriter, _ *http.Request) {
	bindings := in.certs.Set().Bindings()
	shown := make([]shownBinding, len(bindings))
	for i, b := range bindings {
		shown[i] = shownBinding{Host: b.Host, Source: b.Source}
		if len(b.Certificates) == 0 {
			shown[i].Default = b.Reason
		}
		for _, c := range b.Certificates {
			names := append([]string{}, c.Leaf.DNSNames...)
			for _, ip := range c.Leaf.IPAddresses {
				names = append(names, ip.String())
			}
			shown[i].Certificates = append(shown[i].Certificates, shownCertificate{
				Subject: c.Leaf.Subject.String(), Issuer: c.Leaf.Issuer.String(), Names: names,
				Algorithm: c.Leaf.PublicKeyAlgorithm.String(), NotBefore: c.Leaf.NotBefore.UTC(), NotAfter: c.Leaf.NotAfter.UTC(),
			})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(shown) // the client's affair
}
