package upstream

import (
	"net"
	"slices"
	"strconv"
)

// Key is the identity of a Backend: a port of a Service, named as the Ingress names it.
// The zero Key is no Backend.
type Key struct {
	Namespace string
	Service   string
	Port      string // a Service port's number in decimal, or its name
}

// String returns "namespace/service:port".
func (k Key) String() string { return k.Namespace + "/" + k.Service + ":" + k.Port }

// Protocol is what an Endpoint speaks.
type Protocol uint8

// The protocols.
const (
	HTTP  Protocol = iota // HTTP/1.1 in clear, the default
	HTTPS                 // HTTP/1.1 or HTTP/2 over TLS, whichever the endpoint chooses by ALPN
	H2C                   // HTTP/2 in clear, with prior knowledge
)

func (p Protocol) String() string {
	switch p {
	case HTTPS:
		return "https"
	case H2C:
		return "h2c"
	}
	return "http"
}

// Address is where one endpoint listens.
type Address struct {
	Host string // an IP address, or a DNS name that is resolved for each new connection
	Port uint16
}

// String returns "host:port", with an IPv6 address in brackets.
func (a Address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// Resolution is what a Backend leads to at one moment: the control plane's whole knowledge
// of it. The zero Resolution has no endpoints.
type Resolution struct {
	Protocol  Protocol
	Addresses []Address // in any order; duplicates are taken once
	// Reason is the code that answers to requests carry while Addresses is empty, such as
	// "service-not-found", "port-not-found" or "no-ready-endpoints".
	Reason string
}

// Equal reports whether r and o are the same, their addresses in the same order.
func (r Resolution) Equal(o Resolution) bool {
	return r.Protocol == o.Protocol && r.Reason == o.Reason && slices.Equal(r.Addresses, o.Addresses)
}
