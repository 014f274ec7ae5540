package explain

import "github.com/fairlead-ingress/fairlead/k8s/ingress"

// Reason is an UpperCamel word of the closed set that Reasons documents.
type Reason string

// ReasonDoc documents a Reason.
type ReasonDoc struct {
	Reason Reason
	Doc    string // one sentence
}

// Reasons returns the closed set of reasons of steps: the reasons of Problems, which say the same
// here, and those of explanations alone.
func Reasons() []ReasonDoc {
	docs := ownReasons()
	for _, d := range ingress.Reasons() {
		docs = append(docs, ReasonDoc{Reason(d.Reason), d.Doc})
	}
	return docs
}

func ownReasons() []ReasonDoc {
	return []ReasonDoc{
		{"AddressInURL", "The host of the URL is an address: there is no name to look up."},
		{"NotLookedUp", "DNS was not asked."},
		{"NoStatusAddress", "The status of the Ingress has no address to compare the DNS answer with."},
		{"AddressMatches", "DNS answers with an address of the Ingress's status."},
		{"AddressDiffers", "DNS answers with another address than the Ingress's status has."},
		{"StatusIsName", "The status of the Ingress has a name and no address: DNS answers cannot be compared."},
		{"NameNotFound", "DNS has no address for the host."},
		{"DNSSilent", "No DNS server answered."},
		{"DNSMisconfigured", "The cluster's DNS knows a name that the configured server does not."},
		{"DNSServiceUnreachable", "The Pods of the cluster's DNS answer, and its Service does not."},
		{"Answers", "DNS has addresses for the host."},

		{"Listening", "The port of the URL is open."},
		{"ListenerAssumed", "Nothing is known of the open ports; 80 and 443 are assumed."},
		{"PortUnknown", "The port of the URL is not one that is known to be open."},
		{"ListenerDisabled", "The proxy does not listen for the scheme of the URL."},
		{"PortNotExposed", "The controller's Service does not have the port of the URL."},
		{"NodePortOnly", "The controller's Service is of type NodePort, and the URL does not name a node port."},
		{"ServiceNotExposed", "The controller's Service is of type ClusterIP: it cannot be reached from outside."},
		{"LoadBalancerPending", "The controller's Service of type LoadBalancer has no address."},
		{"FrontDropped", "Packets to the address of the URL are dropped: a firewall is closed, or the address leads nowhere."},
		{"FrontRefused", "Nothing listens at the address and port of the URL: a load balancer or node port does not lead to the controller."},
		{"FrontNoRoute", "The address of the URL cannot be reached."},
		{"ControllerNotReady", "No Pod of the controller is ready."},
		{"TooManyFields", "The request has more header fields than are accepted."},

		{"NotHTTPS", "The URL is not https: there is no certificate."},
		{"CertificateServed", "A certificate that covers the host is served."},
		{"DefaultCertificateServed", "The default certificate is served, and it covers the host."},
		{"PassedThrough", "The TLS connections of the host are handed to its backend as they are: the certificate is the backend's."},
		{"PassthroughRefused", "The TLS connections of the host are to be handed to its backend, and are closed instead."},
		{"NoTLSSection", "No TLS section of an Ingress is for the host: a default certificate is served."},
		{"NoServerName", "The client sends no server name for an address: a default certificate is served."},

		{"ClassOurs", "The Ingress belongs to this controller."},
		{"NoIngress", "No Ingress asks for this host and path."},
		{"ForeignClass", "The Ingress belongs to the IngressClass of another controller."},
		{"ForeignAnnotation", "The annotation kubernetes.io/ingress.class names a class that is not ours."},
		{"NoClass", "The Ingress names no IngressClass."},

		{"HostMatched", "Rules for this very host answer."},
		{"WildcardMatched", "Rules for a wildcard answer: the host has none of its own."},
		{"HostlessMatched", "Rules without host answer: the host has none of its own."},
		{"NoHostRule", "No rule concerns the host."},
		{"BadHost", "The Host is not valid."},
		{"DefaultBackendOption", "No rule matches, and the Service of --default-backend-service answers."},

		{"PathMatched", "A path matches."},
		{"DefaultBackend", "No path matches, and the Ingress's defaultBackend answers."},
		{"NoPathRule", "The host has rules, and none matches the path."},
		{"BadPath", "The path is not valid."},
		{"AmbiguousPath", "The path has an encoded slash or backslash, and which rule matches depends on how it is read."},

		{"NoRedirect", "The request is not redirected."},
		{"Redirects", "The request is answered with a redirect."},
		{"NoPolicies", "No policy applies to the request."},
		{"PoliciesPass", "The policies let the request pass."},
		{"DeniedAsConfigured", "A policy refuses the request, as it is configured to."},
		{"AnsweredByPolicy", "A policy answers the request."},
		{"MethodRefused", "The method is never proxied."},
		{"TargetTooLong", "The request target is longer than is accepted."},
		{"FailedClosed", "A policy cannot be honoured, so that every request is refused."},

		{"AnsweredBefore", "A redirect or a policy answers: the request never gets here."},
		{"NoBackend", "No rule answers: there is no backend."},
		{"ServiceBackend", "The backend is a Service."},
		{"DefaultBackendAnnotation", "The backend has no endpoints, and the Service of the annotation default-backend answers in its place."},
		{"ServiceFound", "The Service exists."},
		{"ExternalName", "The Service leads to a DNS name."},
		{"ExternalNameNotFound", "The externalName is of a Service in the cluster that does not exist."},
		{"PortFound", "The Service has the port."},
		{"PortIsNumber", "The number is that of the endpoints: the Service names no port."},
		{"ProtocolSuspect", "The name or number of the port suggests another protocol than the one that is spoken."},

		{"EndpointsReady", "There are endpoints to send the request to."},
		{"TerminatingEndpoints", "All endpoints that serve are shutting down."},
		{"SomeEndpointsNotReady", "Some endpoints are not ready."},
		{"AddressConflict", "An endpoint has the address of a node, of two Pods, or of another network."},
		{"StaleEndpoints", "An endpoint is of no Pod that the Service selects."},
		{"SelectorMatchesNothing", "No Pod has the labels that the Service selects."},
		{"NoSelector", "The Service has no selector: its endpoints are written by hand."},

		{"PodsReady", "The Pods behind the Service are ready."},
		{"PodsNotRead", "Pods were not read, or may not be."},
		{"PodsUnknown", "No Pods are known here."},
		{"PodStatusUnknown", "The Pods have no status, as in a manifest."},
		{"CrashLoopBackOff", "A container ends again and again."},
		{"ImagePullBackOff", "The image of a container cannot be pulled."},
		{"ContainerWaiting", "A container waits to be started."},
		{"ContainerFailed", "A container has ended."},
		{"InitContainerFailed", "An init container does not succeed."},
		{"Unschedulable", "No node takes the Pod."},
		{"PodPending", "The Pod has not started."},
		{"PodFailed", "The Pod has ended for good."},
		{"PodTerminating", "The Pod is being deleted."},
		{"ReadinessProbeFailing", "A container runs and its readiness probe fails."},
		{"PodNotReady", "The Pod is not ready."},
		{"TargetPortUndeclared", "No container declares the targetPort, though others are declared."},
		{"TargetPortNotFound", "No container has a port with the name of the targetPort."},

		{"NetworkPoliciesNotRead", "NetworkPolicies were not read, or may not be."},
		{"NoNetworkPolicy", "No NetworkPolicy concerns the way."},
		{"Admitted", "The NetworkPolicies admit the request."},
		{"IngressNotAdmitted", "NetworkPolicies of the backend's Pods do not admit the controller."},
		{"EgressNotAdmitted", "NetworkPolicies of the controller's Pods do not admit connections to the backend."},
		{"ClientsNotAdmitted", "NetworkPolicies of the controller's Pods do not admit clients."},
		{"DNSNotAdmitted", "NetworkPolicies do not admit DNS."},
		{"AdmissionUnknown", "A NetworkPolicy admits address ranges, and the addresses are not known."},

		{"NotProbed", "No connection was tried."},
		{"Reachable", "All connections that were tried succeeded."},
		{"SomeUnreachable", "Some endpoints cannot be reached."},
		{"ConnectionRefused", "Nothing listens at the endpoints."},
		{"ConnectTimeout", "Connections to the endpoints are dropped."},
		{"NoRoute", "There is no route to the endpoints."},
		{"ConnectionReset", "The endpoints end connections."},
		{"TLSFailed", "The endpoints do not speak TLS, or not that of the client."},
		{"NotHTTP", "The endpoints do not answer in HTTP."},
		{"ResponseTimeout", "The endpoints take connections and do not answer."},
		{"LargeRequestLost", "Small requests are answered and large ones are not: packets of full size are lost."},
		{"ClusterIPUnreachable", "The endpoints can be reached and the Service's address cannot."},

		{"ClassMissing", "No IngressClass belongs to this controller."},
		{"RightMissing", "The controller lacks a right that it needs."},
		{"SurroundingsNotRead", "What explanations look at beside what is served could not be read."},
		{"LeaseExpired", "No replica holds the Lease: nobody writes status and Events."},
		{"DNSPodsNotReady", "No Pod of the cluster's DNS is ready."},
	}
}

// problemReason is a Problem's reason as that of a step.
func problemReason(p ingress.Problem) Reason { return Reason(p.Reason) }
