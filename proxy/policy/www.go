package policy

import (
	"net"
	"net/http"
	"strings"
)

// WWW sends every request of a host to its twin: the same name with "www." in front, or without.
type WWW struct {
	Host string // the twin, canonical
	Code int
	// FixedPort writes the port of the scheme, and CutSlash loses a slash at the end, as the
	// original does.
	FixedPort, CutSlash bool
}

var wwwKey = Key{
	Name: "from-to-www-redirect", Value: "true or false", Default: "false",
	Doc: "redirects the host with www. in front, or without it, to that of the rules; not a host that has rules of its own",
}

// www is of a host that no rule has: the translation adds a rule for it.
var www = feature{
	name: "redirect to www",
	keys: []Key{wwwKey},
	read: func(r *reader, s *Set) {
		if r.boolean(wwwKey, false) {
			s.WWW = &WWW{Code: r.redirectStatus(), FixedPort: r.byQuirk(QuirkWWWPort), CutSlash: !r.keepsSlash()}
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.WWW == nil || l.WWW.Host == "" {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scheme := exchangeOf(w).Scheme()
			target := requestURI(r)
			port := ""
			if l.WWW.CutSlash {
				target = l.cutSlash(target, w, r)
			}
			if l.WWW.FixedPort {
				l.depends(QuirkWWWPort, w, r)
				port = ":80"
				if scheme == "https" {
					port = ":443"
				}
			} else if _, p, err := net.SplitHostPort(r.Host); err == nil && validPort(p) {
				port = ":" + p
			}
			redirect(w, r, l.WWW.Code, scheme+"://"+l.WWW.Host+port+target, "www-redirect")
		})
	},
}

// validPort reports whether p is digits alone, so that nothing else gets into a Location.
func validPort(p string) bool {
	return p != "" && len(p) <= 5 && strings.Trim(p, "0123456789") == ""
}

// Twin returns the host that differs from host by "www." in front; false where there is none.
func Twin(host string) (string, bool) {
	if host == "" || strings.HasPrefix(host, "*") {
		return "", false
	}
	if apex, ok := strings.CutPrefix(host, "www."); ok {
		return apex, strings.Contains(apex, ".")
	}
	return "www." + host, true
}
