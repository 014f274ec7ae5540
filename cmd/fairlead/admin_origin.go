package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ownPages lets a browser ask for more than it may read only from the pages of the admin port itself. Those of
// other sites are told by the browser (http.CrossOriginProtection). A site whose name is made to
// lead to this address, after its page was loaded, is told by that name: the admin port is reached
// by an address, by localhost, or by a name of the cluster, and by no name of the Internet. What is
// no browser may call us as it likes.
func ownPages(next http.Handler) http.Handler {
	return new(http.CrossOriginProtection).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		browser := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if browser && !reads && !localName(r.Host) {
			text(w, http.StatusForbidden, "a browser must reach the admin port by an address, by localhost or by the name of a Service: see kubectl port-forward\n")
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// localName reports whether the host of a request, with or without a port, is one that nobody can
// have registered.
func localName(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	if !strings.Contains(name, ".") {
		return name != ""
	}
	for _, suffix := range []string{".localhost", ".local", ".internal", ".svc"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
