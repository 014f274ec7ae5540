package explain

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"

	"github.com/fairlead-ingress/fairlead/k8s/ingress"
	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// hello is what a client of today sends.
func hello(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName:        name,
		SupportedVersions: []uint16{tls.VersionTLS13, tls.VersionTLS12},
		CipherSuites:      []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		SupportedCurves:   []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		SupportedPoints:   []uint8{0},
		SignatureSchemes: []tls.SignatureScheme{
			tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512, tls.Ed25519,
			tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512, tls.PKCS1WithSHA256,
		},
	}
}

// tls judges the certificate that the handshake would get as a client does, but for who issued
// it: a private authority is no fault.
func (w *walk) tls() finding {
	if w.q.URL.Scheme != "https" {
		return skip("NotHTTPS", "the URL is http")
	}
	if w.decision.Passed {
		if !w.decision.Forwarded {
			return broken("PassthroughRefused", "TLS connections to the host are not let through to its backend ("+w.decision.Reason+"), and are closed",
				"see what the Ingress asks for beside ssl-passthrough: "+kubectl(w.ing.Namespace, "get ingress "+w.ing.Name+" -o yaml"), ingressName(w.ing))
		}
		return fine("PassedThrough", "TLS connections to the host are handed to its backend as they are, which shows its own certificate", ingressName(w.ing))
	}
	host := strings.ToLower(strings.TrimSuffix(w.q.URL.Hostname(), "."))
	name := host
	if _, err := netip.ParseAddr(host); err == nil {
		name = ""
	}
	served, why := w.Certificates.Certificate(hello(name))
	refused := "a generated certificate is served, which no client accepts"
	if served != nil {
		refusal := served.Leaf.VerifyHostname(host)
		if refusal == nil && (w.now.Before(served.Leaf.NotBefore) || w.now.After(served.Leaf.NotAfter)) {
			refusal = fmt.Errorf("it is valid from %s to %s", served.Leaf.NotBefore.UTC().Format("2006-01-02"), served.Leaf.NotAfter.UTC().Format("2006-01-02"))
		}
		switch {
		case refusal == nil && why == "":
			return w.certificateServed(host)
		case refusal == nil:
			return fine("DefaultCertificateServed", "the default certificate is served, and it covers "+host+" ("+why+")")
		case why == "":
			b, _ := w.binding(host)
			return broken("CertificateNameMismatch", fmt.Sprintf("the certificate of %s is refused by clients: %v", b.Source, refusal),
				"renew it with "+host+" among its alternative names: "+w.lookAtSecret(b.Source), b.Source, ingressName(w.ing))
		}
		refused = fmt.Sprintf("the default certificate is served, which clients refuse: %v", refusal)
	}
	return w.certificateMissing(host, name, why, refused)
}

// certificateMissing says why no certificate of an Ingress is served.
func (w *walk) certificateMissing(host, name, why, refused string) finding {
	b, bound := w.binding(host)
	edit := kubectl("", "get ingress -A")
	if w.ing != nil {
		edit = kubectl(w.ing.Namespace, "edit ingress "+w.ing.Name)
	}
	switch {
	case name == "":
		return broken("NoServerName", host+" is an address, for which clients send no server name; "+refused,
			"ask for a name, or set --default-ssl-certificate: "+edit, ingressName(w.ing))
	case !bound:
		detail := "no TLS section of an Ingress is for " + host + "; " + refused
		if near := nearest(host, w.boundHosts()); near != "" {
			detail += "; there is one for " + near
		}
		return broken("NoTLSSection", detail, "add "+host+" to spec.tls with a Secret: "+edit, ingressName(w.ing))
	}
	// The Problem that was reported of it says the same, with its reason.
	kind, object, _ := strings.Cut(b.Source, " ")
	namespace, owner, _ := strings.Cut(object, "/")
	for _, p := range w.problemsOf(kind, namespace, owner) {
		if p.Err.Error() != why {
			continue
		}
		secret := w.secretNamed(namespace, owner, p.Field)
		f := broken(problemReason(p), why+"; "+refused, "", b.Source)
		if secret != "" {
			f.objects = append(f.objects, "Secret "+namespace+"/"+secret)
		}
		f.detail, f.remedy = f.detail+w.elsewhere(p, namespace, secret), remedyOfSecret(p, namespace, secret, owner, host)
		return f
	}
	return broken(Reason(ingress.TLSWithoutSecret), why+"; "+refused, "name a Secret in spec.tls: "+kubectl(namespace, "edit ingress "+owner), b.Source)
}

func remedyOfSecret(p ingress.Problem, namespace, secret, owner, host string) string {
	switch p.Reason {
	case ingress.SecretNotFound:
		return "create it, or correct the name: " + kubectl(namespace, "create secret tls "+secret+" --cert=tls.crt --key=tls.key")
	case ingress.SecretWrongType:
		return "the type of a Secret cannot be changed; create it again: " + kubectl(namespace, "delete secret "+secret) + " && " + kubectl(namespace, "create secret tls "+secret+" --cert=tls.crt --key=tls.key")
	case ingress.ACMEDisabled:
		return "start the controller with --acme (deploy/components/acme, or controller.acme.enabled of the chart), or name a Secret in spec.tls: " + kubectl(namespace, "edit ingress "+owner)
	case ingress.CertificatePending:
		return "wait until it is there; its order stands in the Events: " + kubectl(namespace, "describe ingress "+owner)
	case ingress.CertificateNotIssued:
		return "mend what the authority says, and wait for the next try: " + kubectl(namespace, "describe ingress "+owner)
	case ingress.CertificateNotOrdered:
		return "name a Secret with a certificate for " + host + " in spec.tls: " + kubectl(namespace, "edit ingress "+owner)
	case ingress.TLSWithoutSecret:
		return "name a Secret in spec.tls: " + kubectl(namespace, "edit ingress "+owner)
	case ingress.CertificateNameMismatch:
		return "use a certificate for " + host + ": " + kubectl(namespace, "create secret tls "+secret+" --cert=tls.crt --key=tls.key --dry-run=client -o yaml | kubectl apply -f -")
	}
	return "put a valid certificate with its key in it: " + kubectl(namespace, "create secret tls "+secret+" --cert=tls.crt --key=tls.key --dry-run=client -o yaml | kubectl apply -f -")
}

// secretNamed is the Secret of the TLS section that a Problem's field lies in.
func (w *walk) secretNamed(namespace, owner, field string) string {
	ing := w.find(namespace, owner)
	if ing == nil {
		return ""
	}
	for i, t := range ing.Spec.TLS {
		if strings.HasPrefix(field, fmt.Sprintf("spec.tls[%d]", i)) {
			return t.SecretName
		}
	}
	return ""
}

// elsewhere says where a Secret that was not found may be instead.
func (w *walk) elsewhere(p ingress.Problem, namespace, secret string) string {
	if p.Reason != ingress.SecretNotFound {
		return ""
	}
	var near, others []string
	for n := range w.Snapshot.Secrets {
		switch {
		case n.Namespace == namespace:
			near = append(near, n.Name)
		case n.Name == secret:
			others = append(others, n.Namespace)
		}
	}
	text := ""
	sortStrings(near, others)
	if n := nearest(secret, near); n != "" {
		text += "; there is a Secret " + namespace + "/" + n
	}
	if len(others) > 0 {
		text += "; namespace " + strings.Join(some(others, 3), ", ") + " has one of that name, and Secrets of other namespaces are not used"
	}
	return text
}

func (w *walk) certificateServed(host string) finding {
	b, _ := w.binding(host)
	f := fine("CertificateServed", "the certificate of "+b.Source+" covers "+host, b.Source, ingressName(w.ing))
	_, secret, _ := strings.Cut(b.Source, " ")
	for _, problems := range w.problems {
		for _, p := range problems {
			text := p.Err.Error()
			switch {
			case p.Reason == ingress.CertificateNotRenewed && strings.HasPrefix(text, "certificate of "+b.Host+" "),
				p.Reason == ingress.CertificateExpiring && strings.Contains(text, " "+secret+" "),
				p.Reason == ingress.CertificateConflict && strings.Contains(text, " host "+b.Host+":"):
				return warn(problemReason(p), text, "see to it: "+w.lookAtSecret(b.Source), b.Source, p.Object.String())
			}
		}
	}
	return f
}

func (w *walk) lookAtSecret(source string) string {
	_, name, _ := strings.Cut(source, " ")
	namespace, name, _ := strings.Cut(name, "/")
	return kubectl(namespace, "describe secret "+name)
}

// binding is what the certificates have for a host.
func (v *View) binding(host string) (certs.Binding, bool) {
	if b, ok := v.bindings[host]; ok {
		return b, true
	}
	if i := strings.IndexByte(host, '.'); i > 0 {
		b, ok := v.bindings["*"+host[i:]]
		return b, ok
	}
	return certs.Binding{}, false
}

func (v *View) boundHosts() []string {
	hosts := make([]string, 0, len(v.bindings))
	for host := range v.bindings {
		hosts = append(hosts, host)
	}
	sortStrings(hosts)
	return hosts
}
