package policy

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Redirect answers every request with a Location, as it is written.
type Redirect struct {
	Location string // an absolute URL, or a path of the same host
	Code     int
}

var (
	permanentRedirect = Key{Name: "permanent-redirect", Class: Routing, Value: "URL", Doc: "answers every request with a redirect to this URL; no path is appended"}
	permanentCode     = Key{Name: "permanent-redirect-code", Value: "300 to 308", Default: "301", Doc: "status of permanent-redirect"}
	temporalRedirect  = Key{Name: "temporal-redirect", Class: Routing, Value: "URL", Doc: "as permanent-redirect, and wins over it"}
	temporalCode      = Key{Name: "temporal-redirect-code", Value: "300 to 307", Default: "302", Doc: "status of temporal-redirect"}
)

var redirects = feature{
	name: "redirects",
	keys: []Key{permanentRedirect, permanentCode, temporalRedirect, temporalCode},
	read: func(r *reader, s *Set) {
		code := r.integer(permanentCode, 300, 308, 301)
		if v, ok := r.text(permanentRedirect); ok {
			s.Redirect = &Redirect{r.location(permanentRedirect, v), code}
		}
		code = r.integer(temporalCode, 300, 307, 302)
		if v, ok := r.text(temporalRedirect); ok {
			s.Redirect = &Redirect{r.location(temporalRedirect, v), code}
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Redirect == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			redirect(w, r, l.Redirect.Code, absolute(w, l.Redirect.Location), "redirect")
		})
	},
}

// location checks the target of a redirect.
func (r *reader) location(k Key, v string) string {
	if strings.Contains(v, "$") {
		r.bad(k, "want a URL without variables, got %.80q", v)
		return v
	}
	u, err := url.Parse(v)
	bad := err != nil || strings.ContainsAny(v, " \"\\<>;{}|^`") || strings.HasPrefix(v, "//")
	if !bad {
		bad = u.Scheme != "http" && u.Scheme != "https" && (u.Scheme != "" || !strings.HasPrefix(v, "/")) || u.Scheme != "" && u.Host == ""
	}
	if bad {
		r.bad(k, "want a URL or a path, got %.80q", v)
	}
	return v
}

// absolute makes a path a URL of the host that was asked, as nginx does.
func absolute(w http.ResponseWriter, location string) string {
	if !strings.HasPrefix(location, "/") {
		return location
	}
	x := exchangeOf(w)
	return x.Connection() + "://" + x.CanonicalHost() + location
}

var appRootKey = Key{Name: "app-root", Class: Routing, Value: "path", Doc: "sends requests for / to this path with 302"}

// appRoot is of a host: the translation adds a rule for "/" that has it.
var appRoot = feature{
	name: "app-root",
	keys: []Key{appRootKey},
	read: func(r *reader, s *Set) {
		v, ok := r.text(appRootKey)
		if !ok {
			return
		}
		if !strings.HasPrefix(v, "/") || strings.HasPrefix(v, "//") || strings.ContainsAny(v, "?# $\"\\<>;{}|^`") {
			// ingress-nginx leaves it out without a word, and so "/" goes to the backend.
			r.judge(appRootKey, Invalid, fmt.Errorf("want a path without a query, got %.80q", v))
			return
		}
		s.AppRoot = v
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.AppRoot == "" {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if exchangeOf(w).CanonicalPath() == "/" {
				redirect(w, r, http.StatusFound, absolute(w, l.AppRoot), "app-root")
				return
			}
			next.ServeHTTP(w, r)
		})
	},
}

// Slash says what becomes of a request whose path lacks the slash at the end of the rule's.
type Slash uint8

const (
	// SlashIgnored: the API's reading of Prefix, where the slash has no meaning.
	SlashIgnored Slash = iota
	// SlashAdded: 301 to the path with it, if the rule's path has it.
	SlashAdded
	// SlashAlways: 301 to the path with it. The rule is there for nothing else.
	SlashAlways
)

var slash = feature{
	name: "trailing slash",
	read: func(r *reader, s *Set) {
		if r.byQuirk(QuirkTrailingSlash) {
			s.Slash = SlashAdded
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		switch {
		case l.Slash == SlashAlways:
			return http.HandlerFunc(l.addSlash)
		case l.Slash == SlashIgnored || l.rule.Match != nil || len(l.rule.Path) < 2 || !strings.HasSuffix(l.rule.Path, "/"):
			return next
		}
		without := strings.Count(l.rule.Path, "/") - 1
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// The rule matches, so the path is the rule's if it has as many elements.
			path := exchangeOf(w).CanonicalPath()
			if !strings.HasSuffix(path, "/") && strings.Count(path, "/") == without {
				l.addSlash(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	},
}

func (l link) addSlash(w http.ResponseWriter, r *http.Request) {
	l.depends(QuirkTrailingSlash, w, r)
	location := absolute(w, exchangeOf(w).CanonicalPath()+"/")
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	redirect(w, r, http.StatusMovedPermanently, location, "trailing-slash")
}
