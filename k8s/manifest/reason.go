package manifest

import "github.com/fairlead-ingress/fairlead/k8s/ingress"

// The reasons of the Problems that reading files has. Reasons documents each. Those of
// translation are in package ingress.
const (
	FileUnreadable      ingress.Reason = "FileUnreadable"
	InvalidYAML         ingress.Reason = "InvalidYAML"
	InvalidObject       ingress.Reason = "InvalidObject"
	UnknownField        ingress.Reason = "UnknownField"
	UnknownKind         ingress.Reason = "UnknownKind"
	DuplicateObject     ingress.Reason = "DuplicateObject"
	SliceWithoutService ingress.Reason = "SliceWithoutService"
	WatchUnavailable    ingress.Reason = "WatchUnavailable"
)

// Reasons returns the closed set of reasons that this package reports. Mistakes in objects of
// kinds that serving has no use for, such as Pods, are warnings whatever the reason.
func Reasons() []ingress.ReasonDoc {
	return []ingress.ReasonDoc{
		{Reason: FileUnreadable, Severity: ingress.Error, Doc: "A file or directory cannot be read, or is too large: nothing of it is served. When it is the watched directory itself, what was read last stays."},
		{Reason: InvalidYAML, Severity: ingress.Error, Doc: "A document is not YAML or JSON: it is left out, and the other documents of the file are served."},
		{Reason: InvalidObject, Severity: ingress.Error, Doc: "The API server would refuse the object: it is left out."},
		{Reason: UnknownField, Severity: ingress.Error, Doc: "The object has a field that its kind does not have, such as a misspelt one: it is left out."},
		{Reason: UnknownKind, Severity: ingress.Warning, Doc: "The object is of a kind that has no use here: it is left out. Nothing is said of Kubernetes' own, such as Deployments."},
		{Reason: DuplicateObject, Severity: ingress.Error, Doc: "Two documents have the same kind, namespace and name: the first in the order of file names is served."},
		{Reason: SliceWithoutService, Severity: ingress.Warning, Doc: "An EndpointSlice has no label kubernetes.io/service-name: its endpoints belong to no Service."},
		{Reason: WatchUnavailable, Severity: ingress.Warning, Doc: "The system refuses to watch a directory: it is read once a second instead."},
	}
}
