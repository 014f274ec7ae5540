package policy

import (
	"net/http"
	"strings"
)

// SSLRedirect sends requests over plain HTTP to HTTPS.
type SSLRedirect struct {
	Always       bool // also where the host has no TLS
	Code         int
	KeepSlash    bool     // do not cut a slash at the end of the target
	ExemptRoutes []string // prefixes of rule paths that are served over plain HTTP
}

var (
	sslRedirectKey = Key{Name: "ssl-redirect", Global: true, Value: "true or false", Default: "true", SpecDefault: "false", Doc: "redirects to HTTPS where the host has TLS"}
	forceRedirect  = Key{Name: "force-ssl-redirect", Global: true, Value: "true or false", Default: "false", Doc: "redirects to HTTPS also where the host has no TLS"}
	keepSlash      = Key{Name: "preserve-trailing-slash", Value: "true or false", Default: "false", SpecDefault: "true", Doc: "keeps a slash at the end of the target in the redirect to HTTPS"}
	redirectCode   = Key{Name: "http-redirect-code", GlobalOnly: true, Value: "301, 302, 303, 307 or 308", Default: "308", Doc: "status of the redirects to HTTPS and to www"}
	exemptRoutes   = Key{Name: "no-tls-redirect-locations", GlobalOnly: true, Value: "paths, separated by commas", Default: "/.well-known/acme-challenge", Doc: "rule paths that are not redirected to HTTPS"}
)

var sslRedirect = feature{
	name: "redirect to HTTPS",
	keys: []Key{sslRedirectKey, forceRedirect, keepSlash, redirectCode, exemptRoutes},
	read: func(r *reader, s *Set) {
		want, said := r.given(sslRedirectKey)
		always := r.boolean(forceRedirect, false)
		keep := r.keepsSlash()
		code := r.redirectStatus()
		if !want && !always && (said || !r.byQuirk(QuirkHTTPSRedirect)) {
			return
		}
		s.SSLRedirect = &SSLRedirect{Always: always, Code: code, KeepSlash: keep, ExemptRoutes: []string{"/.well-known/acme-challenge"}}
		if _, ok := r.text(exemptRoutes); ok {
			s.SSLRedirect.ExemptRoutes = r.list(exemptRoutes)
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		to := l.SSLRedirect
		if to == nil || l.exempt(l.rule.Path) {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := exchangeOf(w)
			if x.Scheme() == "https" {
				next.ServeHTTP(w, r)
				return
			}
			if !to.Always {
				for _, q := range [...]Quirk{QuirkHTTPSRedirect, QuirkAnyTLSSection} {
					if l.Quirks.Has(q) {
						l.depends(q, w, r)
					}
				}
			}
			target := requestURI(r)
			if !to.KeepSlash {
				target = l.cutSlash(target, w, r)
			}
			redirect(w, r, to.Code, "https://"+x.CanonicalHost()+target, "https-wanted")
		})
	},
}

// keepsSlash reports whether redirects keep a slash at the end of their target.
func (r *reader) keepsSlash() bool {
	if !r.slashRead {
		keep, said := r.given(keepSlash)
		r.slashRead, r.slashKept = true, keep || !said && !r.byQuirk(QuirkCutSlash)
	}
	return r.slashKept
}

// cutSlash cuts a slash at the end of a redirect's target.
func (l link) cutSlash(target string, w http.ResponseWriter, r *http.Request) string {
	cut, had := strings.CutSuffix(target, "/")
	if had && l.Quirks.Has(QuirkCutSlash) {
		l.depends(QuirkCutSlash, w, r)
	}
	return cut
}

// redirectStatus is that of the redirects that the ConfigMap has one for.
func (r *reader) redirectStatus() int {
	switch code := r.integer(redirectCode, 301, 308, 308); code {
	case 301, 302, 303, 307, 308:
		return code
	default:
		r.bad(redirectCode, "want 301, 302, 303, 307 or 308, got %d", code)
	}
	return http.StatusPermanentRedirect
}

func (s *Set) exempt(path string) bool {
	for _, prefix := range s.SSLRedirect.ExemptRoutes {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}
