package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

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
}

var (
	authURL = Key{
		Name: "auth-url", Class: Guard, Value: "URL with variables",
		Doc: "asks this service about every request: 2xx passes, 401 and 403 deny, the rest is a 500",
	}
	authMethod = Key{Name: "auth-method", Class: Guard, Value: "HTTP method", Default: "GET", Doc: "method of the request to auth-url"}
	authSignIn = Key{Name: "auth-signin", Class: Guard, Value: "URL with variables", Doc: "where a client that auth-url answered 401 about is sent"}
	signParam  = Key{Name: "auth-signin-redirect-param", Class: Guard, Value: "name", Default: "rd", Doc: "parameter of auth-signin that has the URL that was asked for"}
	authFields = Key{
		Name: "auth-response-headers", Class: Guard, Value: "names, separated by commas",
		Doc: "fields of the answer of auth-url that the backend gets; what a client sends under these names is removed",
	}
	authTarget = Key{Name: "auth-request-redirect", Class: Guard, Value: "text with variables", Doc: "value of X-Auth-Request-Redirect for auth-url"}
	authCookie = Key{Name: "auth-always-set-cookie", Class: Guard, Value: "true or false", Default: "false", Doc: "passes Set-Cookie of auth-url on with errors, too"}
	authIdle   = Key{Name: "auth-keepalive", Class: Tuning, Value: "number", Doc: "no effect: connections to auth-url are always kept"}
	authIdle2  = Key{Name: "auth-keepalive-requests", Class: Tuning, Value: "number", Doc: "no effect: see auth-keepalive"}
	authIdle3  = Key{Name: "auth-keepalive-timeout", Class: Tuning, Value: "seconds", Doc: "no effect: see auth-keepalive"}
	authIdle4  = Key{Name: "auth-keepalive-share-vars", Class: Tuning, Value: "true or false", Doc: "no effect: X-Request-ID is always shared"}
)

var externalAuth = feature{
	name:  "external authentication",
	keys:  []Key{authURL, authMethod, authSignIn, signParam, authFields, authTarget, authCookie, authIdle, authIdle2, authIdle3, authIdle4},
	read:  readExternalAuth,
	guard: func(s *Set) any { return s.demand(s.Auth) },
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Auth == nil || l.oneIsEnough() {
			return next
		}
		return l.newExternalAuth(next)
	},
}

func (l link) newExternalAuth(next http.Handler) *authHandler {
	return &authHandler{auth: l.Auth, rule: l.rule, profile: l.Profile, env: l.env, next: next, own: l.BasicAuth != nil}
}

var errKept = errors.New("connections to the auth service are always kept")

func readExternalAuth(r *reader, s *Set) {
	for _, k := range []Key{authIdle, authIdle2, authIdle3, authIdle4} {
		if r.has(k) {
			r.judge(k, NoEffect, errKept)
		}
	}
	address, ok := r.text(authURL)
	if !ok {
		if r.has(authURL) && r.Profile == Spec {
			r.bad(authURL, "want a URL, got none")
		}
		for _, k := range []Key{authMethod, authSignIn, signParam, authFields, authTarget, authCookie} {
			if r.has(k) {
				if r.Profile == Spec {
					r.bad(k, "want %s beside it", authURL.Name)
				} else {
					r.judge(k, NoEffect, errors.New("no auth-url is beside it"))
				}
			}
		}
		return
	}
	a := ExternalAuth{SignInParam: "rd"}
	a.URL = r.urlTemplate(authURL, address)
	if m, ok := r.text(authMethod); ok {
		if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}, m) || m == "CONNECT" || m == "TRACE" {
			r.bad(authMethod, "want a method such as GET, HEAD or POST, got %q", m)
		}
		a.Method = m
	}
	if v, ok := r.text(authSignIn); ok {
		a.SignIn = r.urlTemplate(authSignIn, v)
	}
	if v, ok := r.text(signParam); ok {
		if v != escapeAll(v) {
			r.bad(signParam, "want a name of letters, digits and -._~, got %q", v)
		}
		a.SignInParam = v
	}
	for _, name := range r.list(authFields) {
		if !httpguts.ValidHeaderFieldName(name) {
			r.bad(authFields, "want names of header fields, got %q", name)
			continue
		}
		a.Response = append(a.Response, http.CanonicalHeaderKey(name))
	}
	if v, ok := r.text(authTarget); ok {
		t, err := parseTemplate(v, nil)
		if err != nil {
			r.bad(authTarget, "%w", err)
		}
		a.Redirect = t
	}
	a.AlwaysSet = r.boolean(authCookie, false)
	s.Auth = &a
}

// urlTemplate reads an absolute URL. The host of auth-url may not have variables, as a request
// must not choose who decides about it, but for $host alone: that is the rule's own host, see ask.
func (r *reader) urlTemplate(k Key, v string) Template {
	t, err := parseTemplate(v, nil)
	if err != nil {
		r.bad(k, "%w", err)
		return t
	}
	sample := t.sample()
	u, err := url.Parse(sample)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Contains(u.Host, "..") || strings.ContainsAny(v, " \t\r\n"):
		r.bad(k, "want a URL such as http://service.namespace.svc/path, got %q", v)
	case k.Name == authURL.Name && strings.Contains(u.Host, "variable") && !t.ownHost():
		r.bad(k, "want a URL whose host has no variables, got %q", v)
	}
	return t
}

var errOwnHost = errors.New("its host is $host, and the rule has no host of its own, so that clients would choose who decides")

// ownHost reports whether the host of a URL is $host and nothing else.
func (t Template) ownHost() bool {
	for i, p := range t.Parts {
		if p.Variable == "" && strings.HasSuffix(p.Text, "://") {
			next, after := i+1, i+2
			return next < len(t.Parts) && t.Parts[next].Variable == "host" &&
				(after == len(t.Parts) || strings.HasPrefix(t.Parts[after].Text, "/"))
		}
	}
	return false
}

// sample is a Template with a word in place of each variable.
func (t Template) sample() string {
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Variable != "" {
			b.WriteString("variable")
			if p.Variable == "scheme" || p.Variable == "pass_access_scheme" {
				s := b.String()
				b.Reset()
				b.WriteString(strings.TrimSuffix(s, "variable") + "http")
			}
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

type authHandler struct {
	auth    *ExternalAuth
	rule    Rule
	profile Profile
	env     *Env
	next    http.Handler
	// challenge, when not empty, is of a password that would have done instead of the service.
	challenge string
	own       bool // Authorization was for basic authentication: the backend does not get it
}

// authTimeout bounds how long a service may think. A service that is slower denies.
const authTimeout = 60 * time.Second

func (h *authHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	if x.Rehearsal() {
		h.next.ServeHTTP(w, r) // only the service knows
		return
	}
	resp, err := h.ask(w, r)
	if err != nil {
		x.Answer(w, r, http.StatusInternalServerError, "auth-failed", fmt.Errorf("auth-url: %w", err))
		return
	}
	cookies := resp.Header["Set-Cookie"]
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
	case resp.StatusCode == http.StatusUnauthorized:
		if c := resp.Header["Www-Authenticate"]; len(c) > 0 {
			w.Header()["Www-Authenticate"] = c
		}
		if len(h.auth.SignIn.Parts) > 0 {
			if len(cookies) > 0 {
				w.Header()["Set-Cookie"] = cookies
			}
			redirect(w, r, http.StatusFound, h.signIn(w, r), "sign-in")
			return
		}
		fallthrough
	case resp.StatusCode == http.StatusForbidden:
		if h.auth.AlwaysSet && len(cookies) > 0 {
			w.Header()["Set-Cookie"] = cookies
		}
		status := resp.StatusCode
		if h.challenge != "" {
			status = http.StatusUnauthorized
			if len(w.Header()["Www-Authenticate"]) == 0 {
				w.Header()["Www-Authenticate"] = []string{h.challenge}
			}
		}
		answer(w, r, status, "auth-denied")
		return
	default:
		x.Answer(w, r, http.StatusInternalServerError, "auth-failed", fmt.Errorf("auth-url answered %s, want 2xx, 401 or 403", resp.Status))
		return
	}
	if h.own {
		delete(r.Header, "Authorization")
	}
	h.hand(r, resp)
	if len(cookies) > 0 {
		w = changeHead(w, addCookies{cookies, h.auth.AlwaysSet})
	}
	h.next.ServeHTTP(w, r)
}

// hand gives the backend the fields of the answer that it shall get, and those alone.
func (h *authHandler) hand(r *http.Request, resp *http.Response) {
	h.auth.Strip(r.Header)
	for _, name := range h.auth.Response {
		if values := resp.Header[name]; len(values) > 0 {
			r.Header[name] = []string{strings.Join(values, ", ")}
		}
	}
}

// Strip removes from the header of a request what stands there under the names of the service's
// fields.
func (a *ExternalAuth) Strip(h http.Header) {
	for _, name := range a.Response {
		for have := range h {
			if sameField(have, name) {
				delete(h, have)
			}
		}
	}
}

// sameField compares names as a backend may that folds "_" and "." to "-".
func sameField(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	fold := func(c byte) byte {
		switch {
		case c == '_' || c == '.':
			return '-'
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return c
	}
	for i := range len(a) {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

// ask sends the client's header without its body to the service. The body of the answer was
// read.
func (h *authHandler) ask(w http.ResponseWriter, r *http.Request) (*http.Response, error) {
	x := exchangeOf(w)
	ctx, cancel := context.WithTimeout(r.Context(), authTimeout)
	defer cancel()
	method := h.auth.Method
	if method == "" {
		method = http.MethodGet
	}
	if h.auth.URL.ownHost() && (h.rule.Host == "" || strings.HasPrefix(h.rule.Host, "*")) {
		return nil, errOwnHost
	}
	req, err := http.NewRequestWithContext(ctx, method, h.auth.URL.expand(w, r, &h.rule, escapeAll, nil), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		if !endsHere(name) {
			req.Header[name] = values
		}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // none of our own
	}
	if _, ok := req.Header["Accept-Encoding"]; !ok {
		req.Header["Accept-Encoding"] = nil
	}
	target := requestURI(r)
	set := func(name, value string) { req.Header[name] = []string{value} }
	set("X-Original-Url", x.Connection()+"://"+r.Host+target)
	set("X-Original-Method", r.Method)
	set("X-Auth-Request-Redirect", target)
	if len(h.auth.Redirect.Parts) > 0 {
		set("X-Auth-Request-Redirect", h.auth.Redirect.expand(w, r, &h.rule, nil, nil))
	}
	set("X-Sent-From", "fairlead")
	if h.profile == Nginx {
		set("X-Sent-From", "nginx-ingress-controller")
	}
	set("X-Real-Ip", x.Client().String())
	set("X-Forwarded-For", x.Client().String())
	set("X-Request-Id", x.ID())
	resp, err := h.env.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	// What is left of a long body costs the connection, not the time of the request.
	_, err = io.CopyN(io.Discard, resp.Body, 64<<10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return resp, nil
}

// endsHere says which fields of a client are not for the auth service: those of this
// connection and of the body, and what only a trusted proxy may say about the client.
func endsHere(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
		"Expect", "Host", "Forwarded", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server",
		"X-Forwarded-Scheme", "X-Scheme", "X-Original-Uri", "Http2-Settings":
		return true
	}
	for _, set := range [...]string{"X-Original-Url", "X-Original-Method", "X-Auth-Request-Redirect", "X-Sent-From", "X-Real-Ip", "X-Forwarded-For"} {
		if sameField(name, set) {
			return true
		}
	}
	return false
}

// signIn is where a client without a session is sent.
func (h *authHandler) signIn(w http.ResponseWriter, r *http.Request) string {
	location := h.auth.SignIn.expand(w, r, &h.rule, escapeAll, nil)
	u, err := url.Parse(location)
	if err == nil && u.Query().Has(h.auth.SignInParam) {
		return location
	}
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	return location + separator + h.auth.SignInParam + "=" + exchangeOf(w).Scheme() + "://" + r.Host + escapeAll(requestURI(r))
}

// addCookies adds the cookies of the auth service to a response.
type addCookies struct {
	cookies []string
	always  bool
}

func (c addCookies) apply(code int, h http.Header) {
	switch code {
	case 200, 201, 204, 206, 301, 302, 303, 304, 307, 308:
	default:
		if !c.always {
			return
		}
	}
	h["Set-Cookie"] = append(slices.Clip(h["Set-Cookie"]), c.cookies...)
}
