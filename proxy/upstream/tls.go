package upstream

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unique"

	"github.com/fairlead-ingress/fairlead/tls/certs"
)

// TLS is how a route demands that endpoints are spoken to over TLS. It is comparable, so that it can
// be part of a Key; the zero value demands what is done without one: nothing is verified.
type TLS struct {
	// Verify demands a certificate for Name that one of Authorities has signed, with at most Depth
	// others between the two.
	Verify bool
	Depth  int
	// Name is what the endpoint is. Empty: its DNS name, or that of the Service inside the cluster,
	// without the cluster's domain, where it is an IP address.
	Name string
	SNI  SNI
	// Authorities are PEM. Empty: those of the system.
	Authorities string
	// Certificate and PrivateKey are PEM. They are shown to an endpoint that asks for them.
	// Empty: none is.
	Certificate, PrivateKey string
	// The versions of crypto/tls that may be spoken; 0: its own choice.
	MinVersion, MaxVersion uint16
	// Ciphers are those for TLS 1.2 and older, by the names of crypto/tls with a space between
	// them. Empty: its own choice.
	Ciphers string
}

// SNI says whether an endpoint is told which name is wanted of it.
type SNI uint8

// The zero SNI sends the name of endpoints that have a DNS name.
const (
	SNIAlways SNI = iota + 1
	SNINever
)

// digest tells one TLS from another in a dump: eight hexadecimal digits. It says nothing of
// the private key.
func (t *TLS) digest() string {
	shown := *t
	shown.PrivateKey = ""
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v", shown))
	return hex.EncodeToString(sum[:4])
}

// Demand is a TLS as part of a Key: a word, however long the PEM in it. Demands are equal, also by
// ==, when their TLS is. The zero Demand is none at all.
type Demand struct{ of unique.Handle[TLS] }

// Demanded returns the Demand of t.
func Demanded(t TLS) Demand { return Demand{unique.Make(t)} }

// Equal reports whether d and o demand the same.
func (d Demand) Equal(o Demand) bool { return d == o }

// String tells one Demand from another; it is empty for none.
func (d Demand) String() string {
	if d == (Demand{}) {
		return ""
	}
	t := d.of.Value()
	return t.digest()
}

// CheckPair returns an error if a certificate and a key in PEM are not a pair.
func CheckPair(certificate, key []byte) error {
	_, err := certs.Parse(certificate, key)
	return err
}

// secured is a TLS ready for use. The nil *secured is for Keys without one.
type secured struct {
	TLS
	roots        *x509.CertPool // nil: those of the system
	certificates []tls.Certificate
	ciphers      []uint16
	broken       error // why there can be no connection; nil: there can
}

func newSecured(d Demand) *secured {
	if d == (Demand{}) {
		return nil
	}
	s := &secured{TLS: d.of.Value()}
	if s.Authorities != "" {
		if s.roots = x509.NewCertPool(); !s.roots.AppendCertsFromPEM([]byte(s.Authorities)) {
			s.broken = errors.New("no certificate in the PEM of the authorities")
		}
	}
	if s.Certificate != "" {
		pair, err := certs.Parse([]byte(s.Certificate), []byte(s.PrivateKey))
		if err == nil {
			s.certificates = []tls.Certificate{*pair}
		}
		s.broken = cmp.Or(s.broken, err)
	}
	if s.Ciphers != "" {
		for name := range strings.FieldsSeq(s.Ciphers) {
			if id, ok := CipherSuite(name); ok {
				s.ciphers = append(s.ciphers, id)
			}
		}
		if len(s.ciphers) == 0 {
			s.broken = cmp.Or(s.broken, fmt.Errorf("no cipher of crypto/tls in %.80q", s.Ciphers))
		}
	}
	return s
}

// CipherSuite returns a cipher of TLS 1.2 or older by the name that crypto/tls gives it.
func CipherSuite(name string) (uint16, bool) {
	for _, list := range [...][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, c := range list {
			if c.Name == name && c.SupportedVersions[0] <= tls.VersionTLS12 {
				return c.ID, true
			}
		}
	}
	return 0, false
}

// configure makes c, which may not be in use, what s demands of connections to e.
func (s *secured) configure(c *tls.Config, e *Endpoint) {
	k := e.pool.key
	name := s.Name
	if name == "" && !e.ip.IsValid() {
		name = strings.TrimSuffix(e.address.Host, ".")
	}
	name = cmp.Or(name, k.Service+"."+k.Namespace+".svc")
	c.ServerName = ""
	if s.SNI == SNIAlways || s.SNI == 0 && !e.ip.IsValid() {
		c.ServerName = name
	}
	c.Certificates, c.CipherSuites, c.MinVersion, c.MaxVersion = s.certificates, s.ciphers, s.MinVersion, s.MaxVersion
	// What crypto/tls verifies by itself hangs on the name that is sent. This is called for resumed
	// sessions as well.
	c.InsecureSkipVerify, c.RootCAs = true, nil
	c.VerifyConnection = func(state tls.ConnectionState) error {
		switch {
		case s.broken != nil:
			return s.broken
		case s.Verify:
			return s.verify(state.PeerCertificates, name)
		}
		return nil
	}
}

// verify checks what an endpoint has shown, its own certificate first.
func (s *secured) verify(shown []*x509.Certificate, name string) error {
	if len(shown) == 0 {
		return errors.New("the endpoint has no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{Roots: s.roots, Intermediates: between, DNSName: name})
	if err != nil {
		return err
	}
	shortest := len(chains[0])
	for _, chain := range chains {
		shortest = min(shortest, len(chain))
	}
	if n := shortest - 2; n > s.Depth {
		return fmt.Errorf("%d certificates stand between the endpoint's and the authority's, want %d at most", n, s.Depth)
	}
	return nil
}
