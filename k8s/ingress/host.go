package ingress

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/fairlead-ingress/fairlead/router"
)

var errNoHost = errors.New("the host is empty, want a DNS name")

// canonicalHost returns the host of a rule in lower case. It accepts what the API server
// does: "", a DNS name, or "*." and a DNS name; and upper case.
func canonicalHost(host string) (string, error) {
	lower := strings.Map(lowerASCII, host)
	name, wildcard := strings.CutPrefix(lower, "*.")
	switch {
	case lower == "":
		return "", nil
	case isAddress(lower):
		return "", fmt.Errorf("host %q is an IP address, want a DNS name", host)
	case len(lower) > validation.DNS1123SubdomainMaxLength:
		return "", fmt.Errorf("host %.40q... has %d bytes, want at most %d", host, len(lower), validation.DNS1123SubdomainMaxLength)
	case strings.Contains(name, "*"):
		return "", fmt.Errorf(`host %q has "*" in it, which is allowed as the whole first label and nowhere else`, host)
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		if wildcard {
			return "", fmt.Errorf(`host %q is no DNS name after "*.": want labels of a-z, 0-9 and "-", with dots between them`, host)
		}
		return "", fmt.Errorf(`host %q is no DNS name: want labels of a-z, 0-9 and "-", with dots between them`, host)
	}
	return lower, nil
}

// lowerASCII leaves alone what has a lower case outside of ASCII, as the Kelvin sign has: it
// is no DNS name.
func lowerASCII(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// isAddress reports whether host is an IP literal, bracketed or not, or four numbers with
// dots between them, which some resolvers take as one.
func isAddress(host string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.Count(host, ".") == 3 && strings.Trim(host, "0123456789.") == ""
}

// pathType returns zero with an error for a type that must not be guessed: what was meant
// may have been narrower.
func pathType(t *netv1.PathType) (router.PathType, error) {
	if t == nil {
		return router.ImplementationSpecific, errors.New("pathType is missing, want Exact, Prefix or ImplementationSpecific; taken as the last")
	}
	switch *t {
	case netv1.PathTypeExact:
		return router.Exact, nil
	case netv1.PathTypePrefix:
		return router.Prefix, nil
	case netv1.PathTypeImplementationSpecific:
		return router.ImplementationSpecific, nil
	}
	return 0, fmt.Errorf("pathType is %q, want Exact, Prefix or ImplementationSpecific", string(*t))
}

// checkPath applies the rules of the API server, with one thing added: an empty Prefix is
// "/", as it is for ImplementationSpecific.
func checkPath(path string, t router.PathType) (string, error) {
	if path == "" && t != router.Exact {
		return "/", nil
	}
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("path is %q, want one that begins with /", path)
	}
	if t == router.ImplementationSpecific {
		return path, nil
	}
	for _, part := range []string{"//", "/./", "/../", "%2f", "%2F"} {
		if strings.Contains(path, part) {
			return "", fmt.Errorf("path %q has %q in it, which pathType %s does not allow", path, part, t)
		}
	}
	for _, end := range []string{"/.", "/.."} {
		if strings.HasSuffix(path, end) {
			return "", fmt.Errorf("path %q ends with %q, which pathType %s does not allow", path, end, t)
		}
	}
	return path, nil
}
