package issuer

import (
	"context"
	"crypto/tls"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// The types of challenges that can be answered.
const (
	HTTP01    = "http-01"
	TLSALPN01 = "tls-alpn-01"
)

// The keys of an order's record that answer its challenge.
const (
	tokenKey    = "token"
	answerKey   = "answer" // the key authorization
	alpnCertKey = "alpn.crt"
	alpnPrivKey = "alpn.key"
)

// Answers has the answers to the challenges that are active. Every replica has all of them, as it
// sees the records of orders. The zero value has none. Looking one up takes no lock.
type Answers struct {
	mu     sync.Mutex // held to replace active
	active atomic.Pointer[map[string]answer]
}

// answer is what a host has for the challenge of its order.
type answer struct {
	token, keyAuthorization string
	certificate             *tls.Certificate // nil but for TLSALPN01
}

// Set takes note of the record of a host's order, nil when there is none. A record whose challenge
// cannot be answered counts as none.
func (a *Answers) Set(host string, order map[string][]byte) {
	var now answer
	if len(order[tokenKey]) > 0 && len(order[answerKey]) > 0 {
		now = answer{token: string(order[tokenKey]), keyAuthorization: string(order[answerKey])}
		if len(order[alpnCertKey]) > 0 {
			now.certificate, _ = certs.Parse(order[alpnCertKey], order[alpnPrivKey]) // made by us, or no answer
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var have map[string]answer
	if p := a.active.Load(); p != nil {
		have = *p
	}
	if old := have[host]; old.token == now.token && old.keyAuthorization == now.keyAuthorization && (old.certificate == nil) == (now.certificate == nil) {
		return
	}
	next := maps.Clone(have)
	if next == nil {
		next = make(map[string]answer)
	}
	if now.token == "" {
		delete(next, host)
	} else {
		next[host] = now
	}
	a.active.Store(&next)
}

func (a *Answers) of(host string) answer {
	if p := a.active.Load(); p != nil {
		return (*p)[host]
	}
	return answer{}
}

// HTTP returns what a request for the token is answered with, for a canonical host; false for a
// token that is not active.
func (a *Answers) HTTP(host, token string) (string, bool) {
	if have := a.of(host); token != "" && have.token == token && have.certificate == nil {
		return have.keyAuthorization, true
	}
	return "", false
}

// TLSALPN returns the certificate for a handshake with nothing but the protocol acme-tls/1, for a
// canonical server name; nil while there is no such challenge.
func (a *Answers) TLSALPN(host string) *tls.Certificate { return a.of(host).certificate }

// await waits until the challenge of host has the token, which in a cluster takes as long as a
// watch needs; for 10 s at most.
func (a *Answers) await(ctx context.Context, host, token string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for a.of(host).token != token {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
