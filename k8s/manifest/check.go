package manifest

import (
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkName checks what all objects have.
func checkName(obj metav1.Object, k kind) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("metadata", "name")
	valid := validation.IsDNS1123Subdomain
	if k.labelNames {
		valid = validation.IsDNS1123Label
	}
	if obj.GetName() == "" {
		errs = append(errs, field.Required(path, "an object in a file needs a name"))
	} else {
		for _, msg := range valid(obj.GetName()) {
			errs = append(errs, field.Invalid(path, obj.GetName(), msg))
		}
	}
	if !k.clustered {
		for _, msg := range validation.IsDNS1123Label(obj.GetNamespace()) {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "namespace"), obj.GetNamespace(), msg))
		}
	}
	return errs
}

func checkIngressClass(c *netv1.IngressClass) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec", "controller")
	switch {
	case c.Spec.Controller == "":
		errs = append(errs, field.Required(path, "the name of a controller, such as fairlead.dev/ingress-controller"))
	case len(c.Spec.Controller) > 250:
		errs = append(errs, field.TooLong(path, c.Spec.Controller, 250))
	default:
		errs = append(errs, validation.IsDomainPrefixedPath(path, c.Spec.Controller)...)
	}
	if p := c.Spec.Parameters; p != nil && p.Scope == nil {
		scope := netv1.IngressClassParametersReferenceScopeCluster
		p.Scope = &scope
	}
	return errs
}

// checkSecret merges stringData into data, as the API server does. What a Secret of a type
// has to hold is left to those who use it: they can say what for.
func checkSecret(s *corev1.Secret) field.ErrorList {
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
	if s.Data == nil && len(s.StringData) > 0 {
		s.Data = make(map[string][]byte, len(s.StringData))
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	var errs field.ErrorList
	size := 0
	for k, v := range s.Data {
		for _, msg := range validation.IsConfigMapKey(k) {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(k), k, msg))
		}
		size += len(v)
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(field.NewPath("data"), "", corev1.MaxSecretSize))
	}
	return errs
}
