package manifest

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func checkService(s *corev1.Service) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if s.Spec.Type == "" {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	switch s.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		if len(s.Spec.Ports) == 0 && s.Spec.ClusterIP != corev1.ClusterIPNone {
			errs = append(errs, field.Required(spec.Child("ports"), "a Service has ports unless it is headless"))
		}
	case corev1.ServiceTypeExternalName:
		at := spec.Child("externalName")
		if s.Spec.ExternalName == "" {
			errs = append(errs, field.Required(at, "a Service of type ExternalName leads to one"))
			break
		}
		for _, msg := range validation.IsDNS1123Subdomain(strings.TrimSuffix(s.Spec.ExternalName, ".")) {
			errs = append(errs, field.Invalid(at, s.Spec.ExternalName, msg))
		}
	default:
		errs = append(errs, field.NotSupported(spec.Child("type"), s.Spec.Type, []corev1.ServiceType{
			corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName,
		}))
	}
	names, ports := sets.New[string](), sets.New[corev1.ServicePort]()
	for i := range s.Spec.Ports {
		p, path := &s.Spec.Ports[i], spec.Child("ports").Index(i)
		errs = append(errs, checkServicePort(p, len(s.Spec.Ports) > 1, path)...)
		if p.Name != "" && names.Has(p.Name) {
			errs = append(errs, field.Duplicate(path.Child("name"), p.Name))
		}
		names.Insert(p.Name)
		key := corev1.ServicePort{Port: p.Port, Protocol: p.Protocol}
		if ports.Has(key) {
			errs = append(errs, field.Duplicate(path, key.Port))
		}
		ports.Insert(key)
	}
	return errs
}

func checkServicePort(p *corev1.ServicePort, several bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	errs = append(errs, checkProtocol(&p.Protocol, path)...)
	errs = append(errs, checkPort(p.Port, path.Child("port"))...)
	if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
		p.TargetPort = intstr.FromInt32(p.Port)
	} else if p.TargetPort.Type == intstr.Int {
		errs = append(errs, checkPort(p.TargetPort.IntVal, path.Child("targetPort"))...)
	} else {
		for _, msg := range validation.IsValidPortName(p.TargetPort.StrVal) {
			errs = append(errs, field.Invalid(path.Child("targetPort"), p.TargetPort.StrVal, msg))
		}
	}
	switch {
	case p.Name != "":
		for _, msg := range validation.IsDNS1123Label(p.Name) {
			errs = append(errs, field.Invalid(path.Child("name"), p.Name, msg))
		}
	case several:
		errs = append(errs, field.Required(path.Child("name"), "a Service with several ports names each"))
	}
	return errs
}

func checkPort(port int32, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range validation.IsValidPortNum(int(port)) {
		errs = append(errs, field.Invalid(path, port, msg))
	}
	return errs
}

func checkProtocol(p *corev1.Protocol, path *field.Path) field.ErrorList {
	switch *p {
	case "":
		*p = corev1.ProtocolTCP
	case corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
	default:
		return field.ErrorList{field.NotSupported(path.Child("protocol"), *p,
			[]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP})}
	}
	return nil
}

// Bounds of the API on one EndpointSlice.
const (
	maxEndpoints = 1000
	maxAddresses = 100
)

// checkEndpointSlice accepts addresses that the API server refuses for what they mean, such as
// those on the loopback interface: manifests may have them, and translation says which.
func checkEndpointSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	switch s.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN:
	case "":
		errs = append(errs, field.Required(field.NewPath("addressType"), "IPv4, IPv6 or FQDN"))
	default:
		errs = append(errs, field.NotSupported(field.NewPath("addressType"), s.AddressType, []discoveryv1.AddressType{
			discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN,
		}))
	}
	if len(s.Endpoints) > maxEndpoints {
		errs = append(errs, field.TooMany(field.NewPath("endpoints"), len(s.Endpoints), maxEndpoints))
	}
	for i, e := range s.Endpoints {
		path := field.NewPath("endpoints").Index(i).Child("addresses")
		switch n := len(e.Addresses); {
		case n == 0:
			errs = append(errs, field.Required(path, "must contain at least 1 address"))
		case n > maxAddresses:
			errs = append(errs, field.TooMany(path, n, maxAddresses))
		}
		for j, a := range e.Addresses {
			errs = append(errs, checkAddress(a, s.AddressType, path.Index(j))...)
		}
	}
	names := sets.New[string]()
	for i := range s.Ports {
		p, path := &s.Ports[i], field.NewPath("ports").Index(i)
		errs = append(errs, checkEndpointPort(p, path)...)
		if names.Has(*p.Name) {
			errs = append(errs, field.Duplicate(path.Child("name"), *p.Name))
		}
		names.Insert(*p.Name)
	}
	return errs
}

// checkEndpointPort leaves p with a name and a protocol.
func checkEndpointPort(p *discoveryv1.EndpointPort, path *field.Path) field.ErrorList {
	if p.Name == nil {
		p.Name = new(string)
	}
	if p.Protocol == nil {
		p.Protocol = new(corev1.Protocol)
	}
	errs := checkProtocol(p.Protocol, path)
	if *p.Name != "" {
		for _, msg := range validation.IsDNS1123Label(*p.Name) {
			errs = append(errs, field.Invalid(path.Child("name"), *p.Name, msg))
		}
	}
	if p.Port != nil {
		errs = append(errs, checkPort(*p.Port, path.Child("port"))...)
	}
	return errs
}

func checkAddress(address string, family discoveryv1.AddressType, path *field.Path) field.ErrorList {
	switch family {
	case discoveryv1.AddressTypeIPv4:
		if ip, err := netip.ParseAddr(address); err != nil || !ip.Is4() {
			return field.ErrorList{field.Invalid(path, address, "must be an IPv4 address")}
		}
	case discoveryv1.AddressTypeIPv6:
		if ip, err := netip.ParseAddr(address); err != nil || !ip.Is6() || ip.Zone() != "" {
			return field.ErrorList{field.Invalid(path, address, "must be an IPv6 address")}
		}
	case discoveryv1.AddressTypeFQDN:
		return validation.IsFullyQualifiedDomainName(path, address)
	}
	return nil
}
