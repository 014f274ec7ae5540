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

func (l link) newExternalAuth(next http.Handler) *authHandler {
	h := &authHandler{auth: l.Auth, rule: l.rule, env: l.env, next: next, own: l.BasicAuth != nil, url: l.Auth.URL}
	if h.url.ownHost() {
		h.url, h.hostless = h.url.at(l.rule.Host), l.rule.Host == "" || strings.HasPrefix(l.rule.Host, "*")
	}
	if h.auth.Cache != nil {
		h.keyspace = h.newKeyspace()
	}
	return h
}

type authHandler struct {
	auth *ExternalAuth
	url  Template // that of auth, at the host of the rule if it is to be there
	rule Rule
	env  *Env
	next http.Handler
	// challenge, when not empty, is of a password that would have done instead of the service.
	challenge string
	hostless  bool   // url is at the host of the rule, and there is none
	own       bool   // Authorization was for basic authentication: the backend does not get it
	keyspace  string // of what is kept of the service's answers
}

var errDots = errors.New("a value of the request makes a dot segment of its path, which would ask for something else")

// authTimeout bounds how long a service may think. A service that is slower denies.
const authTimeout = 60 * time.Second

func (h *authHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	if x.Rehearsal() {
		h.next.ServeHTTP(w, r) // only the service knows
		return
	}
	resp, err := h.ruling(w, r)
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
			if SameField(have, name) {
				delete(h, have)
			}
		}
	}
}

// SameField compares names of header fields as a backend may that folds "_" and "." to "-".
func SameField(a, b string) bool {
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
	if h.hostless {
		return nil, errOwnHost
	}
	req, err := http.NewRequestWithContext(ctx, method, h.url.expand(w, r, &h.rule, escapeAll, nil), nil)
	if err != nil {
		return nil, err
	}
	if _, fixed := h.url.fixed(); !fixed && hasDotSegment(req.URL.EscapedPath()) {
		return nil, errDots
	}
	for name, values := range r.Header {
		if !endsHere(name) && !slices.ContainsFunc(h.auth.Send, func(f Field) bool { return SameField(f.Name, name) }) {
			req.Header[name] = values
		}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // none of our own
	}
	if _, ok := req.Header["Accept-Encoding"]; !ok {
		req.Header["Accept-Encoding"] = nil
	}
	proven(req.Header, x)
	hop(req.Header, r.Header)
	target := requestURI(r)
	set := func(name, value string) { req.Header[name] = []string{value} }
	set("X-Original-Url", x.Connection()+"://"+r.Host+target)
	set("X-Original-Method", r.Method)
	set("X-Auth-Request-Redirect", target)
	if len(h.auth.Redirect.Parts) > 0 {
		set("X-Auth-Request-Redirect", h.auth.Redirect.expand(w, r, &h.rule, nil, nil))
	}
	set("X-Sent-From", h.auth.SentFrom)
	set("X-Real-Ip", x.Client().String())
	set("X-Forwarded-For", x.Client().String())
	set("X-Request-Id", x.ID())
	for _, f := range h.auth.Send {
		switch value := oneLine(f.Value.expand(w, r, &h.rule, nil, nil)); {
		case f.Name == "Host":
			if httpguts.ValidHostHeader(value) {
				req.Host = value
			}
		case value == "":
			delete(req.Header, f.Name)
		default:
			set(f.Name, value)
		}
	}
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
// connection and of the body, and, in any spelling, what a proxy says about the client and its
// request.
func endsHere(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
		"Expect", "Host", "Http2-Settings":
		return true
	}
	if IsForwarding(name) || IsClientCertificate(name) {
		return true
	}
	for _, set := range [...]string{
		"X-Original-Url", "X-Original-Method", "X-Original-Uri", "X-Auth-Request-Redirect", "X-Sent-From",
		"X-Forwarded-Uri", "X-Forwarded-Method",
	} {
		if SameField(name, set) {
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
