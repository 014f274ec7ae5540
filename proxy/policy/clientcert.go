package policy

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// ClientCert asks clients for a certificate. It is of a whole host: the first Ingress of the
// host that has one decides for all of them.
type ClientCert struct {
	// Refuse answers 503: what was asked for cannot be honoured. Nothing else counts then.
	Refuse bool
	// CA and CRL are PEM. An empty CRL revokes nothing; else there must be one, in force, of
	// every authority below the trusted one, and of that.
	CA, CRL string
	// Optional lets clients without a certificate pass; Untrusted those with one of an
	// authority that is not in CA, too.
	Optional, Untrusted bool
	// Depth is how many certificates may stand between the client's and the trusted one.
	Depth int
	// ErrorPage is where those who may not pass are sent; empty: they get 400.
	ErrorPage string
	// Pass gives the certificate to the backend.
	Pass bool
	// Subject is a regular expression that the subject must match; empty for any.
	Subject string
}

var (
	authTLSSecret = Key{
		Name: "auth-tls-secret", Class: Guard, Value: "namespace/name of a Secret",
		Doc: "asks clients of the host for a certificate of these authorities: PEM under ca.crt, revocation lists under ca.crl",
	}
	authTLSVerify = Key{
		Name: "auth-tls-verify-client", Class: Guard, Value: "on, off, optional or optional_no_ca", Default: "on",
		Doc: "whether a client needs a certificate; optional_no_ca passes those of unknown authorities on and says so",
	}
	authTLSDepth   = Key{Name: "auth-tls-verify-depth", Class: Guard, Value: "number", Default: "1", Doc: "how many certificates may stand between the client's and the authority's"}
	authTLSPage    = Key{Name: "auth-tls-error-page", Class: Guard, Value: "http or https URL", Doc: "where clients without a valid certificate are sent, in place of 400"}
	authTLSPass    = Key{Name: "auth-tls-pass-certificate-to-upstream", Class: Guard, Value: "true or false", Default: "false", Doc: "sends the certificate to the backend in ssl-client-cert, as URL-encoded PEM"}
	authTLSSubject = Key{Name: "auth-tls-match-cn", Class: Guard, Value: "CN= and a regular expression", Doc: "what the subject of the certificate must match, others get 403"}
)

var clientCert = feature{
	name:  "client certificate",
	keys:  []Key{authTLSSecret, authTLSVerify, authTLSDepth, authTLSPage, authTLSPass, authTLSSubject},
	read:  readClientCert,
	guard: func(s *Set) any { return s.ClientCert },
	wrap: func(l link, next http.Handler) http.Handler {
		if l.ClientCert == nil {
			return next
		}
		return newClientCertHandler(l.ClientCert, next)
	},
}

func readClientCert(r *reader, s *Set) {
	all := []Key{authTLSSecret, authTLSVerify, authTLSDepth, authTLSPage, authTLSPass, authTLSSubject}
	if v, _ := r.text(authTLSVerify); v == "off" {
		return
	}
	any, before := false, len(s.Refused)
	for _, k := range all {
		if !r.has(k) {
			continue
		}
		if v, ok := r.text(k); !ok {
			r.bad(k, "want %s, got nothing", k.Value)
			any = true
		} else if k.Name != authTLSPass.Name || v != "false" {
			any = true
		}
	}
	if !any {
		return
	}
	defer func() {
		if len(s.Refused) > before {
			s.ClientCert = &ClientCert{Refuse: true}
		}
	}()
	if !r.has(authTLSSecret) {
		for _, k := range all {
			if r.has(k) {
				r.bad(k, "want %s beside it", authTLSSecret.Name)
			}
		}
		return
	}
	c := &ClientCert{}
	switch r.oneOf(authTLSVerify, "on", "on", "optional", "optional_no_ca") {
	case "optional":
		c.Optional = true
	case "optional_no_ca":
		c.Optional, c.Untrusted = true, true
	}
	c.Depth = r.integer(authTLSDepth, 0, 100, 1)
	c.Pass = r.boolean(authTLSPass, false)
	if page, ok := r.text(authTLSPage); ok {
		u, err := url.Parse(page)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(page, " \"'\\\r\n\t$;{}") {
			r.bad(authTLSPage, "want an http or https URL without variables, got %.80q", page)
		}
		c.ErrorPage = page
	}
	if subject, ok := r.text(authTLSSubject); ok {
		if !strings.HasPrefix(subject, "CN=") {
			r.bad(authTLSSubject, "want CN= and a regular expression, got %.80q", subject)
		} else if _, err := regexp.Compile(subject); err != nil {
			r.bad(authTLSSubject, "%w", err)
		}
		c.Subject = subject
	}
	r.authorities(c)
	s.ClientCert = c
}

// authorities fills in CA and CRL.
func (r *reader) authorities(c *ClientCert) {
	data, value := r.namedSecret(authTLSSecret)
	if data == nil {
		return
	}
	if _, ok := data["ca.crt"]; !ok {
		r.bad(authTLSSecret, "Secret %s has no key ca.crt", value)
		return
	}
	c.CA, c.CRL = string(data["ca.crt"]), string(data["ca.crl"])
	cas, err := readAuthorities(c.CA)
	if err != nil {
		r.bad(authTLSSecret, "Secret %s, key ca.crt: %w", value, err)
		return
	}
	if _, crl := data["ca.crl"]; crl {
		if _, err := readRevocations(c.CRL, cas); err != nil {
			r.bad(authTLSSecret, "Secret %s, key ca.crl: %w", value, err)
		}
	}
}

// readAuthorities reads all certificates of a PEM file. One that cannot be read is an error:
// nobody knows whom it was to let in.
func readAuthorities(file string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := []byte(file); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil {
			err = certs.CheckCost(cert.PublicKey)
		}
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all)+1, err)
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		return nil, errors.New("no certificate in it, want PEM")
	}
	return all, nil
}

// revocations is what a CRL says, by the issuer's raw name.
type revocations map[string]*revocation

type revocation struct {
	until   time.Time // the list is in force; zero: for ever
	serials map[string]struct{}
}

// Bounds on how many signatures are verified to read a file of lists: without them one of 1 MiB, beside as
// many certificates of one name, takes minutes.
const (
	maxRevocationLists = 256
	maxSameName        = 8 // certificates of an authority that was renewed
)

// readRevocations reads the lists of a PEM file, each of which one of cas must have signed.
func readRevocations(file string, cas []*x509.Certificate) (revocations, error) {
	all := make(revocations)
	lists := 0
	for rest := []byte(file); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		if lists++; lists > maxRevocationLists {
			return nil, fmt.Errorf("more than %d revocation lists", maxRevocationLists)
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("revocation list %d: %w", len(all)+1, err)
		}
		signed, checks := false, 0
		for _, ca := range cas {
			if signed || !bytes.Equal(ca.RawSubject, list.RawIssuer) {
				continue
			}
			if checks++; checks > maxSameName {
				return nil, fmt.Errorf("revocation list of %s: more than %d certificates of ca.crt have that name", list.Issuer, maxSameName)
			}
			signed = list.CheckSignatureFrom(ca) == nil
		}
		if !signed {
			return nil, fmt.Errorf("revocation list of %s: no certificate of ca.crt has signed it", list.Issuer)
		}
		entry := all[string(list.RawIssuer)]
		if entry == nil {
			entry = &revocation{until: list.NextUpdate, serials: make(map[string]struct{})}
			all[string(list.RawIssuer)] = entry
		}
		for _, e := range list.RevokedCertificateEntries {
			entry.serials[string(e.SerialNumber.Bytes())] = struct{}{}
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no revocation list in it, want PEM")
	}
	return all, nil
}

// check reports whether a certificate is revoked, or nobody can say that it is not.
func (rs revocations) check(cert *x509.Certificate, now time.Time) error {
	list := rs[string(cert.RawIssuer)]
	switch {
	case list == nil:
		return fmt.Errorf("no revocation list of %s", cert.Issuer)
	case !list.until.IsZero() && now.After(list.until):
		return fmt.Errorf("the revocation list of %s has expired", cert.Issuer)
	}
	if _, revoked := list.serials[string(cert.SerialNumber.Bytes())]; revoked {
		return errors.New("certificate revoked")
	}
	return nil
}

// Identity tells the demands of two hosts apart: a TLS session that was begun under one identity
// means nothing under another. That of nil is "".
func (c *ClientCert) Identity() string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%t %t %t %d %q %q %q", c.Refuse, c.Optional, c.Untrusted, c.Depth, c.Subject, c.CA, c.CRL))
	return string(sum[:])
}

type clientCertHandler struct {
	*ClientCert
	roots   *x509.CertPool
	revoked revocations // nil: no lists are asked
	subject *regexp.Regexp
	next    http.Handler
	now     func() time.Time
}

// newClientCertHandler makes the handler of c. Where that cannot be, all requests are refused.
func newClientCertHandler(c *ClientCert, next http.Handler) *clientCertHandler {
	h := &clientCertHandler{ClientCert: c, roots: x509.NewCertPool(), next: next, now: time.Now}
	if c.Refuse {
		return h
	}
	cas, err := readAuthorities(c.CA)
	if err == nil && c.CRL != "" {
		h.revoked, err = readRevocations(c.CRL, cas)
	}
	if err == nil && c.Subject != "" {
		h.subject, err = regexp.Compile(c.Subject)
	}
	for _, ca := range cas {
		h.roots.AddCert(ca)
	}
	if err != nil {
		h.ClientCert = &ClientCert{Refuse: true}
	}
	return h
}

func (h *clientCertHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	if h.Refuse {
		answer(w, r, http.StatusServiceUnavailable, "policy-refused")
		return
	}
	verdict, cert, err := h.verify(r.TLS)
	if err != nil {
		reason := "client-certificate-refused"
		if cert == nil {
			reason = "client-certificate-wanted"
		}
		if h.ErrorPage != "" {
			redirect(w, r, http.StatusFound, h.ErrorPage, reason)
			return
		}
		x.Answer(w, r, http.StatusBadRequest, reason, err)
		return
	}
	var subject, issuer string
	if cert != nil {
		subject, issuer = distinguishedName(cert.RawSubject), distinguishedName(cert.RawIssuer)
	}
	if h.subject != nil && !h.subject.MatchString(subject) {
		answer(w, r, http.StatusForbidden, "client-certificate-subject")
		return
	}
	x.SendField("Ssl-Client-Verify", verdict)
	if cert != nil {
		x.SendField("Ssl-Client-Subject-Dn", subject)
		x.SendField("Ssl-Client-Issuer-Dn", issuer)
		if h.Pass {
			file := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
			x.SendField("Ssl-Client-Cert", strings.ReplaceAll(url.QueryEscape(string(file)), "+", "%20"))
		}
	}
	h.next.ServeHTTP(w, r)
}

var errNoClientCert = errors.New("the client sent no certificate")

// verify returns nginx's $ssl_client_verify and the certificate, if there is one. An error means
// that the client may not pass. Certificates are verified at each request, so that neither a
// resumed session nor one that is long open outlives a change of the authorities.
func (h *clientCertHandler) verify(state *tls.ConnectionState) (string, *x509.Certificate, error) {
	if state == nil || len(state.PeerCertificates) == 0 {
		if h.Optional {
			return "NONE", nil, nil
		}
		return "", nil, errNoClientCert
	}
	cert := state.PeerCertificates[0]
	err := h.check(cert, state.PeerCertificates[1:])
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return "SUCCESS", cert, nil
	case h.Untrusted && errors.As(err, &unknown):
		return "FAILED:unable to verify the first certificate", cert, nil
	}
	return "", cert, err
}

func (h *clientCertHandler) check(cert *x509.Certificate, sent []*x509.Certificate) error {
	now := h.now()
	between := x509.NewCertPool()
	for _, c := range sent {
		between.AddCert(c)
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: h.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return err
	}
	for _, chain := range chains {
		if err = h.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

func (h *clientCertHandler) checkChain(chain []*x509.Certificate, now time.Time) error {
	if between := len(chain) - 2; between > h.Depth {
		return fmt.Errorf("%d certificates stand between the client's and the authority's, want %d at most", between, h.Depth)
	}
	if h.revoked == nil {
		return nil
	}
	for _, c := range chain[:max(1, len(chain)-1)] {
		if err := h.revoked.check(c, now); err != nil {
			return err
		}
	}
	return nil
}
