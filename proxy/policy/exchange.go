package policy

import (
	"net/http"
	"net/netip"
)

// Exchange is what the proxy knows of a request. The ResponseWriter of a handler that Wrap
// made leads to it, through any number of Unwrap methods.
type Exchange interface {
	// Client is the address of the client, behind proxies that are trusted.
	Client() netip.Addr
	// Scheme is "http" or "https", as the client used it towards us or a trusted proxy.
	Scheme() string
	// Connection is the scheme of the connection itself.
	Connection() string
	// CanonicalHost has no port and is lower case.
	CanonicalHost() string
	// CanonicalPath is the path that was routed on, escaped.
	CanonicalPath() string
	// ID is the request's X-Request-ID.
	ID() string
	// SendPrefix sets X-Forwarded-Prefix of the request that the backend gets.
	SendPrefix(prefix string)
	// SendHost sets the Host of the request that the backend gets.
	SendHost(host string)
	// SendField sets a field of the request that the backend gets, whatever the client and the
	// proxy say there; an empty value removes it. "Host" is as with SendHost.
	SendField(name, value string)
	// SentFields are the names and values that SendField was called with, which nobody changes.
	SentFields() [][2]string
	// SetCookie adds a Set-Cookie to the response of the backend, not to one of our own.
	SetCookie(cookie string)
	// Bind sends the request to the endpoint that hash ranks first: see upstream.Pick.
	Bind(hash uint64)
	// Rehearsal says that the request is only asked about: it must neither be counted nor
	// sent anywhere.
	Rehearsal() bool
	// Answer sends a short answer instead of what the backend would. The reason is a code
	// for the body and the log, and err, if not nil, what lies behind it.
	Answer(w http.ResponseWriter, r *http.Request, status int, reason string, err error)
}

// exchangeOf finds the Exchange behind w.
func exchangeOf(w http.ResponseWriter) Exchange {
	for {
		if x, ok := w.(Exchange); ok {
			return x
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			panic("policy: a ResponseWriter that leads to no Exchange")
		}
		w = u.Unwrap()
	}
}

// answer ends the request with status.
func answer(w http.ResponseWriter, r *http.Request, status int, reason string) {
	exchangeOf(w).Answer(w, r, status, reason, nil)
}

// redirect ends the request with a Location, but for 300, which nginx sends without.
func redirect(w http.ResponseWriter, r *http.Request, status int, location, reason string) {
	if status != http.StatusMultipleChoices {
		w.Header()["Location"] = []string{location}
	}
	answer(w, r, status, reason)
}
