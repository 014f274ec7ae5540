package proxy

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// maxNominated bounds the header names that one Connection field may name.
const maxNominated = 16

// isHopByHop says whether name is a field of one connection, which is never forwarded
// (RFC 9110, 7.6.1). name is canonical, as in what follows.
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// protected says whether a Connection field must not make us drop the field name: what
// routes, authenticates or frames a message is the sender's to send, not an earlier hop's to
// remove.
func protected(name string) bool {
	switch name {
	case "Host", "Authorization", "Cookie", "Set-Cookie", "Content-Length", "Content-Type",
		"Content-Encoding", "Content-Range", "Range", "Origin", "Referer", "Location",
		"Cache-Control", "Www-Authenticate", "X-Request-Id":
		return true
	}
	return policy.IsForwarding(name)
}

// removeNominated deletes from h the fields that its Connection field says are of one
// connection, but for those that isHopByHop knows. It reports false when more are named than
// anybody has a reason to.
func removeNominated(h http.Header) bool {
	named := 0
	for _, v := range h["Connection"] {
		for v != "" {
			var token string
			token, v, _ = strings.Cut(v, ",")
			token = strings.Trim(token, " \t")
			if token == "" || strings.EqualFold(token, "keep-alive") || strings.EqualFold(token, "close") {
				continue
			}
			if named++; named > maxNominated {
				return false
			}
			if name := http.CanonicalHeaderKey(token); !protected(name) && !isHopByHop(name) {
				delete(h, name)
			}
		}
	}
	return true
}

// cleanRequest deletes from the header of a request what ends at this hop and what only a
// trusted proxy may say. Spellings that only a lenient backend reads as forwarding fields are
// removed from everybody. What a client has nominated was removed when the request was admitted:
// by now there may be fields of ours under these names.
func cleanRequest(h http.Header, trusted bool) {
	for name := range h {
		if isHopByHop(name) || policy.IsClientCertificate(name) || name == "Proxy" || // a CGI backend would take it for its HTTP_PROXY
			policy.IsForwarding(name) && (!trusted || strings.ContainsAny(name, "_.")) {
			delete(h, name)
		}
	}
}

// copyResponse adds the fields of a response to h, but for those that end at this hop and the
// one that is ours to set; see
// removeNominated for what it returns.
func copyResponse(h, response http.Header) bool {
	if !removeNominated(response) {
		return false
	}
	for name, values := range response {
		if !isHopByHop(name) && name != ReasonHeader {
			h[name] = values
		}
	}
	return true
}

// forbiddenTrailer says whether a trailer field must not be passed on: those that frame,
// route or authenticate a message mean something only before its content (RFC 9110, 6.5.1).
func forbiddenTrailer(name string) bool {
	switch name {
	case "Transfer-Encoding", "Content-Length", "Trailer", "Te", "Connection", "Keep-Alive",
		"Proxy-Connection", "Upgrade", "Host", "Authorization", "Proxy-Authorization", "Proxy-Authenticate",
		"Www-Authenticate", "Cookie", "Set-Cookie", "Content-Type", "Content-Encoding", "Content-Range",
		"Cache-Control", "Expect", "Max-Forwards", "Range", "Age", "Expires", "Date", "Location",
		"Retry-After", "Vary", "X-Request-Id":
		return true
	}
	return policy.IsForwarding(name) || policy.IsClientCertificate(name) || !httpguts.ValidTrailerHeader(name)
}

// wantsWebSocket says whether r asks for the one protocol switch that we make. Everything
// else in Upgrade, h2c above all, would carry requests past our rules, so it is dropped and
// the request is an ordinary one.
func wantsWebSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ProtoMinor >= 1 && r.Method == http.MethodGet && r.ContentLength == 0 &&
		len(r.Header["Upgrade"]) == 1 && strings.EqualFold(r.Header["Upgrade"][0], "websocket") &&
		httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}
