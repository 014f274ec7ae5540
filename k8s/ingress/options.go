package ingress

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// The values of IngressClass spec.controller that are ours unless Options say otherwise.
const (
	Controller      = "fairlead.dev/ingress-controller"
	NginxController = "k8s.io/ingress-nginx"
)

// Options are the settings of a Translator. The zero value is the default of each.
type Options struct {
	// ControllerClasses are the values of an IngressClass's spec.controller that make it
	// ours. Empty means Controller and NginxController.
	ControllerClasses []string
	// IngressClass is the class name that counts as ours in the annotation
	// kubernetes.io/ingress.class when there is no IngressClass of that name. Empty means
	// "fairlead".
	IngressClass string
	// IngressClassByName makes the class named IngressClass ours whether or not such an
	// IngressClass exists, and whatever its controller is.
	IngressClassByName bool
	// WatchWithoutClass serves Ingresses that name no class.
	WatchWithoutClass bool
	// DisableCatchAll refuses an Ingress with a defaultBackend and no rules.
	DisableCatchAll bool
	// DisableExternalName refuses Services of type ExternalName.
	DisableExternalName bool
	// DefaultBackend answers what no rule matches. Its Port may be empty for the Service's
	// first. The zero Key is none.
	DefaultBackend upstream.Key
	// DefaultCertificate names the Secret of the certificate for hosts that have no other.
	// The zero name is none.
	DefaultCertificate types.NamespacedName
	// ProxyProtocol wants PROXY headers also where the ConfigMap does not.
	ProxyProtocol bool
	// Passthrough allows ssl-passthrough.
	Passthrough bool
	// ConfigMap names the controller's ConfigMap. The zero name is none.
	ConfigMap types.NamespacedName
	// Quirks are those that are switched, whatever the profile of an Ingress has.
	Quirks policy.Switches
	// ACMENamespace is where the issuer keeps certificates, and how orders stand, in Secrets that
	// IssuedName names. Empty: nothing is ordered.
	ACMENamespace string
	// Now is the time that certificates are judged by. Nil means time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if len(o.ControllerClasses) == 0 {
		o.ControllerClasses = []string{Controller, NginxController}
	}
	if o.IngressClass == "" {
		o.IngressClass = "fairlead"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
