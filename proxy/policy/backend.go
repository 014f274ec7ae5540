package policy

import (
	"errors"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// Backend is how the Service of a rule is spoken to. The zero value leaves it to the Service.
type Backend struct {
	Protocol upstream.Forced
	// Auto asks for TLS to the backend where the client's connection has it, and for HTTP in clear
	// else. Then Protocol is not set.
	Auto bool
	// Cluster asks for the Service's own address instead of those of its endpoints.
	Cluster bool
	// TLS is what is demanded of the backend where it is spoken to over TLS; nil: nothing.
	TLS *upstream.TLS
}

var (
	backendProtocol = Key{
		Name: "backend-protocol", Value: "HTTP, HTTPS, AUTO_HTTP, GRPC or GRPCS", Default: "appProtocol of the Service's port",
		Doc: "protocol of the backend; the certificate behind HTTPS and GRPCS is verified with proxy-ssl-verify alone, and FCGI is answered 503",
	}
	serviceUpstream = Key{
		Name: "service-upstream", Global: true, Value: "true or false", Default: "false",
		Doc: "connects to the Service's address instead of its endpoints, which leaves load balancing to the cluster; a Service without an address is not affected",
	}
)

var errFastCGI = errors.New("FastCGI is not supported, want HTTP, HTTPS, AUTO_HTTP, GRPC or GRPCS")

var backend = feature{
	name: "backend",
	keys: []Key{backendProtocol, serviceUpstream},
	read: func(r *reader, s *Set) {
		s.Backend.Cluster = r.boolean(serviceUpstream, false)
		force := func(p upstream.Protocol) { s.Backend.Protocol = upstream.Forced{Set: true, Protocol: p} }
		switch r.oneOf(backendProtocol, "", "HTTP", "HTTPS", "AUTO_HTTP", "GRPC", "GRPCS", "FCGI") {
		case "HTTP":
			force(upstream.HTTP)
		case "HTTPS":
			force(upstream.HTTPS1) // WebSocket does not come through HTTP/2
		case "AUTO_HTTP":
			s.Backend.Auto = true
		case "GRPC":
			force(upstream.H2C)
		case "GRPCS":
			force(upstream.H2)
		case "FCGI":
			r.judge(backendProtocol, Unroutable, errFastCGI)
		}
	},
}

// Keys returns where a rule that names k as its backend leads to. The second is for clients that
// connect with TLS, and the same as the first but for Auto.
func (b Backend) Keys(k upstream.Key) (key, secure upstream.Key) {
	k.Protocol, k.Cluster = b.Protocol, b.Cluster
	if b.TLS != nil {
		k.TLS = upstream.Demanded(*b.TLS)
	}
	if !b.Auto {
		return k, k
	}
	key, secure = k, k
	key.Protocol, key.TLS = upstream.Forced{Set: true, Protocol: upstream.HTTP}, upstream.Demand{}
	secure.Protocol = upstream.Forced{Set: true, Protocol: upstream.HTTPS1}
	return key, secure
}
