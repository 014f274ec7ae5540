package policy

import (
	"fmt"
	"math"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

var (
	proxySSLSecret = Key{
		Name: "proxy-ssl-secret", Class: Guard, Value: "namespace/name of a Secret",
		Doc: "certificate that a backend is shown over HTTPS and GRPCS, under tls.crt and tls.key, and the authorities of the backend's, under ca.crt; PEM",
	}
	proxySSLVerify = Key{
		Name: "proxy-ssl-verify", Class: Guard, Value: "on or off", Default: "off",
		Doc: "verifies the backend's certificate: by the authorities of proxy-ssl-secret, or those of the system without a ca.crt, and the name of proxy-ssl-name. " +
			"A backend that fails gets no request, which is answered 502",
	}
	proxySSLDepth = Key{Name: "proxy-ssl-verify-depth", Class: Guard, Value: "number", Default: "1", Doc: "how many certificates may stand between the backend's and the authority's"}
	proxySSLName  = Key{
		Name: "proxy-ssl-name", Class: Guard, Value: "host name", Default: "the backend's DNS name, or service.namespace.svc where it has none",
		Doc: "name that the backend's certificate must have with proxy-ssl-verify, and that is sent with proxy-ssl-server-name",
	}
	proxySSLServerName = Key{
		Name: "proxy-ssl-server-name", Value: "on or off", Default: "on for backends that have a DNS name, off for others", SpecDefault: "on",
		Doc: "tells the backend in the TLS handshake which name is wanted (SNI)",
	}
	proxySSLProtocols = Key{
		Name: "proxy-ssl-protocols", Value: "versions of TLS, separated by spaces", Default: "TLSv1.2 TLSv1.3",
		Doc: "the lowest and the highest version for the backend; those between the two are always spoken",
	}
	proxySSLCiphers = Key{
		Name: "proxy-ssl-ciphers", Value: "cipher list of OpenSSL", Default: "DEFAULT",
		Doc: "ciphers for TLS 1.2 and older to the backend; those of TLS 1.3 cannot be chosen",
	}
)

// backendTLS is no handler: it is of the connections to the backend.
var backendTLS = feature{
	name: "backend TLS",
	keys: []Key{proxySSLSecret, proxySSLVerify, proxySSLDepth, proxySSLName, proxySSLServerName, proxySSLProtocols, proxySSLCiphers},
	read: readBackendTLS,
}

func readBackendTLS(r *reader, s *Set) {
	t := upstream.TLS{Verify: r.guardedWord(proxySSLVerify, "off", "on", "off") == "on"}
	depth := 1
	if r.has(proxySSLDepth) {
		depth = r.integer(proxySSLDepth, 0, math.MaxInt16, 1)
	}
	if t.Verify {
		t.Depth = depth
	}
	if name, ok := r.text(proxySSLName); ok {
		if len(name) > 253 || !httpguts.ValidHostHeader(name) || strings.ContainsAny(name, ":/ $_") {
			r.bad(proxySSLName, "want a host name without port and variables, got %.80q", name)
		}
		t.Name = name
	} else if r.has(proxySSLName) {
		r.bad(proxySSLName, "want a host name, got nothing")
	}
	switch r.oneOf(proxySSLServerName, "", "on", "off") {
	case "on":
		t.SNI = upstream.SNIAlways
	case "off":
		t.SNI = upstream.SNINever
	}
	r.backendVersions(&t)
	r.backendCiphers(&t)
	r.backendSecret(&t)
	if t == (upstream.TLS{}) {
		return
	}
	if t.SNI == 0 && !r.quirks.Has(QuirkBackendSNI) {
		t.SNI = upstream.SNIAlways
	}
	s.Backend.TLS = &t
}

// guardedWord is oneOf for a key whose empty value is no permission.
func (r *reader) guardedWord(k Key, or string, words ...string) string {
	if _, ok := r.text(k); !ok && r.has(k) {
		r.bad(k, "want one of %s, got nothing", strings.Join(words, ", "))
		return or
	}
	return r.oneOf(k, or, words...)
}

func (r *reader) backendVersions(t *upstream.TLS) {
	v, ok := r.text(proxySSLProtocols)
	if !ok {
		return
	}
	lowest, highest, gone, err := tlsVersions(v)
	switch {
	case err != nil:
		r.bad(proxySSLProtocols, "%w", err)
	case lowest == 0:
		r.bad(proxySSLProtocols, "%s cannot be spoken", strings.Join(gone, ", "))
	case len(gone) > 0:
		r.judge(proxySSLProtocols, LeftOut, fmt.Errorf("%s cannot be spoken", strings.Join(gone, ", ")))
		fallthrough
	default:
		t.MinVersion, t.MaxVersion = lowest, highest
	}
}

func (r *reader) backendCiphers(t *upstream.TLS) {
	v, ok := r.text(proxySSLCiphers)
	if !ok {
		return
	}
	names, unknown := opensslCiphers(v)
	if len(unknown) > 0 {
		r.judge(proxySSLCiphers, LeftOut, fmt.Errorf("there are no ciphers %.200s", strings.Join(unknown, ", ")))
	}
	t.Ciphers = strings.Join(names, " ")
}

// backendSecret fills in what the Secret has.
func (r *reader) backendSecret(t *upstream.TLS) {
	data, value := r.namedSecret(proxySSLSecret)
	if data == nil {
		return
	}
	certificate, key := data["tls.crt"], data["tls.key"]
	cas := string(data["ca.crt"])
	switch {
	case len(certificate)+len(key) > 0:
		if err := upstream.CheckPair(certificate, key); err != nil {
			r.bad(proxySSLSecret, "Secret %s, keys tls.crt and tls.key: %w", value, err)
			return
		}
		t.Certificate, t.PrivateKey = string(certificate), string(key)
	case cas == "":
		r.bad(proxySSLSecret, "Secret %s has neither ca.crt nor tls.crt and tls.key", value)
		return
	}
	if cas == "" {
		return
	}
	if _, err := readAuthorities(cas); err != nil {
		r.bad(proxySSLSecret, "Secret %s, key ca.crt: %w", value, err)
		return
	}
	t.Authorities = cas
}

// namedSecret returns the data of the Secret that a key names, and its value. Nil: the key is not
// there, or what is wrong was reported.
func (r *reader) namedSecret(k Key) (map[string][]byte, string) {
	value, ok := r.text(k)
	if !ok {
		if r.has(k) {
			r.bad(k, "want %s, got nothing", k.Value)
		}
		return nil, ""
	}
	namespace, name, ok := strings.Cut(value, "/")
	switch {
	case !ok || namespace == "" || name == "":
		r.bad(k, "want namespace/name, got %.80q", value)
		return nil, value
	case namespace != r.Namespace && r.Config["allow-cross-namespace-resources"] != "true":
		r.bad(k, "want a Secret of namespace %s, got one of %s", r.Namespace, namespace)
		return nil, value
	}
	data := r.Secret(namespace, name)
	if data == nil {
		r.bad(k, "Secret %s not found", value)
	}
	return data, value
}

// NamedSecrets returns the Secrets, as namespace and name, that the annotations of an Ingress in
// namespace name for TLS, to clients and to backends. Those of other namespaces are left out.
func NamedSecrets(namespace string, annotations map[string]string) [][2]string {
	var all [][2]string
	for _, k := range [...]Key{authTLSSecret, proxySSLSecret} {
		value, ok := annotations[Prefix+k.Name]
		if !ok {
			value = annotations[NginxPrefix+k.Name]
		}
		if ns, name, _ := strings.Cut(strings.TrimSpace(value), "/"); ns == namespace && name != "" {
			all = append(all, [2]string{ns, name})
		}
	}
	return all
}
