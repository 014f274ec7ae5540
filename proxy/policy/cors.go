package policy

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// CORS answers preflights and says with every response who may read it.
type CORS struct {
	// Origins are those that may read responses, in lower case; "*" is any, "*." in front of
	// a host one label.
	Origins          []string
	Methods, Headers string
	Expose           string // empty for none
	Credentials      bool
	MaxAge           int  // seconds
	AnyOptions       bool // answers OPTIONS requests that are no preflights, too
}

const (
	corsMethodsDefault = "GET, PUT, POST, DELETE, PATCH, OPTIONS"
	corsHeadersDefault = "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization"
)

var (
	corsOn          = Key{Name: "enable-cors", Value: "true or false", Default: "false", Doc: "answers preflights with 204 and adds the CORS fields to every response"}
	corsOrigin      = Key{Name: "cors-allow-origin", Value: "origins, separated by commas; * for any, https://*.host for one label", Default: "*", Doc: "origins that may read responses"}
	corsMethods     = Key{Name: "cors-allow-methods", Value: "methods, separated by commas", Default: corsMethodsDefault, Doc: "Access-Control-Allow-Methods"}
	corsHeaders     = Key{Name: "cors-allow-headers", Value: "names, separated by commas", Default: "a list of common ones", Doc: "Access-Control-Allow-Headers"}
	corsExpose      = Key{Name: "cors-expose-headers", Value: "names, separated by commas", Doc: "Access-Control-Expose-Headers"}
	corsCredentials = Key{Name: "cors-allow-credentials", Value: "true or false", Default: "true", Doc: "Access-Control-Allow-Credentials"}
	corsAge         = Key{Name: "cors-max-age", Value: "seconds", Default: "1728000", Doc: "Access-Control-Max-Age"}
)

var (
	corsWords   = regexp.MustCompile(`^[A-Za-z0-9*_-]+( *, *[A-Za-z0-9*_-]+)* *,?$`)
	corsOrigins = regexp.MustCompile(`^([a-z][a-z0-9+.-]*)://(\*\.)?([a-z0-9_-]+\.)*[a-z0-9_-]+(:[0-9]{1,5})?$`)
)

var cors = feature{
	name: "CORS",
	keys: []Key{corsOn, corsOrigin, corsMethods, corsHeaders, corsExpose, corsCredentials, corsAge},
	read: func(r *reader, s *Set) {
		if !r.boolean(corsOn, false) {
			return
		}
		c := CORS{Methods: corsMethodsDefault, Headers: corsHeadersDefault}
		for _, o := range r.list(corsOrigin) {
			o = strings.ToLower(o)
			if o != "*" && !corsOrigins.MatchString(o) {
				r.bad(corsOrigin, "want origins such as https://app.example or https://*.example, got %.80q", o)
				continue
			}
			c.Origins = append(c.Origins, o)
		}
		if _, ok := r.text(corsOrigin); !ok || slices.Contains(c.Origins, "*") {
			c.Origins = []string{"*"}
		}
		words := func(k Key, to *string) {
			if v, ok := r.text(k); ok {
				if !corsWords.MatchString(v) {
					r.bad(k, "want names, separated by commas, got %.80q", v)
				} else if v != "*" || k.Name != corsHeaders.Name || !r.byQuirk(QuirkCORSHeaders) {
					*to = v
				}
			}
		}
		words(corsMethods, &c.Methods)
		words(corsHeaders, &c.Headers)
		words(corsExpose, &c.Expose)
		credentials, said := r.given(corsCredentials)
		if !said {
			credentials = c.Origins == nil || c.Origins[0] != "*" || r.byQuirk(QuirkCORSCredentials)
		}
		c.Credentials, c.AnyOptions = credentials, r.quirks.Has(QuirkCORSOptions)
		c.MaxAge = r.integer(corsAge, -1, 1<<31-1, 1728000)
		s.CORS = &c
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.CORS == nil {
			return next
		}
		c, fixed := l.CORS, l.CORS.fixedFields()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			origin, ok := c.allows(r.Header["Origin"])
			if !ok {
				next.ServeHTTP(w, r)
				return
			}
			w = changeHead(w, corsFields{fixed, origin})
			for _, q := range [...]Quirk{QuirkCORSCredentials, QuirkCORSHeaders} {
				if l.Quirks.Has(q) {
					l.depends(q, w, r)
				}
			}
			preflight := r.Header.Get("Access-Control-Request-Method") != ""
			if r.Method == http.MethodOptions && (preflight || c.AnyOptions) {
				if !preflight {
					l.depends(QuirkCORSOptions, w, r)
				}
				w.WriteHeader(http.StatusNoContent)
				return
			}
			next.ServeHTTP(w, r)
		})
	},
}

// allows returns what Access-Control-Allow-Origin is for a request.
func (c *CORS) allows(origins []string) (string, bool) {
	if slices.Contains(c.Origins, "*") {
		return "*", true
	}
	if len(origins) != 1 || !httpguts.ValidHeaderFieldValue(origins[0]) {
		return "", false
	}
	origin := strings.ToLower(origins[0])
	for _, o := range c.Origins {
		if origin == o {
			return origins[0], true
		}
		scheme, host, wild := strings.Cut(o, "*.")
		if !wild || !strings.HasPrefix(origin, scheme) {
			continue
		}
		label, rest, _ := strings.Cut(origin[len(scheme):], ".")
		if label != "" && rest == host && !strings.ContainsAny(label, "/:@?#\\ ") {
			return origins[0], true
		}
	}
	return "", false
}

// corsFields sets the CORS fields of a response, in place of the backend's.
type corsFields struct {
	fixed  *[]setField // of all responses of the route
	origin string
}

// fixedFields are those that do not depend on the request. One without a value is removed.
func (c *CORS) fixedFields() *[]setField {
	fields := []setField{
		{"Access-Control-Allow-Methods", []string{c.Methods}},
		{"Access-Control-Allow-Headers", []string{c.Headers}},
		{"Access-Control-Max-Age", []string{strconv.Itoa(c.MaxAge)}},
		{"Access-Control-Allow-Credentials", nil},
	}
	if c.Credentials {
		fields[3].value = []string{"true"}
	}
	if c.Expose != "" {
		fields = append(fields, setField{"Access-Control-Expose-Headers", []string{c.Expose}})
	}
	return &fields
}

func (f corsFields) apply(_ int, h http.Header) {
	h["Access-Control-Allow-Origin"] = []string{f.origin}
	for _, field := range *f.fixed {
		if field.value == nil {
			delete(h, field.name)
		} else {
			h[field.name] = field.value
		}
	}
}
