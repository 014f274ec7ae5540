package main

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fairlead-ingress/fairlead/k8s"
	"github.com/fairlead-ingress/fairlead/tls/issuer"
)

// acmeOptions are the flags of certificates by ACME.
type acmeOptions struct {
	on        bool
	namespace string

	directory   string
	caFile      string
	email       string
	eabKID      string
	eabKeyFile  string
	challenge   string
	renewBefore time.Duration
	cache       string
}

// The directories that have names.
var acmeDirectories = map[string]string{
	"production": issuer.Production,
	"staging":    issuer.Staging,
}

func (o *acmeOptions) registerTranslation(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "acme", false, "order certificates by ACME for Ingresses with the annotation fairlead.dev/acme: \"true\" and IngressClasses with it;\nthis accepts the terms of service of the authority")
	f.StringVar(&o.namespace, "acme-namespace", "", "`namespace` of the Secrets with the account, orders and certificates of --acme (default: the controller's)")
}

func (o *acmeOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.directory, "acme-directory", "production", "`URL` of the authority's ACME directory, or production or staging for those of Let's Encrypt")
	f.StringVar(&o.caFile, "acme-ca-file", "", "`file` with the certificates in PEM that the authority's own server is verified by (default: the system's)")
	f.StringVar(&o.email, "acme-email", "", "`address` that the authority tells of trouble with certificates")
	f.StringVar(&o.eabKID, "acme-eab-kid", "", "`id` of the key that binds the account to an external one")
	f.StringVar(&o.eabKeyFile, "acme-eab-key-file", "", "`file` with that key, in base64url as authorities give it out")
	f.StringVar(&o.challenge, "acme-challenge", issuer.HTTP01, "`type` of challenges: http-01, for which the authority connects to port 80, or tls-alpn-01, to port 443")
	f.DurationVar(&o.renewBefore, "acme-renew-before", 0, "how long before its end a certificate is renewed (default: a third of its life)")
	f.StringVar(&o.cache, "acme-cache", "", "`directory` with the account, orders and certificates of --acme; with --manifests only, and needed there")
}

// storedIn is the namespace of what the issuer keeps; empty when nothing is ordered.
func (o *acmeOptions) storedIn() string {
	if !o.on {
		return ""
	}
	return cmp.Or(o.namespace, k8s.PodNamespace())
}

func (o *acmeOptions) checkTranslation(bad *mistakes) {
	if o.namespace != "" && (!dnsName.MatchString(o.namespace) || strings.Contains(o.namespace, ".")) {
		bad.value("acme-namespace", o.namespace, "the name of a namespace")
	}
}

// checkACME reads what serve needs to order certificates.
func (s *settings) checkACME(bad *mistakes) {
	o := &s.acme
	if !o.on {
		for flag, value := range map[string]string{
			"acme-namespace": o.namespace, "acme-ca-file": o.caFile, "acme-email": o.email, "acme-eab-kid": o.eabKID,
			"acme-eab-key-file": o.eabKeyFile, "acme-cache": o.cache,
		} {
			if value != "" {
				bad.usage("--%s: nothing is ordered without --acme", flag)
			}
		}
		return
	}
	s.authority = issuer.Authority{Directory: cmp.Or(acmeDirectories[o.directory], o.directory), Email: o.email, UserAgent: "fairlead/" + buildVersion()}
	if u, err := url.Parse(s.authority.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		bad.value("acme-directory", o.directory, "production, staging or an https URL")
	}
	if o.email != "" {
		if a, err := mail.ParseAddress(o.email); err != nil || a.Address != o.email {
			bad.value("acme-email", o.email, "an e-mail address")
		}
	}
	if o.caFile != "" {
		var err error
		if s.authority.Roots, err = readRoots(o.caFile); err != nil {
			*bad = append(*bad, fmt.Errorf("--acme-ca-file: %w", err))
		}
	}
	if (o.eabKID == "") != (o.eabKeyFile == "") {
		bad.usage("--acme-eab-kid and --acme-eab-key-file belong together: give both or none")
	} else if o.eabKID != "" {
		key, err := readBindingKey(o.eabKeyFile)
		if err != nil {
			*bad = append(*bad, fmt.Errorf("--acme-eab-key-file: %w", err))
		}
		s.authority.Binding = &issuer.Binding{KID: o.eabKID, Key: key}
	}
	switch {
	case o.challenge == issuer.HTTP01 && s.httpAddress == "":
		bad.usage("--acme-challenge=http-01 is answered on --http-address, which is empty")
	case o.challenge == issuer.TLSALPN01 && s.httpsAddress == "":
		bad.usage("--acme-challenge=tls-alpn-01 is answered on --https-address, which is empty")
	case o.challenge != issuer.HTTP01 && o.challenge != issuer.TLSALPN01:
		bad.value("acme-challenge", o.challenge, "http-01 or tls-alpn-01")
	}
	if o.renewBefore < 0 {
		bad.value("acme-renew-before", o.renewBefore.String(), "a duration of at least 0s")
	}
	switch {
	case s.manifests != "" && o.cache == "":
		bad.usage("--acme with --manifests needs --acme-cache: a directory for what must not be lost")
	case s.manifests == "" && o.cache != "":
		bad.usage("--acme-cache is for --manifests: in a cluster what must not be lost is in Secrets of --acme-namespace")
	}
}

func readRoots(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}

// readBindingKey reads base64url with or without padding, and base64, which some hand out.
func readBindingKey(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	encoded := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(strings.TrimSpace(string(text)))
	key, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil && len(key) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("%s has no key in base64url", file) // err would show a part of it
	}
	return key, nil
}
