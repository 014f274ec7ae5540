package upstream

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// Key is the identity of a Backend: a port of a Service, named as the Ingress names it.
// The zero Key is no Backend.
type Key struct {
	Namespace string
	Service   string
	Port      string // a Service port's number in decimal, or its name
	// Protocol is the one that the route demands. Backends that differ in it share no connection.
	Protocol Forced
	// TargetPort lets Port be the targetPort of one as well, where the Service has no such port.
	TargetPort bool
	// Cluster asks for the Service's own address instead of those of its endpoints.
	Cluster bool
	// TLS is what the route demands where the Protocol is spoken over TLS; zero: what the Options
	// say. Backends that differ in it share no connection and no session.
	TLS Demand
}

// String returns "namespace/service:port".
func (k Key) String() string { return k.Namespace + "/" + k.Service + ":" + k.Port }

// Target returns String with what the route demands, as
// "namespace/service:port[https1,cluster,tls=1a2b3c4d]".
func (k Key) Target() string {
	var demands []string
	if k.Protocol.Set {
		demands = append(demands, k.Protocol.Protocol.String())
	}
	if k.Cluster {
		demands = append(demands, "cluster")
	}
	if k.TLS != (Demand{}) {
		demands = append(demands, "tls="+k.TLS.String())
	}
	if len(demands) == 0 {
		return k.String()
	}
	return k.String() + "[" + strings.Join(demands, ",") + "]"
}

// Forced is a Protocol that counts whatever the Service says. The zero value is none.
type Forced struct {
	Set      bool
	Protocol Protocol // means nothing unless Set
}

// Or returns the forced protocol, p if there is none.
func (f Forced) Or(p Protocol) Protocol {
	if f.Set {
		return f.Protocol
	}
	return p
}

// Protocol is what an Endpoint speaks.
type Protocol uint8

// The protocols.
const (
	HTTP   Protocol = iota // HTTP/1.1 in clear, the default
	HTTPS                  // HTTP/1.1 or HTTP/2 over TLS, whichever the endpoint chooses by ALPN
	H2C                    // HTTP/2 in clear, with prior knowledge
	HTTPS1                 // HTTP/1.1 over TLS
	H2                     // HTTP/2 over TLS; an endpoint that does not choose it by ALPN is not used
)

func (p Protocol) String() string {
	switch p {
	case HTTPS:
		return "https"
	case H2C:
		return "h2c"
	case HTTPS1:
		return "https1"
	case H2:
		return "h2"
	}
	return "http"
}

// TLS reports whether p is spoken over TLS.
func (p Protocol) TLS() bool { return p == HTTPS || p == HTTPS1 || p == H2 }

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
