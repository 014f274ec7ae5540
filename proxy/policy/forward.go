package policy

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Forward is what changes the request that the backend gets, beside its path.
type Forward struct {
	Host Template // of the request; empty: the client's
	// OriginalURI sends the target that the client asked for, in X-Original-URI.
	OriginalURI bool
	// Close asks backends to end the connection after the response.
	Close bool
}

var upstreamVHost = Key{Name: "upstream-vhost", Value: "host with variables", Doc: "Host of the request that the backend gets"}

var originalURI = Key{
	Name: "proxy-add-original-uri-header", GlobalOnly: true, Value: "true or false", Default: "false",
	Doc: "sends backends the target that the client asked for, before any rewriting, in X-Original-URI",
}

var connectionHeader = Key{
	Name: "connection-proxy-header", Value: "close or keep-alive", Default: "keep-alive",
	Doc: "close: a connection to the backend is for one request, which says so in its Connection field",
}

type fixedError string

func (e fixedError) Error() string { return string(e) }

var forwarding = feature{
	name: "forwarding",
	keys: []Key{upstreamVHost, originalURI, connectionHeader},
	read: func(r *reader, s *Set) {
		r.byQuirk(QuirkSchemeFields)
		s.Forward.OriginalURI = r.boolean(originalURI, false)
		s.Forward.Close = r.oneOf(connectionHeader, "keep-alive", "keep-alive", "close") == "close"
		v, ok := r.text(upstreamVHost)
		if !ok {
			return
		}
		t, err := parseTemplate(v, nil)
		switch {
		case err != nil:
			r.bad(upstreamVHost, "%w", err)
		case len(v) > 255 || !httpguts.ValidHostHeader(t.sample()) || strings.ContainsAny(v, " \"'\\/;"):
			r.bad(upstreamVHost, "want a host, got %.80q", v)
		default:
			s.Forward.Host = t
		}
	},
	wrap: func(l link, next http.Handler) http.Handler {
		if len(l.Forward.Host.Parts) == 0 && !l.Forward.OriginalURI && !l.Forward.Close {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := exchangeOf(w)
			if l.Forward.OriginalURI {
				x.SendField("X-Original-Uri", oneLine(requestURI(r)))
			}
			if l.Forward.Close {
				x.SendField("Connection", "close")
			}
			if len(l.Forward.Host.Parts) > 0 {
				host := l.Forward.Host.expand(w, r, &l.rule, nil, nil)
				if !httpguts.ValidHostHeader(host) {
					x.Answer(w, r, http.StatusBadRequest, "bad-upstream-host", fixedError("upstream-vhost makes no host of this request"))
					return
				}
				x.SendHost(host)
			}
			next.ServeHTTP(w, r)
		})
	},
}
