package policy

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Template is a value with variables in it, in the manner of nginx. Only the variables of a
// closed list exist: everything else is refused by its name when the value is read.
type Template struct{ Parts []Part }

// Part is a piece of text or, if Variable is not empty, what the variable stands for.
type Part struct{ Text, Variable string }

// fixedVariables are those without a part that the user chooses.
var fixedVariables = map[string]bool{
	"scheme": true, "host": true, "http_host": true, "best_http_host": true, "request_uri": true, "escaped_request_uri": true,
	"uri": true, "args": true, "query_string": true, "is_args": true, "request_method": true, "remote_addr": true,
	"server_name": true, "server_port": true, "proxy_add_x_forwarded_for": true, "namespace": true, "ingress_name": true,
	"service_name": true, "service_port": true, "location_path": true, "request_id": true, "pass_access_scheme": true, "remote_user": true,
}

// knownVariable reports whether name is of the closed list.
func knownVariable(name string) bool {
	return fixedVariables[name] || len(name) > 4 && strings.HasPrefix(name, "arg_") ||
		len(name) > 5 && strings.HasPrefix(name, "http_") || len(name) > 7 && strings.HasPrefix(name, "cookie_")
}

// parseTemplate reads a value. also names variables beyond the list.
func parseTemplate(s string, also func(name string) bool) (Template, error) {
	var t Template
	for s != "" {
		text, rest, found := strings.Cut(s, "$")
		if text != "" {
			t.Parts = append(t.Parts, Part{Text: text})
		}
		if !found {
			break
		}
		name, after := variableName(rest)
		if !knownVariable(name) && (also == nil || !also(name)) {
			return Template{}, fmt.Errorf("variable $%s is not supported", name)
		}
		t.Parts = append(t.Parts, Part{Variable: name})
		s = after
	}
	return t, nil
}

func variableName(s string) (name, rest string) {
	braced := strings.HasPrefix(s, "{")
	if braced {
		name, rest, ok := strings.Cut(s[1:], "}")
		if ok {
			return name, rest
		}
		return s, ""
	}
	n := 0
	digits := s != "" && s[0] >= '0' && s[0] <= '9'
	for n < len(s) {
		c := s[n]
		word := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		digit := c >= '0' && c <= '9'
		if digits && (!digit || n > 0) || !word && !digit {
			break // a group has one digit
		}
		n++
	}
	return s[:n], s[n:]
}

// fixed reports the text of a Template without variables.
func (t Template) fixed() (string, bool) {
	switch {
	case len(t.Parts) == 0:
		return "", true
	case len(t.Parts) == 1 && t.Parts[0].Variable == "":
		return t.Parts[0].Text, true
	}
	return "", false
}

// usesGroups reports whether the text depends on what of the path a regular expression matches.
func (t Template) usesGroups() bool {
	return slices.ContainsFunc(t.Parts, func(p Part) bool { return p.Variable != "" && !knownVariable(p.Variable) })
}

// expand returns the text for a request. Values go through escape, unless that is nil; more
// gives those of variables that are not of the list.
func (t Template) expand(w http.ResponseWriter, r *http.Request, rule *Rule, escape func(string) string, more func(string) string) string {
	if s, ok := t.fixed(); ok {
		return s
	}
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Variable == "" {
			b.WriteString(p.Text)
			continue
		}
		value, ok := "", false
		if knownVariable(p.Variable) {
			value, ok = variable(p.Variable, w, r, rule), true
		} else if more != nil {
			value = more(p.Variable)
		}
		if ok && escape != nil && p.Variable != "escaped_request_uri" {
			value = escape(value)
		}
		b.WriteString(value)
	}
	return b.String()
}

// variable is what a variable of the list stands for.
func variable(name string, w http.ResponseWriter, r *http.Request, rule *Rule) string {
	x := exchangeOf(w)
	switch name {
	case "scheme":
		return x.Connection()
	case "pass_access_scheme":
		return x.Scheme()
	case "host":
		return x.CanonicalHost()
	case "http_host", "best_http_host":
		return r.Host
	case "request_uri":
		return requestURI(r)
	case "escaped_request_uri":
		return escapeAll(requestURI(r))
	case "uri":
		return decoded(x.CanonicalPath())
	case "args", "query_string":
		return r.URL.RawQuery
	case "is_args":
		if r.URL.RawQuery != "" {
			return "?"
		}
		return ""
	case "request_method":
		return r.Method
	case "remote_addr", "proxy_add_x_forwarded_for":
		return x.Client().String()
	case "server_name":
		return rule.Host
	case "server_port":
		if x.Connection() == "https" {
			return "443"
		}
		return "80"
	case "namespace":
		return rule.Namespace
	case "ingress_name":
		return rule.Ingress
	case "service_name":
		return rule.Service
	case "service_port":
		return rule.Port
	case "location_path":
		return rule.Path
	case "request_id":
		return x.ID()
	case "remote_user":
		user, _, _ := r.BasicAuth()
		return user
	}
	if arg, ok := strings.CutPrefix(name, "arg_"); ok {
		return rawArgument(r.URL.RawQuery, arg)
	}
	if field, ok := strings.CutPrefix(name, "http_"); ok {
		return strings.Join(r.Header.Values(strings.ReplaceAll(field, "_", "-")), ", ")
	}
	if cookie, err := r.Cookie(strings.TrimPrefix(name, "cookie_")); err == nil {
		return cookie.Value
	}
	return ""
}

// rawArgument is the value of a query parameter as it came.
func rawArgument(query, name string) string {
	for pair := range strings.SplitSeq(query, "&") {
		if k, v, _ := strings.Cut(pair, "="); strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// requestURI is the target as the client sent it, without scheme and host.
func requestURI(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// decoded is a path without its escapes.
func decoded(path string) string {
	if s, err := url.PathUnescape(path); err == nil {
		return s
	}
	return path
}

// escapeAll escapes everything but letters, digits and -._~, as for one query parameter.
func escapeAll(s string) string { return escapeBytes(s, isUnreserved) }

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// escapePath escapes what cannot be in the path of a request target: nginx leaves the rest.
func escapePath(s string) string {
	return escapeBytes(s, func(c byte) bool { return c > ' ' && c < 0x7f && c != '%' && c != '?' && c != '#' })
}

func escapeBytes(s string, plain func(byte) bool) string {
	n := 0
	for i := range len(s) {
		if !plain(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	out := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; plain(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}

const hex = "0123456789ABCDEF"
