package ingress

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// resolveExternalName leads to the DNS name of the Service. Its resolution is left to
// whoever connects, so that it follows changes of DNS. Loopback is refused whatever the
// Snapshot says: no legitimate Service is named so.
func resolveExternalName(o *Options, b *backend) (upstream.Resolution, []finding) {
	service := b.key.Namespace + "/" + b.key.Service
	if o.DisableExternalName {
		return failed(reasonNameDisabled, found(ExternalNameDisabled, "Service %s is of type ExternalName, which --disable-svc-external-name forbids", service))
	}
	external := b.service.Spec.ExternalName
	name := strings.TrimSuffix(strings.ToLower(external), ".")
	if why := deniedName(name); why != "" {
		return failed(reasonNameDenied, found(ExternalNameDenied, "externalName %q of Service %s is %s, which is never proxied to", external, service, why))
	}
	if _, err := netip.ParseAddr(name); err != nil {
		if len(validation.IsDNS1123Subdomain(name)) > 0 {
			return failed(reasonNameInvalid, found(ExternalNameInvalid, "externalName %q of Service %s is no DNS name", external, service))
		}
	}
	port, appProtocol, f := externalPort(b.service, b.key)
	if f.err != nil {
		return failed(portCode(f), f)
	}
	return upstream.Resolution{
		Protocol:  b.key.Protocol.Or(protocol(appProtocol)),
		Addresses: []upstream.Address{{Host: name, Port: port}},
	}, nil
}

// externalPort is the targetPort of the Service port that key names, or the number in key
// itself: such a Service needs no ports.
func externalPort(svc *corev1.Service, key upstream.Key) (uint16, *string, finding) {
	port, f := servicePort(svc, key)
	if number, numeric := portNumber(key); f.reason == PortNotFound && numeric {
		return uint16(number), nil, finding{}
	}
	if f.err != nil {
		return 0, nil, f
	}
	n, ok := validPort(port.number())
	if !ok {
		return 0, nil, portNotFound(svc, key)
	}
	return n, port.AppProtocol, finding{}
}
