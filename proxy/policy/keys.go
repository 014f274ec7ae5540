package policy

import (
	"slices"
	"strings"
)

// key is what we know of one annotation key. A feature that is built takes its keys out of
// this table.
type key struct {
	name    string
	outcome Outcome // of any value that is not off
	// off are the values that ask for nothing, separated by spaces and compared without
	// case. '' is the empty value, # a snippet without a directive, 0.0.0.0/0,::/0 any list
	// with both; false and true are any spelling of the boolean.
	off string
	doc string
}

// keys is sorted by name and never written. The names are those of ingress-nginx v1.15.1,
// with the aliases it still reads and the keys of older versions that manifests still have.
var keys = [...]key{
	{"add-base-url", Unknown, "false", "it was removed; write the base into the pages"},
	{"auth-snippet", Refused, "#", "raw nginx configuration"},
	{"client-max-body-size", Unknown, "", "there was never such a key; ingress-nginx has proxy-body-size"},
	{"configuration-snippet", Refused, "#", "raw nginx configuration, which may deny access"},
	{"enable-influxdb", Unknown, "false", "it was removed"},
	{"enable-modsecurity", Refused, "false", "web application firewall"},
	{"enable-opentelemetry", LeftOut, "false", "tracing"},
	{"enable-opentracing", Unknown, "false", "it was removed; its successor is enable-opentelemetry"},
	{"enable-owasp-core-rules", Refused, "false", "web application firewall"},
	{"enable-rewrite-log", NoEffect, "false", "there is no rewrite log"},
	{"fastcgi-index", LeftOut, "", "FastCGI"},
	{"fastcgi-params-configmap", LeftOut, "", "FastCGI"},
	{"global-rate-limit", Unknown, "", "it was removed; limit-rps limits each replica, or all of them together in the spec profile"},
	{"global-rate-limit-ignored-cidrs", Unknown, "", "it was removed"},
	{"global-rate-limit-key", Unknown, "", "it was removed"},
	{"global-rate-limit-window", Unknown, "", "it was removed"},
	{"http2-push-preload", NoEffect, "false", "browsers no longer take pushes"},
	{"modsecurity-snippet", Refused, "#", "web application firewall"},
	{"modsecurity-transaction-id", Refused, "", "web application firewall"},
	{"opentelemetry-operation-name", LeftOut, "", "tracing"},
	{"opentelemetry-trust-incoming-span", LeftOut, "", "tracing"},
	{"opentracing-trust-incoming-span", Unknown, "", "it was removed; its successor is opentelemetry-trust-incoming-span"},
	{"proxy-buffer-size", NoEffect, "", "the limit of response headers is global"},
	{"proxy-buffering", NoEffect, "off", "responses are streamed as they come, at the pace of the client and without memory for more"},
	{"proxy-buffers", Unknown, "", "there was never such a key; ingress-nginx has proxy-buffers-number"},
	{"proxy-buffers-number", NoEffect, "", "responses are streamed"},
	{"proxy-busy-buffers-size", NoEffect, "", "responses are streamed"},
	{"proxy-http-version", LeftOut, "1.1", "HTTP version for the upstream"},
	{"proxy-max-temp-file-size", NoEffect, "", "responses are streamed"},
	{"rate-limit", Unknown, "", "there was never such a key; ingress-nginx has limit-rps"},
	{"relative-redirects", LeftOut, "false", "redirects without a host"},
	{"secure-backends", Unknown, "false", "it became backend-protocol: HTTPS"},
	{"server-snippet", Refused, "#", "raw nginx configuration, which may deny access"},
	{"session-cookie-hash", Unknown, "", "it was removed"},
	{"ssl-prefer-server-ciphers", NoEffect, "", "the order of ciphers is fixed"},
	{"stream-snippet", Refused, "#", "raw nginx configuration, which may deny access"},
	{"use-port-in-redirects", LeftOut, "false", "redirects with the port"},
}

func lookup(name string) (key, bool) {
	i, ok := slices.BinarySearchFunc(keys[:], name, func(k key, name string) int { return strings.Compare(k.name, name) })
	if !ok {
		return key{}, false
	}
	return keys[i], true
}
