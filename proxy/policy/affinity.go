package policy

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// Affinity binds the requests of a client to one endpoint by a cookie. Its value says nothing of
// the endpoint: it is what the endpoints are ranked by, and all replicas rank them alike. An
// endpoint that is added takes its share of the clients from the others; one that goes leaves
// only its own to them.
type Affinity struct {
	Name   string
	Path   string // empty: that of the rule
	Domain string // empty: the host alone
	// Expires and MaxAge are in seconds, as text; empty for the end of the browser's session.
	Expires, MaxAge string
	SameSite        string // None, Lax, Strict, or empty
	Secure          bool   // also over http
	// CanaryByChance: the weight of a canary is drawn for each request, and not by the cookie.
	CanaryByChance bool
}

const defaultCookie = "INGRESSCOOKIE"

var (
	affinityKey = Key{
		Name: "affinity", Value: "cookie",
		Doc: "binds the requests of a client to one endpoint by a cookie; while that endpoint fails the next in rank serves them",
	}
	affinityMode   = Key{Name: "affinity-mode", Value: "balanced", Default: "balanced", Doc: "an endpoint that is added takes its share of the clients; persistent, where it would not, has no effect"}
	affinityCanary = Key{Name: "affinity-canary-behavior", Value: "sticky or legacy", Default: "sticky", Doc: "whether the cookie keeps a client on its side of canary-weight"}
	cookieName     = Key{Name: "session-cookie-name", Value: "name", Default: defaultCookie, Doc: "name of the cookie"}
	cookiePath     = Key{Name: "session-cookie-path", Value: "path", Doc: "Path of the cookie; without it, that of the rule"}
	cookieDomain   = Key{Name: "session-cookie-domain", Value: "domain", Doc: "Domain of the cookie"}
	cookieExpires  = Key{Name: "session-cookie-expires", Value: "seconds", Doc: "Expires of the cookie, from now"}
	cookieMaxAge   = Key{Name: "session-cookie-max-age", Value: "seconds", Doc: "Max-Age of the cookie"}
	cookieSite     = Key{Name: "session-cookie-samesite", Value: "None, Lax or Strict", Doc: "SameSite of the cookie"}
	cookieSecure   = Key{Name: "session-cookie-secure", Value: "true or false", Default: "false", Doc: "Secure over http as well; over https the cookie always is"}
	cookieFailure  = Key{Name: "session-cookie-change-on-failure", Value: "true or false", Default: "false", Doc: "no effect: while an endpoint fails the next in rank serves its clients, with the same cookie"}
)

// sessionKeys mean nothing without affinity.
var sessionKeys = []Key{
	affinityMode, affinityCanary, cookieName, cookiePath, cookieDomain, cookieExpires, cookieMaxAge, cookieSite, cookieSecure, cookieFailure,
}

var affinity = feature{
	name: "affinity",
	keys: append([]Key{affinityKey}, sessionKeys...),
	read: readAffinity,
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Affinity == nil {
			return next
		}
		path := l.Affinity.Path
		if path == "" {
			if path = l.rule.Path; path == "" {
				path = "/"
			}
		}
		return &affinityHandler{l.Affinity, path, next}
	},
}

var errNoAffinity = errors.New("affinity is not cookie")

func readAffinity(r *reader, s *Set) {
	kind, ok := r.text(affinityKey)
	if ok && kind != "cookie" {
		r.bad(affinityKey, "want cookie, got %.80q", kind)
	}
	if kind != "cookie" {
		for _, k := range sessionKeys {
			if r.has(k) {
				r.judge(k, NoEffect, errNoAffinity)
			}
		}
		return
	}
	a := &Affinity{Name: defaultCookie}
	s.Affinity = a
	if r.oneOf(affinityMode, "balanced", "balanced", "persistent") == "persistent" {
		r.judge(affinityMode, NoEffect, errors.New("an endpoint that is added takes its share of the clients"))
	}
	a.CanaryByChance = r.oneOf(affinityCanary, "sticky", "sticky", "legacy") == "legacy"
	if v, ok := r.text(cookieName); ok {
		if httpguts.ValidHeaderFieldName(v) { // the same characters
			a.Name = v
		} else {
			r.bad(cookieName, "want the name of a cookie, got %.80q", v)
		}
	}
	a.Path = r.attribute(cookiePath)
	a.Domain = r.attribute(cookieDomain)
	a.Expires = r.age(cookieExpires)
	a.MaxAge = r.age(cookieMaxAge)
	switch v, _ := r.text(cookieSite); v {
	case "", "None", "Lax", "Strict":
		a.SameSite = v
	default:
		r.bad(cookieSite, "want None, Lax or Strict, got %.80q", v)
	}
	a.Secure = r.boolean(cookieSecure, false)
	if r.boolean(cookieFailure, false) {
		r.judge(cookieFailure, NoEffect, errors.New("the cookie says nothing of the endpoint"))
	}
}

// attribute reads an attribute of a cookie, which ends at a semicolon.
func (r *reader) attribute(k Key) string {
	v, _ := r.text(k)
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c >= 0x7f || c == ';' {
			r.bad(k, "want text without spaces and semicolons, got %.80q", v)
			return ""
		}
	}
	return v
}

// age reads a whole number, in text.
func (r *reader) age(k Key) string {
	v, ok := r.text(k)
	if !ok {
		return ""
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		r.bad(k, "want a number of seconds, got %.80q", v)
		return ""
	}
	return strconv.FormatInt(n, 10)
}

type affinityHandler struct {
	affinity *Affinity
	path     string
	next     http.Handler
}

func (h *affinityHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	value := cookieOf(r.Header, h.affinity.Name, false)
	if value == "" && !x.Rehearsal() {
		value = newSession()
		x.SetCookie(h.cookie(value, x.Connection() == "https" || x.Scheme() == "https"))
	}
	if value != "" {
		x.Bind(upstream.HashOf(value))
	}
	h.next.ServeHTTP(w, r)
}

// newSession returns a value that no other client has.
func newSession() string {
	now := time.Now()
	const digits = "0123456789abcdef"
	b := strconv.AppendInt(make([]byte, 0, 64), now.Unix(), 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(now.Nanosecond()), 10)
	b = append(b, '|')
	for range 2 {
		n := rand.Uint64()
		for range 16 {
			b = append(b, digits[n&15])
			n >>= 4
		}
	}
	return string(b)
}

func (h *affinityHandler) cookie(value string, secure bool) string {
	a := h.affinity
	var b strings.Builder
	b.WriteString(a.Name + "=" + value)
	if a.Expires != "" {
		n, _ := strconv.Atoi(a.Expires) // readAffinity has seen to it
		b.WriteString("; Expires=" + time.Now().Add(time.Duration(n)*time.Second).UTC().Format("Mon, 02-Jan-06 15:04:05 GMT"))
	}
	if a.MaxAge != "" {
		b.WriteString("; Max-Age=" + a.MaxAge)
	}
	if a.Domain != "" {
		b.WriteString("; Domain=" + a.Domain)
	}
	b.WriteString("; Path=" + h.path)
	if secure || a.Secure {
		b.WriteString("; Secure")
	}
	b.WriteString("; HttpOnly")
	if a.SameSite != "" {
		b.WriteString("; SameSite=" + a.SameSite)
	}
	return b.String()
}

// cookieOf returns the value of the first cookie of a name; "" without one. fold says that case
// has no meaning in the name.
func cookieOf(h http.Header, name string, fold bool) string {
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			got, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if ok && (got == name || fold && strings.EqualFold(got, name)) {
				return value
			}
		}
	}
	return ""
}
