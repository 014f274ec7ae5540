package proxy

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestDebugHeader(t *testing.T) {
	for name, tt := range map[string]struct {
		debug, trusted []netip.Prefix
		header         http.Header
		told           bool
		passed         bool // the backend sees the field
	}{
		"from an allowed address":             {debug: prefixes("127.0.0.0/8"), header: http.Header{DebugHeader: {"1"}}, told: true},
		"not asked for":                       {debug: prefixes("127.0.0.0/8")},
		"asked for with 0":                    {debug: prefixes("127.0.0.0/8"), header: http.Header{DebugHeader: {"0"}}},
		"from elsewhere":                      {debug: prefixes("192.0.2.0/24"), header: http.Header{DebugHeader: {"1"}}},
		"nobody may":                          {header: http.Header{DebugHeader: {"1"}}, passed: true},
		"an untrusted peer claims an address": {debug: prefixes("192.0.2.0/24"), header: http.Header{DebugHeader: {"1"}, "X-Forwarded-For": {"192.0.2.1"}}},
		"a trusted peer tells of one":         {debug: prefixes("192.0.2.0/24"), trusted: prefixes("127.0.0.0/8"), header: http.Header{DebugHeader: {"1"}, "X-Forwarded-For": {"192.0.2.1"}}, told: true},
		"a trusted peer is itself allowed and tells of another": {
			debug: prefixes("127.0.0.0/8"), trusted: prefixes("127.0.0.0/8"), header: http.Header{DebugHeader: {"1"}, "X-Forwarded-For": {"192.0.2.1"}},
		},
		"what stands further left was made up": {
			debug: prefixes("192.0.2.0/24"), trusted: prefixes("127.0.0.0/8"), header: http.Header{DebugHeader: {"1"}, "X-Forwarded-For": {"192.0.2.1, 198.51.100.1"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := echoFront(t, func(f *front) { f.DebugClients, f.TrustedProxies = tt.debug, tt.trusted })
			r := request(t, "GET", "http://"+f.http()+"/", nil)
			for k, v := range tt.header {
				r.Header[k] = v
			}
			resp, body := do(t, client(t, nil), r)
			if told := resp.Header.Get(debugRoute) != ""; told != tt.told {
				t.Errorf("%s: %q, want told %v", debugRoute, resp.Header.Get(debugRoute), tt.told)
			}
			if !tt.told {
				for name := range resp.Header {
					if strings.HasPrefix(name, "X-Fairlead-") {
						t.Errorf("the client gets %s", name)
					}
				}
			} else if got := resp.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control: %q, want no-store", got)
			}
			if _, got := echoed(t, body).Header[DebugHeader]; got != tt.passed {
				t.Errorf("the backend gets %s: %v, want %v", DebugHeader, got, tt.passed)
			}
		})
	}
}

func TestDebugHeaderSays(t *testing.T) {
	forged := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(debugRoute, "made up")
		w.Header().Set("Cache-Control", "public")
	})
	web := rule("a.example", "/", webKey)
	web.Policies = &policy.Set{HSTS: "max-age=1", AppRoot: "/app"}
	f := newFront(t, Config{Hosts: ByHost([]*Rule{
		web,
		{Host: "a.example", Path: "/closed\x01\"", PathType: router.Prefix, Origin: router.Origin{Namespace: "shop", Name: "ing"}, Answer: Answer{503, "policy-refused"}},
		rule("a.example", "/empty", chatKey),
		rule("a.example", "/dead", upstream.Key{Namespace: "shop", Service: "dead", Port: "80"}),
	})}, func(f *front) { f.DebugClients = prefixes("127.0.0.0/8") })
	b := &proxytest.Backend{Handler: forged}
	f.lead(t, webKey, b)
	f.pools.Pool(upstream.Key{Namespace: "shop", Service: "dead", Port: "80"}).Set(upstream.Resolution{Addresses: []upstream.Address{{Host: "127.0.0.1", Port: 1}}})
	for _, tt := range []struct {
		path                      string
		status                    int
		route, policies, endpoint string
	}{
		{"/x", 200, `Ingress shop/ing: a.example Prefix "/" -> shop/web:80`, "app-root, HSTS", addressOf(b).String()},
		{"/", 302, `Ingress shop/ing: a.example Prefix "/" -> shop/web:80`, "app-root, HSTS", "none"},
		{"/empty", 503, `Ingress shop/ing: a.example Prefix "/empty" -> shop/chat:80`, "none", "none"},
		{"/dead", 502, `Ingress shop/ing: a.example Prefix "/dead" -> shop/dead:80`, "none", "127.0.0.1:1 connect-refused"},
	} {
		r := request(t, "GET", "http://"+f.http()+tt.path, nil)
		r.Header.Set(DebugHeader, "1")
		resp, _ := do(t, client(t, nil), r)
		route, policies, endpoint := resp.Header.Get(debugRoute), resp.Header.Get(debugPolicies), resp.Header.Get(debugEndpoint)
		first, _, _ := strings.Cut(endpoint, ", ")
		if resp.StatusCode != tt.status || route != tt.route || policies != tt.policies || first != tt.endpoint {
			t.Errorf("%s: %d %q %q %q, want %d %q %q %q", tt.path, resp.StatusCode, route, policies, endpoint, tt.status, tt.route, tt.policies, tt.endpoint)
		}
		if id := resp.Header.Get(debugRequestID); len(id) != 32 || resp.Header.Get(debugClient) != "127.0.0.1" {
			t.Errorf("%s: id %q, client %q", tt.path, id, resp.Header.Get(debugClient))
		}
	}
	r := request(t, "GET", "http://"+f.http()+"/", nil)
	r.Host = "nowhere.example"
	r.Header.Set(DebugHeader, "1")
	if resp, _ := do(t, client(t, nil), r); resp.StatusCode != 404 || resp.Header.Get(debugRoute) != "none" {
		t.Errorf("no rule: %d %q", resp.StatusCode, resp.Header.Get(debugRoute))
	}
}
