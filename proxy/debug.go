package proxy

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// DebugHeader is the request field by which a client of Proxy.DebugClients asks what becomes
// of its request. The others are the fields of the response that tell it.
const (
	DebugHeader         = "X-Fairlead-Debug"
	debugRoute          = "X-Fairlead-Route"
	debugPolicies       = "X-Fairlead-Policies"
	debugEndpoint       = "X-Fairlead-Endpoint"
	debugClient         = "X-Fairlead-Client"
	debugRequestID      = "X-Fairlead-Request-Id"
	debugValueIfUnknown = "none"
)

// debugs reports whether the client of x may be told what becomes of the request, and asks
// for it. The field is for us alone: it is removed, whoever sent it.
func (p *Proxy) debugs(x *Exchange, h http.Header) bool {
	asked := h[DebugHeader]
	if len(asked) == 0 {
		return false
	}
	delete(h, DebugHeader)
	return asked[0] != "" && asked[0] != "0" && contains(p.DebugClients, x.ClientIP)
}

// tell adds to the final response what became of the request, in place of what a backend may
// have written there. What it says is for this client only, so no cache may keep it.
func (w *responseWriter) tell() {
	h, x := w.Header(), w.x
	h[debugRoute] = []string{debugValueIfUnknown}
	h[debugPolicies] = []string{debugValueIfUnknown}
	h[debugEndpoint] = []string{debugValueIfUnknown}
	h[debugRequestID] = []string{x.RequestID}
	h["Cache-Control"] = []string{"no-store"}
	if x.ClientIP.IsValid() {
		h[debugClient] = []string{x.ClientIP.String()}
	}
	if rule := x.Rule; rule != nil {
		h[debugRoute] = []string{describe(rule)}
		if names := PolicyNames(rule); len(names) > 0 {
			h[debugPolicies] = []string{strings.Join(names, ", ")}
		}
	}
	var tried []string
	all := x.Attempts.All()
	for i, a := range all {
		text := a.Endpoint.Address().String()
		switch {
		case a.Err != nil:
			reason, _ := upstream.Reason(a.Err)
			text += " " + reason
		case i < len(all)-1:
			text += " " + strconv.Itoa(a.Status) // for which it was sent again
		}
		tried = append(tried, text)
	}
	if len(tried) > 0 {
		h[debugEndpoint] = []string{strings.Join(tried, ", ")}
	}
}

// describe is a rule in one line that is fit for a header.
func describe(rule *Rule) string {
	host, target := rule.Host, rule.Target()
	if host == "" {
		host = "*"
	}
	if target == "" {
		target = debugValueIfUnknown
	}
	return "Ingress " + rule.Origin.String() + ": " + host + " " + rule.PathType.String() + " " + strconv.QuoteToASCII(rule.Path) + " -> " + target
}
