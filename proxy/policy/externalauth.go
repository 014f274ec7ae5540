package policy

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// ExternalAuth asks a service about every request: 2xx lets it pass, 401 and 403 deny it,
// everything else is an error of the service and denies it with 500.
type ExternalAuth struct {
	URL         Template
	Method      string // empty: GET
	SignIn      Template
	SignInParam string
	// Response are the fields of the service's answer that the backend gets, in canonical
	// form. What the client sends under these names never reaches the backend.
	Response  []string
	Redirect  Template // value of X-Auth-Request-Redirect; empty: the request's target
	AlwaysSet bool     // Set-Cookie of the service on errors, too
	Send      []Field  // set in the request to the service; an empty value removes the field
	Cache     *AuthCache
	// ExemptRoutes are prefixes of the paths of rules that are open.
	ExemptRoutes []string
	SentFrom     string // value of X-Sent-From
}

// authKeys are the keys that an ExternalAuth is made of: those of an Ingress, or those of the
// ConfigMap for all that have none.
type authKeys struct{ url, method, signIn, signParam, fields, target, cookie, send, cacheKey, cacheTime Key }

// all returns the keys in the order of their documentation, without those that there are not.
func (k *authKeys) all() []Key {
	all := []Key{k.url, k.method, k.signIn, k.signParam, k.fields, k.target, k.cookie, k.send, k.cacheKey, k.cacheTime}
	return slices.DeleteFunc(all, func(k Key) bool { return k.Name == "" })
}

// authKeysOf makes the keys with a prefix to their names.
func authKeysOf(prefix string, globalOnly bool) authKeys {
	key := func(name, value, or, doc string) Key {
		return Key{Name: prefix + name, Class: Guard, GlobalOnly: globalOnly, Value: value, Default: or, Doc: doc}
	}
	address := prefix + "auth-url"
	k := authKeys{
		url:       key("auth-url", "URL with variables", "", "asks this service about every request: 2xx passes, 401 and 403 deny, the rest is a 500"),
		method:    key("auth-method", "HTTP method", "GET", "method of the request to "+address),
		signIn:    key("auth-signin", "URL with variables", "", "where a client that "+address+" answered 401 about is sent"),
		signParam: key("auth-signin-redirect-param", "name", "rd", "parameter of "+prefix+"auth-signin that has the URL that was asked for"),
		fields: key("auth-response-headers", "names, separated by commas", "",
			"fields of the answer of "+address+" that the backend gets; what a client sends under these names is removed"),
		target: key("auth-request-redirect", "text with variables", "", "value of X-Auth-Request-Redirect for "+address),
		cookie: key("auth-always-set-cookie", "true or false", "false", "passes Set-Cookie of "+address+" on with errors, too"),
		cacheKey: key("auth-cache-key", "text with variables", "", "answers of "+address+" hold for requests for which this comes to the same, of one rule and with the same Authorization; "+
			"where all variables are empty nothing is kept"),
		cacheTime: key("auth-cache-duration", "statuses and a time such as 200 202 5m, separated by commas", "200 202 401 5m",
			"how long answers with a status hold; Cache-Control, Expires and Vary of the answer count, and one with Set-Cookie is not kept"),
	}
	if globalOnly {
		k.url.Doc = "asks this service about every request, as auth-url, for rules without that; an Ingress can say enable-global-auth: false"
	} else {
		k.send = key("auth-proxy-set-headers", "name of a ConfigMap of the namespace", "", "its entries are set as fields of the request to auth-url, with variables; an empty value removes the field")
	}
	return k
}

var (
	ownAuthKeys, globalAuthKeys = authKeysOf("", false), authKeysOf("global-", true)

	authURL    = ownAuthKeys.url
	globalAuth = Key{Name: "enable-global-auth", Class: Guard, Value: "true or false", Default: "true", Doc: "asks global-auth-url of the ConfigMap, where there is no auth-url"}
	noAuth     = Key{Name: "no-auth-locations", GlobalOnly: true, Class: Guard, Value: "paths, separated by commas", Default: "/.well-known/acme-challenge", Doc: "prefixes of rule paths for which global-auth-url is not asked; what a client sends under the names of global-auth-response-headers is removed there too, but for Authorization and Cookie"}

	authIdle  = Key{Name: "auth-keepalive", Class: Tuning, Value: "number", Doc: "no effect: connections to auth-url are always kept"}
	authIdle2 = Key{Name: "auth-keepalive-requests", Class: Tuning, Value: "number", Doc: "no effect: see auth-keepalive"}
	authIdle3 = Key{Name: "auth-keepalive-timeout", Class: Tuning, Value: "seconds", Doc: "no effect: see auth-keepalive"}
	authIdle4 = Key{Name: "auth-keepalive-share-vars", Class: Tuning, Value: "true or false", Doc: "no effect: X-Request-ID is always shared"}
)

var externalAuth = feature{
	name:  "external authentication",
	keys:  slices.Concat(ownAuthKeys.all(), []Key{globalAuth, authIdle, authIdle2, authIdle3, authIdle4}, globalAuthKeys.all(), []Key{noAuth}),
	read:  readExternalAuth,
	guard: func(s *Set) any { return s.demand(s.Auth) },
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Auth == nil || l.oneIsEnough() {
			return next
		}
		return l.newExternalAuth(next)
	},
}

// exempts reports whether a rule with the given path is open.
func (a *ExternalAuth) exempts(path string) bool {
	return a != nil && slices.ContainsFunc(a.ExemptRoutes, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

var (
	errKept   = errors.New("connections to the auth service are always kept")
	errNoURL  = errors.New("no auth-url is beside it")
	errNoKey  = errors.New("no key is beside it, so nothing is kept")
	errOneKey = errors.New("want a variable in it: what holds for one client would hold for all")
)

func readExternalAuth(r *reader, s *Set) {
	for _, k := range []Key{authIdle, authIdle2, authIdle3, authIdle4} {
		if r.has(k) {
			r.judge(k, NoEffect, errKept)
		}
	}
	asked := r.boolean(globalAuth, true)
	if _, ok := r.text(authURL); ok {
		s.Auth = r.externalAuth(&ownAuthKeys)
		if _, ok := r.text(globalAuthKeys.url); ok {
			s.Unvouched = slices.DeleteFunc(unvouched(r.list(globalAuthKeys.fields)), func(name string) bool { return slices.Contains(s.Auth.Response, name) })
		}
		return
	}
	if r.has(authURL) && !r.byQuirk(QuirkAuthKeysAlone) {
		r.bad(authURL, "want a URL, got none")
	}
	for _, k := range ownAuthKeys.all()[1:] {
		if r.has(k) {
			if !r.byQuirk(QuirkAuthKeysAlone) {
				r.bad(k, "want %s beside it", authURL.Name)
			} else {
				r.judge(k, NoEffect, errNoURL)
			}
		}
	}
	if _, ok := r.text(globalAuthKeys.url); ok && asked {
		s.Auth = r.externalAuth(&globalAuthKeys)
		s.Auth.ExemptRoutes = r.openRoutes()
	} else if ok {
		s.Unvouched = unvouched(r.list(globalAuthKeys.fields))
	}
}

// openRoutes reads the prefixes of rule paths for which nobody is asked.
func (r *reader) openRoutes() []string {
	if _, ok := r.text(noAuth); !ok {
		return []string{noAuth.Default}
	}
	routes := r.list(noAuth)
	for _, prefix := range routes {
		if !strings.HasPrefix(prefix, "/") {
			r.bad(noAuth, "want paths that begin with /, got %.80q", prefix)
		}
	}
	return routes
}

// externalAuth reads the values of keys, of which that of the URL is there.
func (r *reader) externalAuth(k *authKeys) *ExternalAuth {
	a := ExternalAuth{SignInParam: "rd", SentFrom: "fairlead"}
	if r.quirks.Has(QuirkSentFrom) {
		a.SentFrom = "nginx-ingress-controller"
	}
	address, _ := r.text(k.url)
	a.URL = r.urlTemplate(k.url, address)
	if m, ok := r.text(k.method); ok {
		if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, m) {
			r.bad(k.method, "want a method such as GET, HEAD or POST, got %.80q", m)
		}
		a.Method = m
	}
	if v, ok := r.text(k.signIn); ok {
		a.SignIn = r.urlTemplate(k.signIn, v)
	}
	if v, ok := r.text(k.signParam); ok {
		if v != escapeAll(v) {
			r.bad(k.signParam, "want a name of letters, digits and -._~, got %.80q", v)
		}
		a.SignInParam = v
	}
	for _, name := range r.list(k.fields) {
		if !httpguts.ValidHeaderFieldName(name) || SameField(name, HopsHeader) {
			r.bad(k.fields, "want names of header fields, got %.80q", name)
			continue
		}
		a.Response = append(a.Response, http.CanonicalHeaderKey(name))
	}
	if v, ok := r.text(k.target); ok {
		t, err := parseTemplate(v, nil)
		if err != nil {
			r.bad(k.target, "%w", err)
		}
		a.Redirect = t
	}
	a.AlwaysSet = r.boolean(k.cookie, false)
	if k.send.Name != "" {
		a.Send = r.fieldsOf(k.send)
	}
	a.Cache = r.authCache(k)
	return &a
}
