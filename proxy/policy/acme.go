package policy

import "strconv"

var acmeKey = Key{
	Name: "acme", Own: true, Value: "true or false", Default: "that of the IngressClass's annotation of this name, else false",
	Doc: "orders certificates by ACME for the hosts of the Ingress that have none in a Secret; needs --acme",
}

// acme is no handler: certificates are of hosts.
var acme = feature{
	name: "ACME",
	keys: []Key{acmeKey},
	read: func(r *reader, s *Set) {
		v, ok := r.text(acmeKey)
		if !ok {
			return
		}
		b, err := strconv.ParseBool(v)
		if err != nil {
			r.bad(acmeKey, "want true or false, got %.80q", v)
			return
		}
		s.ACME = &b
	},
}

// WantsACME reports whether the annotation says true. It is that of an IngressClass, for all
// Ingresses that do not say anything themselves.
func WantsACME(annotations map[string]string) bool {
	b, err := strconv.ParseBool(annotations[Prefix+acmeKey.Name])
	return err == nil && b
}
