package certs

import (
	"crypto/tls"
	"sync/atomic"
)

// Store answers TLS handshakes from the Set that is live. The zero value is ready: it serves
// a generated certificate until the first Swap. Handshakes take no lock.
type Store struct {
	set       atomic.Pointer[Set]
	generated generated
}

// Swap makes s live: handshakes that begin later are answered from it. Connections that are
// open and handshakes under way keep what they have.
func (st *Store) Swap(s *Set) { st.set.Store(s) }

// Set returns the live Set, nil before the first Swap.
func (st *Store) Set() *Set { return st.set.Load() }

// GetCertificate is for tls.Config.GetCertificate. It has a certificate for every client.
func (st *Store) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, reason := st.set.Load().Certificate(hello)
	if cert != nil {
		return cert, nil
	}
	return st.generated.certificate(reason)
}
