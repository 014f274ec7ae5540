package upstream

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Options are what all Pools of a Registry have in common. The zero value works: a field
// that is zero has the default that its comment names.
type Options struct {
	// ConnectTimeout limits what comes before a request can be written: the lookup of the
	// name, the connection and the TLS handshake, all together. Default 2 s.
	ConnectTimeout time.Duration
	// ResponseHeaderTimeout limits the wait from the last byte of a request to the last
	// byte of its response's head. Default 60 s.
	ResponseHeaderTimeout time.Duration
	// ReadTimeout limits the wait for the next byte of a response's body. Default 60 s.
	ReadTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request. It should be less
	// than what the endpoints allow, or they close first. Default 30 s.
	IdleTimeout time.Duration
	// MaxIdlePerEndpoint is how many connections without a request are kept for each
	// endpoint. Default 64.
	MaxIdlePerEndpoint int
	// MaxIdle is how many are kept for all endpoints together over HTTP/1.1. Default 4096.
	MaxIdle int

	// RetryBudget is how many retries a Pool may make, as a part of the requests of the
	// last ten seconds. Default 0.2; negative: no retries. See budget for the floor.
	RetryBudget float64

	// EjectAfter is after how many failures in a row an endpoint is left out.
	// Default 3; negative: never.
	EjectAfter int
	// EjectFor is for how long it is left out. Default 5 s.
	EjectFor time.Duration
	// MaxEjected is the part of a Pool's endpoints that may be left out at one time.
	// Default 0.5.
	MaxEjected float64

	// Balance is how an endpoint is picked. Default TwoChoices.
	Balance Balance

	// AllowLocal permits endpoints on the loopback interface, where their Address is an IP
	// address. A DNS name never leads there.
	AllowLocal bool
	// OwnListeners returns the addresses that this process listens on; no connection is made
	// to them. An unspecified address stands for every address of this machine. It is called
	// for each new connection, by many goroutines. Nil: none.
	OwnListeners func() []netip.AddrPort

	// TLSConfig is for endpoints that speak HTTPS. It is not changed. Nil: certificates are
	// not verified, as in ingress-nginx. Without a ServerName, that of a DNS name is sent,
	// and none for an IP address.
	TLSConfig *tls.Config

	// Resolver looks up DNS names. Nil: net.DefaultResolver.
	Resolver *net.Resolver

	// OnAttempt, when not nil, is called once for each Attempt, when it has ended: by an
	// error, or with the body of its response. OnEject is called when an endpoint is left
	// out. Both are called by the goroutines that serve requests and must not block.
	OnAttempt func(Attempt)
	OnEject   func(*Endpoint)

	now   func() time.Time // nil: time.Now
	since func(time.Time) time.Duration
}

func (o Options) withDefaults() Options {
	setDefault(&o.ConnectTimeout, 2*time.Second)
	setDefault(&o.ResponseHeaderTimeout, 60*time.Second)
	setDefault(&o.ReadTimeout, 60*time.Second)
	setDefault(&o.IdleTimeout, 30*time.Second)
	setDefault(&o.MaxIdlePerEndpoint, 64)
	setDefault(&o.MaxIdle, 4096)
	setDefault(&o.RetryBudget, 0.2)
	setDefault(&o.EjectAfter, 3)
	setDefault(&o.EjectFor, 5*time.Second)
	setDefault(&o.MaxEjected, 0.5)
	if o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{InsecureSkipVerify: true}
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.now == nil {
		o.now, o.since = time.Now, time.Since // which reads one clock, not two
	} else {
		o.since = func(t time.Time) time.Duration { return o.now().Sub(t) }
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
