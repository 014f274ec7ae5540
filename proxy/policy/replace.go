package policy

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
)

// Replacement rewrites a value of the backend's response: a Location, or an attribute of a cookie.
type Replacement struct {
	// From is what the value must begin with, or, for a domain, be. With Regexp it is a regular
	// expression that must match; then all of the value is replaced.
	From   string
	Regexp bool
	// Fold takes no notice of case.
	Fold bool
	// To may have variables, and with Regexp $1 to $9 for what groups matched.
	To Template
}

var (
	redirectFrom = Key{
		Name: "proxy-redirect-from", Global: true, Value: "text, ~ or ~* and a regular expression, or off", Default: "off",
		Doc: "what the Location and Refresh fields of the backend's responses begin with, to be replaced by proxy-redirect-to; default means off",
	}
	redirectTo        = Key{Name: "proxy-redirect-to", Global: true, Value: "text with variables; $1 to $9 for groups", Default: "off", Doc: "what proxy-redirect-from is replaced by"}
	proxyCookieDomain = Key{
		Name: "proxy-cookie-domain", Global: true, Value: "off, or a domain, or ~ and a regular expression, and what replaces it", Default: "off",
		Doc: "replaces the Domain of the backend's cookies",
	}
	proxyCookiePath = Key{
		Name: "proxy-cookie-path", Global: true, Value: "off, or the beginning of a path, or ~ and a regular expression, and what replaces it", Default: "off",
		Doc: "replaces the Path of the backend's cookies",
	}
)

// replacing comes last, so that it sees what the backend sent and nothing else.
var replacing = feature{
	name: "replacements",
	keys: []Key{redirectFrom, redirectTo, proxyCookieDomain, proxyCookiePath},
	read: func(r *reader, s *Set) {
		s.Response.Location = r.locationReplacement()
		s.Response.CookieDomain = r.cookieReplacement(proxyCookieDomain, true)
		s.Response.CookiePath = r.cookieReplacement(proxyCookiePath, false)
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Response == (Response{}) {
			return next
		}
		h := replacer{rule: &l.rule, location: l.Response.Location.ready(), domain: l.Response.CookieDomain.ready(), path: l.Response.CookiePath.ready()}
		if l.Affinity != nil {
			h.ours = l.Affinity.Name + "="
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&replacingWriter{ResponseWriter: w, replacer: &h, r: r}, r)
		})
	},
}

// Response is what is replaced in the backend's responses; nil for nothing.
type Response struct{ Location, CookieDomain, CookiePath *Replacement }

func isGroup(name string) bool { return len(name) == 1 && name[0] >= '1' && name[0] <= '9' }

func (r *reader) locationReplacement() *Replacement {
	from, ok := r.text(redirectFrom)
	to, hasTo := r.text(redirectTo)
	off := func(s string) bool { return s == "off" || s == "default" }
	switch {
	case !ok || off(from):
		if hasTo && !off(to) && r.has(redirectTo) {
			r.judge(redirectTo, NoEffect, errors.New("no proxy-redirect-from is beside it"))
		}
		return nil
	case !hasTo || off(to):
		r.bad(redirectFrom, "want proxy-redirect-to beside it")
		return nil
	}
	p, err := newReplacement(from, to)
	if err != nil {
		r.bad(redirectFrom, "%w", err)
	}
	return p
}

func (r *reader) cookieReplacement(k Key, fold bool) *Replacement {
	v, ok := r.text(k)
	if !ok || v == "off" {
		return nil
	}
	words := strings.Fields(v)
	var p *Replacement
	err := errors.New("want off, or two words")
	if len(words) == 2 {
		p, err = newReplacement(words[0], words[1])
	}
	if err != nil {
		r.bad(k, "%w, got %.80q", err, v)
		if k, ok := r.fall(k); ok {
			return r.cookieReplacement(k, fold)
		}
		return nil
	}
	p.Fold = p.Fold || fold
	return p
}

func newReplacement(from, to string) (*Replacement, error) {
	p := &Replacement{From: from}
	if pattern, ok := strings.CutPrefix(from, "~"); ok {
		p.Regexp = true
		p.From, p.Fold = strings.CutPrefix(pattern, "*")
		p.From = strings.TrimSpace(p.From)
		if _, err := p.compile(); err != nil {
			return nil, err
		}
	} else if strings.Contains(from, "$") {
		return nil, errors.New("want no variables in what is replaced")
	}
	also := isGroup
	if !p.Regexp {
		also = nil
	}
	var err error
	p.To, err = parseTemplate(to, also)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Replacement) compile() (*regexp.Regexp, error) {
	pattern := p.From
	if p.Fold {
		pattern = "(?i)" + pattern
	}
	return regexp.Compile(pattern)
}

// ready returns p ready for use; nil of nil, and of what does not compile.
func (p *Replacement) ready() *replacement {
	if p == nil {
		return nil
	}
	ready := &replacement{Replacement: *p}
	if p.Regexp {
		var err error
		if ready.pattern, err = p.compile(); err != nil {
			return nil // which was reported
		}
	}
	return ready
}

type replacement struct {
	Replacement
	pattern *regexp.Regexp
}

// replacer is what the rules of a Set do to responses; nil parts do nothing.
type replacer struct {
	rule                   *Rule
	location, domain, path *replacement
	ours                   string // what the cookie of affinity begins with, which is not the backend's; empty for none
}

// apply returns what value comes to, and false if it stays as it is. whole wants all of it to be
// From and not only its beginning.
func (p *replacement) apply(value string, whole bool, expand func(groups func(string) string) string) (string, bool) {
	if p.pattern != nil {
		groups := p.pattern.FindStringSubmatch(value)
		if groups == nil {
			return "", false
		}
		return expand(func(name string) string {
			if i := int(name[0] - '0'); i < len(groups) {
				return groups[i]
			}
			return ""
		}), true
	}
	n := len(p.From)
	if len(value) < n || whole && len(value) != n || value[:n] != p.From && !(p.Fold && strings.EqualFold(value[:n], p.From)) {
		return "", false
	}
	return expand(nil) + value[n:], true
}

// replacingWriter changes the fields of the final response.
type replacingWriter struct {
	http.ResponseWriter
	*replacer
	r     *http.Request
	wrote bool
}

// Unwrap lets http.ResponseController reach the connection.
func (w *replacingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *replacingWriter) WriteHeader(code int) {
	if code >= 200 && !w.wrote {
		w.wrote = true
		w.change(w.Header())
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *replacingWriter) Write(b []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// replace returns what p makes of value; value itself where that would be no field.
func (w *replacingWriter) replace(p *replacement, value string, whole bool) string {
	changed, ok := p.apply(value, whole, func(groups func(string) string) string {
		return p.To.expand(w, w.r, w.rule, nil, groups)
	})
	if !ok || oneLine(changed) == "" {
		return value
	}
	return changed
}

func (w *replacingWriter) change(h http.Header) {
	if w.location != nil {
		if values := h["Location"]; len(values) == 1 {
			h["Location"] = []string{w.replace(w.location, values[0], false)}
		}
		if values := h["Refresh"]; len(values) == 1 {
			before, url, ok := cutFold(values[0], "url=")
			if ok {
				h["Refresh"] = []string{before + w.replace(w.location, url, false)}
			}
		}
	}
	if w.domain == nil && w.path == nil || len(h["Set-Cookie"]) == 0 {
		return
	}
	cookies := make([]string, len(h["Set-Cookie"]))
	for i, cookie := range h["Set-Cookie"] {
		if cookies[i] = cookie; w.ours == "" || !strings.HasPrefix(cookie, w.ours) {
			cookies[i] = w.cookie(cookie)
		}
	}
	h["Set-Cookie"] = cookies
}

// cutFold cuts after the first sep, in any case.
func cutFold(s, sep string) (before, after string, ok bool) {
	i := strings.Index(strings.ToLower(s), sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i+len(sep)], s[i+len(sep):], true
}

// cookie changes the attributes of a Set-Cookie; the rest of it stays as it is.
func (w *replacingWriter) cookie(cookie string) string {
	parts := strings.Split(cookie, ";")
	for i, part := range parts[1:] {
		name, value, ok := strings.Cut(part, "=")
		value = strings.TrimSpace(value)
		switch attribute := strings.ToLower(strings.TrimSpace(name)); {
		case !ok:
		case attribute == "domain" && w.domain != nil:
			plain := strings.TrimPrefix(value, ".")
			if changed := w.replace(w.domain, plain, true); changed != plain {
				parts[i+1] = name + "=" + changed
			}
		case attribute == "path" && w.path != nil:
			if changed := w.replace(w.path, value, false); changed != value {
				parts[i+1] = name + "=" + changed
			}
		}
	}
	return strings.Join(parts, ";")
}
