package policy

import (
	"fmt"
	"slices"
	"strings"
)

// A snippet is nginx configuration in an annotation or in the ConfigMap. It is never executed.
// It is read to find out whether access may depend on it, and what replaces it.

// idiom is a directive that snippets have, and what there is in its place.
type idiom struct {
	directive string
	harmless  bool // no access depends on it: it can be left out
	instead   string
}

// idioms is sorted by directive and never written.
var idioms = [...]idiom{
	{"access_log", true, "--access-log"},
	{"add_header", true, "add-headers of the ConfigMap"},
	{"allow", false, "allowlist-source-range"},
	{"auth_basic", false, "auth-type: basic and auth-secret"},
	{"auth_basic_user_file", false, "auth-secret"},
	{"auth_request", false, "auth-url"},
	{"auth_request_set", false, "auth-response-headers"},
	{"client_body_buffer_size", true, "client-body-buffer-size"},
	{"client_max_body_size", true, "proxy-body-size"},
	{"deny", false, "denylist-source-range"},
	{"error_page", false, "custom-http-errors and default-backend"},
	{"expires", true, "add-headers of the ConfigMap with Cache-Control"},
	{"gzip", true, "use-gzip of the ConfigMap"},
	{"gzip_min_length", true, "gzip-min-length of the ConfigMap"},
	{"gzip_types", true, "gzip-types of the ConfigMap"},
	{"if", false, "paths, hosts and annotations of Ingresses of their own"},
	{"limit_conn", false, "limit-connections"},
	{"limit_except", false, "a rule of the backend for methods"},
	{"limit_rate", true, "limit-rate"},
	{"limit_rate_after", true, "limit-rate-after"},
	{"limit_req", false, "limit-rps or limit-rpm"},
	{"location", false, "a path of the Ingress, or an Ingress of its own"},
	{"more_clear_headers", true, "hide-headers of the ConfigMap"},
	{"more_clear_input_headers", false, "proxy-set-headers of the ConfigMap with an empty value"},
	{"more_set_headers", true, "add-headers of the ConfigMap"},
	{"more_set_input_headers", true, "proxy-set-headers of the ConfigMap"},
	{"proxy_buffer_size", true, "nothing: the limit of response headers is fixed"},
	{"proxy_buffering", true, "nothing: responses are streamed"},
	{"proxy_buffers", true, "nothing: responses are streamed"},
	{"proxy_busy_buffers_size", true, "nothing: responses are streamed"},
	{"proxy_connect_timeout", true, "proxy-connect-timeout"},
	{"proxy_cookie_domain", false, "proxy-cookie-domain"},
	{"proxy_cookie_flags", false, "cookies of the backend"},
	{"proxy_cookie_path", false, "proxy-cookie-path"},
	{"proxy_hide_header", true, "hide-headers of the ConfigMap"},
	{"proxy_http_version", true, "nothing: HTTP/1.1 is used"},
	{"proxy_intercept_errors", false, "custom-http-errors"},
	{"proxy_next_upstream", true, "proxy-next-upstream"},
	{"proxy_next_upstream_timeout", true, "proxy-next-upstream-timeout"},
	{"proxy_next_upstream_tries", true, "proxy-next-upstream-tries"},
	{"proxy_pass", false, "the backend of a path"},
	{"proxy_pass_header", true, "nothing: all fields are passed"},
	{"proxy_read_timeout", true, "proxy-read-timeout"},
	{"proxy_redirect", false, "proxy-redirect-from and proxy-redirect-to"},
	{"proxy_request_buffering", true, "proxy-request-buffering"},
	{"proxy_send_timeout", true, "proxy-send-timeout"},
	{"proxy_set_header", true, "upstream-vhost for Host, proxy-set-headers of the ConfigMap for others"},
	{"proxy_ssl_certificate", false, "proxy-ssl-secret"},
	{"proxy_ssl_name", false, "proxy-ssl-name"},
	{"proxy_ssl_server_name", false, "proxy-ssl-server-name"},
	{"proxy_ssl_trusted_certificate", false, "proxy-ssl-secret"},
	{"proxy_ssl_verify", false, "proxy-ssl-verify"},
	{"real_ip_header", false, "forwarded-for-header of the ConfigMap"},
	{"return", false, "permanent-redirect or temporal-redirect"},
	{"rewrite", false, "rewrite-target, app-root or permanent-redirect"},
	{"satisfy", false, "satisfy"},
	{"set_real_ip_from", false, "proxy-real-ip-cidr of the ConfigMap"},
	{"sub_filter", false, "nothing: responses are not changed"},
}

// identityWords are words of the names of fields that backends know people by.
var identityWords = []string{"user", "username", "group", "groups", "role", "roles", "email", "token", "admin", "identity", "tenant", "org", "orgid", "subject", "dn", "cn", "verify", "cert", "secret", "key"}

// verdict is what a snippet was found to be.
type verdict struct {
	harmful bool     // access may depend on it
	instead []string // "directive: replacement", each once
}

func (v verdict) cosmetic() bool { return !v.harmful }

// hint says what replaces the snippet.
func (v verdict) hint() string {
	if len(v.instead) == 0 {
		return "snippets are never executed"
	}
	return "in its place: " + strings.Join(v.instead, ", ")
}

// judgeSnippet reads a snippet. What is not understood is harmful.
func judgeSnippet(text string) verdict {
	var v verdict
	statements, whole := statementsOf(text)
	v.harmful = !whole
	for _, words := range statements {
		i, known := slices.BinarySearchFunc(idioms[:], words[0], func(i idiom, name string) int { return strings.Compare(i.directive, name) })
		if !known {
			v.harmful = true
			v.add(fmt.Sprintf("%.40s: nothing", words[0]))
			continue
		}
		v.harmful = v.harmful || !idioms[i].harmless || guardsIdentity(words)
		v.add(words[0] + ": " + idioms[i].instead)
	}
	return v
}

// snippet is the key for a value of it that is a snippet.
func (k key) snippet(text string) key {
	v := judgeSnippet(text)
	if k.doc += "; " + v.hint(); v.cosmetic() {
		k.outcome, k.doc = LeftOut, v.hint()
	}
	return k
}

func (v *verdict) add(text string) {
	if len(v.instead) < 8 && !slices.Contains(v.instead, text) {
		v.instead = append(v.instead, text)
	}
}

// guardsIdentity reports whether a directive sets a field of the request that backends may know
// people by, or removes one: without it clients could send it themselves.
func guardsIdentity(words []string) bool {
	if words[0] != "proxy_set_header" && words[0] != "more_set_input_headers" {
		return false
	}
	if len(words) < 2 || words[0] == "proxy_set_header" && (len(words) != 3 || words[2] == "") {
		return true
	}
	for _, w := range words[1:] {
		name, value, colon := strings.Cut(w, ":")
		if colon && strings.TrimSpace(value) == "" || strings.HasPrefix(w, "-") {
			return true
		}
		for part := range strings.FieldsFuncSeq(strings.ToLower(name), isSeparator) {
			if slices.Contains(identityWords, part) || slices.Contains(guardWords, part) {
				return true
			}
		}
		if words[0] == "proxy_set_header" {
			break
		}
	}
	return false
}

// isEnd reports whether c ends a word. Quotes and "}" within one are part of it.
func isEnd(c byte) bool { return strings.IndexByte(" \t\n\r;{", c) >= 0 }

// statementsOf splits nginx configuration into the words of its directives, as nginx does; those
// inside blocks too. False: it does not end as it should, or has a backslash.
func statementsOf(text string) (all [][]string, whole bool) {
	var words []string
	depth := 0
	end := func() {
		if len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '#':
			for i < len(text) && text[i] != '\n' && text[i] != '\r' {
				i++
			}
		case ';':
			end()
			i++
		case '{':
			end()
			depth++
			i++
		case '}':
			if len(words) > 0 {
				return all, false
			}
			depth--
			i++
		case '"', '\'':
			length := strings.IndexByte(text[i+1:], c)
			if length < 0 {
				return append(all, append(words, text[i:])), false
			}
			word := text[i+1 : i+1+length]
			i += length + 2
			words = append(words, word)
			if strings.Contains(word, `\`) || i < len(text) && !isEnd(text[i]) {
				return append(all, words), false
			}
		default:
			from := i
			for i < len(text) && !isEnd(text[i]) {
				if strings.HasPrefix(text[i:], "${") {
					i++ // of a variable: no block begins
				}
				i++
			}
			words = append(words, text[from:i])
			if strings.Contains(text[from:i], `\`) {
				return append(all, words), false
			}
		}
	}
	whole = len(words) == 0 && depth == 0
	end()
	return all, whole
}
