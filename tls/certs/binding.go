// Package certs chooses the certificate of a TLS handshake by the server name that the client
// asks for. A Set is immutable; a Store holds the live one behind one pointer.
package certs

import "crypto/tls"

// Binding says which certificates answer for a host, or why none can.
type Binding struct {
	// Host is an exact name, or "*." and a name for one label in front of it. Lower case.
	Host string
	// Certificates are the choices, best first: the first that the client supports is
	// served, RSA after the others. Empty means that the default certificate answers.
	Certificates []*tls.Certificate
	// Reason says why Certificates is empty, for people: it becomes the CN of the generated
	// default certificate. Example: "Secret shop/web-tls not found".
	Reason string
	// Source names where it comes from, as "Ingress namespace/name" or "Secret namespace/name".
	Source string
}
