package policy

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

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
		r.bad(k, "want a URL such as http://service.namespace.svc/path, got %.80q", v)
	case strings.HasSuffix(k.Name, authURL.Name) && strings.Contains(u.Host, "variable") && !t.ownHost():
		r.bad(k, "want a URL whose host has no variables, got %.80q", v)
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

// at returns t, whose host is $host, with a host in place of that: not the host that a client asks for,
// which may be an alias that somebody else has given the host of the rule.
func (t Template) at(host string) Template {
	parts := slices.Clone(t.Parts)
	for i, p := range parts {
		if p.Variable == "" && strings.HasSuffix(p.Text, "://") {
			parts[i+1] = Part{Text: host}
			break
		}
	}
	return Template{parts}
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
