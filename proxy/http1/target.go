package http1

import (
	"net/http"
	"net/url"
	"strings"
)

// parseTarget fills u from the target of a request, as url.ParseRequestURI does, and returns the
// authority that is part of it: "" for the origin and asterisk forms (RFC 9112, 3.2).
//
// Bytes beyond ASCII, and those that a URI escapes but browsers send as they are, are taken as
// they come: a reader of them cannot be misled about where the message ends, and the path
// is judged by those who route on it.
func parseTarget(method, target string, u *url.URL) (authority string, err error) {
	switch {
	case method == http.MethodConnect:
		return target, parseAuthorityForm(target, u)
	case target[0] == '/':
		return "", parseOriginForm(target, u)
	case target == "*" && method == http.MethodOptions:
		*u = url.URL{Path: "*"}
		return "", nil
	case target == "*":
		return "", fault(BadTarget, "want target * with method OPTIONS only, got %.20q", method)
	}
	return parseAbsoluteForm(target, u)
}

func parseOriginForm(target string, u *url.URL) error {
	path, query, hasQuery := strings.Cut(target, "?")
	if !all(path, plainByte) {
		return parseByURL(target, u) // for the escapes
	}
	*u = url.URL{Path: path, RawQuery: query, ForceQuery: hasQuery && query == ""}
	return nil
}

func parseByURL(target string, u *url.URL) error {
	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		return fault(BadTarget, "want a URI, got %.80q", target)
	}
	*u = *parsed
	return nil
}

func parseAbsoluteForm(target string, u *url.URL) (authority string, err error) {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return "", fault(BadTarget, "want a path or a http or https URI, got %.80q", target)
	}
	authority = rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	if !validHost(authority) || authority == "" {
		return "", fault(BadTarget, "want a host and an optional port in the target, got %.80q", authority)
	}
	return authority, parseByURL(target, u)
}

func parseAuthorityForm(target string, u *url.URL) error {
	if !validHost(target) || hostPort(target) == "" {
		return fault(BadTarget, "want a host and a port for CONNECT, got %.80q", target)
	}
	*u = url.URL{Host: target}
	return nil
}
