package ingress

// The reasons of this package. Reasons documents each.
const (
	ClassNotFound           Reason = "ClassNotFound"
	DefaultClassAmbiguous   Reason = "DefaultClassAmbiguous"
	ParametersUnsupported   Reason = "ParametersUnsupported"
	InvalidHost             Reason = "InvalidHost"
	InvalidPath             Reason = "InvalidPath"
	InvalidPathType         Reason = "InvalidPathType"
	RouteConflict           Reason = "RouteConflict"
	RouteContested          Reason = "RouteContested"
	CatchAllConflict        Reason = "CatchAllConflict"
	CatchAllDisabled        Reason = "CatchAllDisabled"
	BackendMissing          Reason = "BackendMissing"
	UnsupportedBackend      Reason = "UnsupportedBackend"
	ServiceNotFound         Reason = "ServiceNotFound"
	PortNotFound            Reason = "PortNotFound"
	TargetPortNamed         Reason = "TargetPortNamed"
	ServicePortProtocol     Reason = "ServicePortProtocol"
	NoEndpoints             Reason = "NoEndpoints"
	NoReadyEndpoints        Reason = "NoReadyEndpoints"
	EndpointAddressDenied   Reason = "EndpointAddressDenied"
	EndpointAddressType     Reason = "EndpointAddressType"
	ExternalNameDenied      Reason = "ExternalNameDenied"
	ExternalNameDisabled    Reason = "ExternalNameDisabled"
	ExternalNameInvalid     Reason = "ExternalNameInvalid"
	TLSWithoutSecret        Reason = "TLSWithoutSecret"
	SecretNotFound          Reason = "SecretNotFound"
	SecretWrongType         Reason = "SecretWrongType"
	SecretInvalid           Reason = "SecretInvalid"
	CertificateExpired      Reason = "CertificateExpired"
	CertificateExpiring     Reason = "CertificateExpiring"
	CertificateNotYetValid  Reason = "CertificateNotYetValid"
	CertificateNameMismatch Reason = "CertificateNameMismatch"
	CertificateConflict     Reason = "CertificateConflict"
	CertificatePending      Reason = "CertificatePending"
	CertificateNotIssued    Reason = "CertificateNotIssued"
	CertificateNotRenewed   Reason = "CertificateNotRenewed"
	CertificateNotOrdered   Reason = "CertificateNotOrdered"
	ACMEDisabled            Reason = "ACMEDisabled"
	AnnotationUnsupported   Reason = "AnnotationUnsupported"
	AnnotationNoEffect      Reason = "AnnotationNoEffect"
	AnnotationInvalid       Reason = "AnnotationInvalid"
	AnnotationUnknown       Reason = "AnnotationUnknown"
	AnnotationRefused       Reason = "AnnotationRefused"
	RoutingUnsupported      Reason = "RoutingUnsupported"
	ConfigMapNotFound       Reason = "ConfigMapNotFound"
	SettingUnsupported      Reason = "SettingUnsupported"
	SettingNoEffect         Reason = "SettingNoEffect"
	SettingInvalid          Reason = "SettingInvalid"
	SettingUnknown          Reason = "SettingUnknown"
	SettingRefused          Reason = "SettingRefused"
	HostSettled             Reason = "HostSettled"
	HostClosed              Reason = "HostClosed"
	TranslationPanicked     Reason = "TranslationPanicked"
	CanaryNotServed         Reason = "CanaryNotServed"
	AliasNotServed          Reason = "AliasNotServed"
)

// ReasonDoc documents a Reason.
type ReasonDoc struct {
	Reason   Reason
	Severity Severity // of every Problem with this Reason
	Doc      string   // one sentence
}

// Reasons returns the closed set of reasons that this package reports, in the order in which
// a request would meet them.
func Reasons() []ReasonDoc {
	docs := []ReasonDoc{
		{Reason: ClassNotFound, Doc: "The IngressClass that the Ingress names does not exist: the Ingress is not served."},
		{Reason: DefaultClassAmbiguous, Doc: "Several IngressClasses are marked as the default: a new Ingress without a class gets the newest."},
		{Reason: ParametersUnsupported, Doc: "The IngressClass has spec.parameters, which are not supported: its Ingresses are not served."},
		{Reason: InvalidHost, Doc: "A host is not a DNS name, or a name with \"*\" as its whole first label: the rule, or the alias, is dropped."},
		{Reason: InvalidPath, Doc: "A path is not absolute, or has parts that its type does not allow: the path is dropped."},
		{Reason: InvalidPathType, Doc: "A pathType is missing and taken as ImplementationSpecific, or unknown and the path is dropped."},
		{Reason: RouteConflict, Doc: "An older Ingress, or an earlier rule of the same one, has the same host, path and path type and is served instead."},
		{Reason: RouteContested, Doc: "A younger Ingress asks for the same host, path and path type: this one is served."},
		{Reason: CatchAllConflict, Doc: "An older Ingress is already the default backend of all other hosts."},
		{Reason: CatchAllDisabled, Doc: "The Ingress has a defaultBackend and no rules, and --disable-catch-all is set: it is not served."},
		{Reason: BackendMissing, Doc: "A backend names no Service: its requests are answered 503."},
		{Reason: UnsupportedBackend, Doc: "A backend is a resource and not a Service: its requests are answered 404."},
		{Reason: ServiceNotFound, Doc: "The Service of a backend does not exist: its requests are answered 503."},
		{Reason: PortNotFound, Doc: "The Service of a backend has no such port: its requests are answered 503."},
		{Reason: TargetPortNamed, Doc: "A backend names no port of its Service, but the targetPort of one: that port serves, by the quirk target-port."},
		{Reason: ServicePortProtocol, Doc: "The Service port of a backend is not TCP: its requests are answered 503."},
		{Reason: NoEndpoints, Doc: "The Service port of a backend has no endpoints: its requests are answered 503."},
		{Reason: NoReadyEndpoints, Doc: "The Service port of a backend has endpoints, and none is ready: its requests are answered 503."},
		{Reason: EndpointAddressDenied, Doc: "An endpoint has an address that is never proxied to, such as loopback or link-local: it is left out."},
		{Reason: EndpointAddressType, Doc: "An EndpointSlice has an address type other than IPv4 and IPv6: it is left out."},
		{Reason: ExternalNameDenied, Doc: "The externalName leads to this host or to a metadata service: requests are answered 503."},
		{Reason: ExternalNameDisabled, Doc: "The Service is of type ExternalName, and --disable-svc-external-name is set: requests are answered 503."},
		{Reason: ExternalNameInvalid, Doc: "The externalName is no DNS name: requests are answered 503."},
		{Reason: TLSWithoutSecret, Doc: "A TLS section names no Secret and no default certificate is configured: a generated one is served."},
		{Reason: SecretNotFound, Doc: "A Secret does not exist or may not be read: the default certificate is served."},
		{Reason: SecretWrongType, Doc: "A Secret is not of type kubernetes.io/tls: the default certificate is served."},
		{Reason: SecretInvalid, Doc: "A Secret has no usable certificate and key: the default certificate is served."},
		{Reason: CertificateExpired, Doc: "A certificate has expired: the default certificate is served."},
		{Reason: CertificateExpiring, Doc: "A certificate expires in less than ten days."},
		{Reason: CertificateNotYetValid, Doc: "A certificate is not valid yet: the default certificate is served."},
		{Reason: CertificateNameMismatch, Doc: "A certificate does not cover the host it is meant for: the default certificate is served."},
		{Reason: CertificateConflict, Doc: "An older Ingress has another certificate for the same host, and that one is served."},
		{Reason: CertificatePending, Doc: "A certificate by ACME is being ordered: the default certificate is served until it is there."},
		{Reason: CertificateNotIssued, Doc: "The last try to get a certificate by ACME has failed: the default certificate is served, and there is another try."},
		{Reason: CertificateNotRenewed, Doc: "The last try to renew a certificate by ACME has failed: the present one is served, and there is another try."},
		{Reason: CertificateNotOrdered, Doc: "ACME cannot prove the host, which is a wildcard or no full domain name: the default certificate is served."},
		{Reason: ACMEDisabled, Doc: "The Ingress asks for certificates by ACME, and --acme is not set: none is ordered."},
		{Reason: AnnotationUnsupported, Doc: "An annotation tunes something that is not supported: the rules serve without it."},
		{Reason: AnnotationNoEffect, Doc: "An annotation tunes something that does not exist here: the rules serve."},
		{Reason: AnnotationInvalid, Doc: "The value of an annotation that tunes something is not valid: the rules serve without it."},
		{Reason: AnnotationUnknown, Doc: "An annotation with one of our prefixes is not known: the rules serve without it."},
		{Reason: AnnotationRefused, Doc: "An annotation guards access and cannot be honoured: every request is answered 503."},
		{Reason: RoutingUnsupported, Doc: "An annotation changes the routing and cannot be honoured: the requests it speaks of are not served as written."},
		{Reason: ConfigMapNotFound, Doc: "The ConfigMap that --configmap names does not exist: every setting has its default."},
		{Reason: SettingUnsupported, Doc: "A key of the ConfigMap sets something that is not supported: all is served without it."},
		{Reason: SettingNoEffect, Doc: "A key of the ConfigMap sets something that does not exist here."},
		{Reason: SettingInvalid, Doc: "The value of a key of the ConfigMap is not valid: its default counts."},
		{Reason: SettingUnknown, Doc: "A key of the ConfigMap is not known."},
		{Reason: SettingRefused, Doc: "A key of the ConfigMap guards access and cannot be honoured: the rules that it is for answer 503."},
		{Reason: HostSettled, Doc: "An annotation is for a host as a whole, and an older Ingress of the host decides otherwise."},
		{Reason: HostClosed, Doc: "Another Ingress of the host guards it as a whole by an annotation that cannot be honoured: every request for the host is answered 503."},
		{Reason: TranslationPanicked, Doc: "The Ingress made the controller panic, which is no mistake of its author: nothing of it is served."},
		{Reason: CanaryNotServed, Doc: "The Ingress is a canary that gets no requests: no other Ingress of its namespace has the host, path and path type, an older canary has them, it guards access otherwise, or the annotation is not valid."},
		{Reason: AliasNotServed, Doc: "A host of server-alias has rules of an Ingress, or is the alias of another host by an older one, or the aliases of its Ingress have more than 5,000 rules with it: it is not served as the host of the rules."},
	}
	for i := range docs {
		docs[i].Severity = docs[i].Reason.severity()
	}
	return docs
}

func (r Reason) severity() Severity {
	switch r {
	case DefaultClassAmbiguous, RouteContested, TargetPortNamed, EndpointAddressType, TLSWithoutSecret, CertificateExpiring,
		CertificatePending, CertificateNotRenewed,
		AnnotationUnsupported, AnnotationNoEffect, AnnotationInvalid, AnnotationUnknown,
		ConfigMapNotFound, SettingUnsupported, SettingNoEffect, SettingInvalid, SettingUnknown:
		return Warning
	}
	return Error
}
