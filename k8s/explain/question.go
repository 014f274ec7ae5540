package explain

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

var errNotRead = errors.New("they were not read")

// Question is a request that somebody asks about.
type Question struct {
	Method string // GET if empty
	URL    *url.URL
	Header http.Header // may be nil; Host in it takes the place of the URL's
	// ClientIP is the other end of the connection to the proxy; zero when it is not known.
	ClientIP netip.Addr
	// Answer is what DNS says of the URL's host; nil when it was not asked.
	Answer *Answer
	// Probes are connections that were tried; nil when none were.
	Probes []Attempt
	// Fronts are connections to the way in that were tried.
	Fronts []FrontAttempt
	// Inside says that an instance asks, which may not reach what leads clients to it.
	Inside bool
	// Local are the networks of the machine that tried, each with its address there.
	Local []netip.Prefix
	// Lookups are what servers said of the backend's name, or else of the URL's host; the
	// first is that of the machine itself. Nil when nobody was asked.
	Lookups []Lookup
}

// Answer is what DNS says of a host.
type Answer struct {
	Addresses []netip.Addr
	// Assumed says that nobody asked DNS.
	Assumed bool
	// Err is why there are no addresses. Silent says that no server answered, in contrast to
	// one that said that there is no such name.
	Err    error
	Silent bool
}

// ParseURL reads a URL as people type it: without a scheme it is http.
func ParseURL(text string) (*url.URL, error) {
	given := text
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("URL %q: %w", given, errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("URL %q: the scheme is %q, want http or https", given, u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("URL %q has no host", given)
	case u.Port() != "" && !validPort(u.Port()):
		return nil, fmt.Errorf("URL %q: port %s is not one of 1 to 65535", given, u.Port())
	case u.User != nil:
		return nil, fmt.Errorf("URL %q has a user: want a header Authorization instead", u.Redacted())
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// port is that of the URL, also where it is not written.
func (q *Question) port() string {
	if p := q.URL.Port(); p != "" {
		return p
	}
	if q.URL.Scheme == "https" {
		return "443"
	}
	return "80"
}

// request makes what a server makes of the request that a client sends for the Question.
func (q *Question) request() *http.Request {
	target := q.URL.RequestURI()
	r := (&http.Request{
		Method: q.Method, URL: new(url.URL), Host: q.URL.Host, RequestURI: target,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Body: http.NoBody,
	}).WithContext(context.Background())
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if u, err := url.ParseRequestURI(target); err == nil {
		r.URL = u
	}
	for name, values := range q.Header {
		if http.CanonicalHeaderKey(name) == "Host" {
			r.Host = values[len(values)-1]
			continue
		}
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	if q.ClientIP.IsValid() {
		r.RemoteAddr = net.JoinHostPort(q.ClientIP.String(), "0")
	}
	if q.URL.Scheme == "https" {
		r.TLS = &tls.ConnectionState{ServerName: q.URL.Hostname()}
	}
	return r
}
