package proxy

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// setForwarding says in the header of o what is known of the client. What a trusted proxy said
// of it is there and is extended; cleanRequest has removed what others said.
func setForwarding(o *outgoing, r *http.Request, x *Exchange, trusted bool) {
	h, peer := o.request.Header, peerText(r.RemoteAddr, x.Peer)
	forwardedFor := peer
	proto, host, port := x.Scheme, x.Host, ""
	if i := strings.LastIndexByte(r.Host, ':'); i >= 0 && !strings.HasSuffix(r.Host, "]") {
		port = r.Host[i+1:]
		switch {
		case port == "":
		case r.Host[:i] == host:
			host = r.Host
		default: // r.Host spells it otherwise
			host += ":" + port
		}
	}
	if x.unwrapped {
		proto, port = "https", ""
	}
	if trusted {
		if before := strings.Join(h["X-Forwarded-For"], ", "); before != "" && !x.replaceFor {
			forwardedFor = before + ", " + peer
		}
		if v := single(h, "X-Forwarded-Proto"); v == "http" || v == "https" {
			if v != proto {
				port = ""
			}
			proto = v
		}
		if v := single(h, "X-Forwarded-Host"); v != "" {
			host = v
		}
		if v := single(h, "X-Forwarded-Port"); isPort(v) {
			port = v
		}
	}
	if port == "" {
		port = "80"
		if proto == "https" {
			port = "443"
		}
	}

	clientIP := peer
	if x.ClientIP != x.Peer {
		clientIP = x.ClientIP.String()
	}
	if x.replaceFor {
		forwardedFor = clientIP
	}
	if x.originalFor != "" {
		h["X-Original-Forwarded-For"] = []string{x.originalFor}
	}
	o.fields = [...]string{forwardedFor, proto, host, port, x.RequestID, clientIP, strconv.Itoa(policy.Hops(h) + 1)}
	set := func(name string, i int) { h[name] = o.fields[i : i+1 : i+1] }
	if peer != "" {
		set("X-Forwarded-For", 0)
		set("X-Real-Ip", 5)
	}
	set("X-Forwarded-Proto", 1)
	set("X-Forwarded-Host", 2)
	set("X-Forwarded-Port", 3)
	set("X-Request-Id", 4)
	set(HopsHeader, 6)
}

// peerText is peer as text, "" if it is the zero Addr. It is part of remote, from which peer was
// read, where that spells it as we do.
func peerText(remote string, peer netip.Addr) string {
	if !peer.IsValid() {
		return ""
	}
	if i := strings.LastIndexByte(remote, ':'); i > 0 && peer.Is4() && strings.IndexByte(remote, '[') < 0 {
		return remote[:i]
	}
	return peer.String()
}

// HopsHeader counts the instances of Fairlead that a request went through.
const HopsHeader = policy.HopsHeader

// single is the value of a field that a proxy sets once: of a repeated or listed one nobody
// knows which part is meant, so it counts as absent.
func single(h http.Header, name string) string {
	if v := h[name]; len(v) == 1 && !strings.Contains(v[0], ",") {
		return strings.TrimSpace(v[0])
	}
	return ""
}

func isPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return 0 < n && n < 1<<16
}
