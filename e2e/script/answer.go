package script

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/fairlead-ingress/fairlead/e2e/echo"
)

// Answer is what one request brought.
type Answer struct {
	Err      error // no response came, or it ended too early
	Code     int
	Proto    string
	Header   http.Header
	Trailer  http.Header
	Body     []byte
	BodySize int64
	Interim  []Interim
	Received []string // messages from a WebSocket
	// Seen is what the backend received: nil when the answer is no Record of the echo
	// backend's.
	Seen *echo.Record
	TLS  *tls.ConnectionState
	// Closed says whether the connection was closed after the answer; only known for raw
	// requests.
	Closed bool
}

// Interim is one 1xx response.
type Interim struct {
	Code   int
	Header http.Header
}

// value looks a subject up. Absent is what "absent" means: no such field, no such answer.
func (a *Answer) value(e Expectation, roots *x509.CertPool, host string) (value string, present bool) {
	switch e.Subject {
	case "error":
		if a.Err == nil {
			return "", false
		}
		return a.Err.Error(), true
	case "code":
		return strconv.Itoa(a.Code), a.Code != 0
	case "proto":
		return a.Proto, a.Proto != ""
	case "body":
		return string(a.Body), len(a.Body) > 0
	case "body.size":
		return strconv.FormatInt(a.BodySize, 10), true
	case "connection":
		if a.Closed {
			return "closed", true
		}
		return "open", true
	case "header":
		return fieldValue(a.Header, e.Name)
	case "trailer":
		return fieldValue(a.Trailer, e.Name)
	case "interim":
		codes := make([]string, len(a.Interim))
		for i, r := range a.Interim {
			codes[i] = strconv.Itoa(r.Code)
		}
		return strings.Join(codes, " "), len(codes) > 0
	case "interim.header":
		for _, r := range a.Interim {
			if v, ok := fieldValue(r.Header, e.Name); ok {
				return v, true
			}
		}
		return "", false
	case "received":
		return strings.Join(a.Received, ", "), len(a.Received) > 0
	case "backend":
		return fieldValue(a.Header, "Echo-Backend")
	}
	if name, ok := strings.CutPrefix(e.Subject, "seen."); ok {
		return a.seen(name, e.Name)
	}
	return a.tls(strings.TrimPrefix(e.Subject, "tls."), roots, host)
}

func (a *Answer) seen(what, name string) (string, bool) {
	s := a.Seen
	if s == nil {
		return "", false
	}
	switch what {
	case "port":
		return s.Port, true
	case "method":
		return s.Method, true
	case "target":
		return s.Target, true
	case "host":
		return s.Host, true
	case "proto":
		return s.Proto, true
	case "tls":
		return strconv.FormatBool(s.TLS), true
	case "body":
		return s.Body, s.Body != ""
	case "body.size":
		return strconv.FormatInt(s.BodySize, 10), true
	case "framing":
		return s.Framing, true
	case "header":
		return fieldValue(s.Header, name)
	case "trailer":
		return fieldValue(s.Trailer, name)
	}
	panic("subject seen." + what + " is known to the parser only")
}

func (a *Answer) tls(what string, roots *x509.CertPool, host string) (string, bool) {
	if a.TLS == nil || len(a.TLS.PeerCertificates) == 0 {
		return "", false
	}
	leaf := a.TLS.PeerCertificates[0]
	switch what {
	case "cn":
		return leaf.Subject.CommonName, true
	case "names":
		return strings.Join(leaf.DNSNames, " "), len(leaf.DNSNames) > 0
	case "verified":
		between := x509.NewCertPool()
		for _, c := range a.TLS.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: host})
		return strconv.FormatBool(err == nil), true
	case "version":
		return tls.VersionName(a.TLS.Version), true
	case "alpn":
		return a.TLS.NegotiatedProtocol, a.TLS.NegotiatedProtocol != ""
	case "key":
		return leaf.PublicKeyAlgorithm.String(), true
	}
	panic("subject tls." + what + " is known to the parser only")
}

// fieldValue joins repeated fields as RFC 9110 section 5.2 does.
func fieldValue(h http.Header, name string) (string, bool) {
	v := h.Values(name)
	return strings.Join(v, ", "), len(v) > 0
}

// String shows the answer to someone who reads why a script failed.
func (a *Answer) String() string {
	var b strings.Builder
	if a.Err != nil {
		fmt.Fprintf(&b, "error: %v\n", a.Err)
	}
	for _, r := range a.Interim {
		fmt.Fprintf(&b, "interim %d %v\n", r.Code, r.Header)
	}
	if a.Code != 0 {
		fmt.Fprintf(&b, "%s %d\n", a.Proto, a.Code)
		_ = a.Header.Write(&b) // a strings.Builder takes everything
		body := a.Body
		if len(body) > 1500 {
			body = append(body[:1500:1500], "..."...)
		}
		fmt.Fprintf(&b, "\n%s\n", body)
	}
	for _, m := range a.Received {
		fmt.Fprintf(&b, "message: %s\n", m)
	}
	if a.TLS != nil && len(a.TLS.PeerCertificates) > 0 {
		leaf := a.TLS.PeerCertificates[0]
		fmt.Fprintf(&b, "certificate: CN %q, names %q\n", leaf.Subject.CommonName, leaf.DNSNames)
	}
	return b.String()
}
