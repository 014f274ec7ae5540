package manifest

import (
	"net"
	"strings"

	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkIngress refuses what the API server refuses at creation, but for the annotation
// kubernetes.io/ingress.class beside spec.ingressClassName: objects from before that rule have
// both, and translation decides.
func checkIngress(ing *netv1.Ingress) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if len(ing.Spec.Rules) == 0 && ing.Spec.DefaultBackend == nil {
		errs = append(errs, field.Invalid(spec, ing.Spec.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	if b := ing.Spec.DefaultBackend; b != nil {
		errs = append(errs, checkBackend(b, spec.Child("defaultBackend"))...)
	}
	if name := ing.Spec.IngressClassName; name != nil {
		for _, msg := range validation.IsDNS1123Subdomain(*name) {
			errs = append(errs, field.Invalid(spec.Child("ingressClassName"), *name, msg))
		}
	}
	for i := range ing.Spec.Rules {
		errs = append(errs, checkRule(&ing.Spec.Rules[i], spec.Child("rules").Index(i))...)
	}
	for i, t := range ing.Spec.TLS {
		path := spec.Child("tls").Index(i)
		for j, host := range t.Hosts {
			errs = append(errs, checkHost(host, path.Child("hosts").Index(j))...)
		}
		if t.SecretName != "" {
			for _, msg := range validation.IsDNS1123Subdomain(t.SecretName) {
				errs = append(errs, field.Invalid(path.Child("secretName"), t.SecretName, msg))
			}
		}
	}
	return errs
}

func checkRule(r *netv1.IngressRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if r.Host != "" {
		if net.ParseIP(r.Host) != nil {
			errs = append(errs, field.Invalid(path.Child("host"), r.Host, "must be a DNS name, not an IP address"))
		} else {
			errs = append(errs, checkHost(r.Host, path.Child("host"))...)
		}
	}
	if r.HTTP == nil {
		return errs
	}
	paths := path.Child("http", "paths")
	if len(r.HTTP.Paths) == 0 {
		errs = append(errs, field.Required(paths, "http without paths serves nothing; leave http out for a host without paths"))
	}
	for i := range r.HTTP.Paths {
		p := &r.HTTP.Paths[i]
		errs = append(errs, checkPath(p, paths.Index(i))...)
		errs = append(errs, checkBackend(&p.Backend, paths.Index(i).Child("backend"))...)
	}
	return errs
}

func checkHost(host string, path *field.Path) field.ErrorList {
	valid := validation.IsDNS1123Subdomain
	if strings.Contains(host, "*") {
		valid = validation.IsWildcardDNS1123Subdomain
	}
	var errs field.ErrorList
	for _, msg := range valid(host) {
		errs = append(errs, field.Invalid(path, host, msg))
	}
	return errs
}

func checkPath(p *netv1.HTTPIngressPath, path *field.Path) field.ErrorList {
	if p.PathType == nil {
		return field.ErrorList{field.Required(path.Child("pathType"), "pathType must be specified")}
	}
	at := path.Child("path")
	absolute := strings.HasPrefix(p.Path, "/")
	switch *p.PathType {
	case netv1.PathTypeExact, netv1.PathTypePrefix:
		if !absolute {
			return field.ErrorList{field.Invalid(at, p.Path, "must be an absolute path")}
		}
		var errs field.ErrorList
		for _, s := range []string{"//", "/./", "/../", "%2f", "%2F"} {
			if strings.Contains(p.Path, s) {
				errs = append(errs, field.Invalid(at, p.Path, "must not contain '"+s+"'"))
			}
		}
		for _, s := range []string{"/..", "/."} {
			if strings.HasSuffix(p.Path, s) {
				errs = append(errs, field.Invalid(at, p.Path, "cannot end with '"+s+"'"))
			}
		}
		return errs
	case netv1.PathTypeImplementationSpecific:
		if p.Path != "" && !absolute {
			return field.ErrorList{field.Invalid(at, p.Path, "must be an absolute path")}
		}
		return nil
	}
	return field.ErrorList{field.NotSupported(path.Child("pathType"), *p.PathType,
		[]netv1.PathType{netv1.PathTypeExact, netv1.PathTypePrefix, netv1.PathTypeImplementationSpecific})}
}

func checkBackend(b *netv1.IngressBackend, path *field.Path) field.ErrorList {
	switch {
	case b.Resource != nil && b.Service != nil:
		return field.ErrorList{field.Invalid(path, "", "cannot set both resource and service backends")}
	case b.Resource != nil:
		var errs field.ErrorList
		if b.Resource.Kind == "" {
			errs = append(errs, field.Required(path.Child("resource", "kind"), "the kind of the resource"))
		}
		if b.Resource.Name == "" {
			errs = append(errs, field.Required(path.Child("resource", "name"), "the name of the resource"))
		}
		return errs
	case b.Service == nil:
		return field.ErrorList{field.Required(path, "resource or service backend is required")}
	}
	path = path.Child("service")
	var errs field.ErrorList
	if b.Service.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), "the name of a Service"))
	} else {
		for _, msg := range validation.IsDNS1123Label(b.Service.Name) {
			errs = append(errs, field.Invalid(path.Child("name"), b.Service.Name, msg))
		}
	}
	port := b.Service.Port
	switch at := path.Child("port"); {
	case port.Name != "" && port.Number != 0:
		errs = append(errs, field.Invalid(at, "", "cannot set both port name & port number"))
	case port.Name != "":
		for _, msg := range validation.IsValidPortName(port.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), port.Name, msg))
		}
	case port.Number != 0:
		for _, msg := range validation.IsValidPortNum(int(port.Number)) {
			errs = append(errs, field.Invalid(at.Child("number"), port.Number, msg))
		}
	default:
		errs = append(errs, field.Required(at, "port name or number is required"))
	}
	return errs
}
