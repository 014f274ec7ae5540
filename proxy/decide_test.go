package proxy

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// asked is r with what Decide is asked with: as a server makes it.
func asked(t *testing.T, method, url string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, url, nil)
	r.RemoteAddr = "192.0.2.9:1234"
	if r.URL.Scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	r.RequestURI = r.URL.RequestURI()
	return r
}

// A decision is what ServeHTTP does: the answers that the proxy makes itself are compared,
// and of what would be forwarded the backend.
func TestDecideIsWhatIsServed(t *testing.T) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := New(pools)
	p.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	rules := []*Rule{
		{Host: "a.example", Path: "/", PathType: router.Prefix, Backend: upstream.Key{Namespace: "n", Service: "a", Port: "80"}},
		{Host: "a.example", Path: "/x/y", PathType: router.Prefix, Backend: upstream.Key{Namespace: "n", Service: "xy", Port: "80"}},
		{Host: "a.example", Path: "/no", PathType: router.Exact, Answer: Answer{503, "policy-refused"}},
		{Host: "only.example", PathType: router.HostOnly},
	}
	for _, fallback := range []upstream.Key{{}, {Namespace: "n", Service: "rest", Port: "80"}} {
		table, _ := p.Compile(Config{Hosts: ByHost(rules), DefaultBackend: fallback})
		p.Swap(table)
		for _, tt := range []struct{ method, url string }{
			{"GET", "http://a.example/"},
			{"GET", "https://A.example.:8443/x/y/z?q=1"},
			{"GET", "http://a.example/x%2Fy"},
			{"GET", "http://a.example/x/../no"},
			{"HEAD", "http://a.example/no"},
			{"GET", "http://a.example/%00"},
			{"GET", "http://only.example/"},
			{"GET", "http://b.example/"},
			{"TRACE", "http://a.example/"},
			{"GET", "http://a.example/" + strings.Repeat("x", maxTarget)},
		} {
			d := p.Decide(table, asked(t, tt.method, tt.url))
			w := httptest.NewRecorder()
			p.ServeHTTP(w, asked(t, tt.method, tt.url))
			if d.Forwarded {
				// The pools are empty, so that is what comes of forwarding.
				if d.Backend == (upstream.Key{}) || w.Code != 503 || w.Header().Get(ReasonHeader) != upstream.NoReadyEndpoints {
					t.Errorf("%s %.60s: forwarded to %q, but answered %d %s", tt.method, tt.url, d.Backend, w.Code, w.Header())
				}
				continue
			}
			if d.Status != w.Code || d.Reason != w.Header().Get(ReasonHeader) || d.Backend != (upstream.Key{}) {
				t.Errorf("%s %.60s: decided %d %s, answered %d %s", tt.method, tt.url, d.Status, d.Reason, w.Code, w.Header())
			}
		}
	}
}

func TestDecideClientIP(t *testing.T) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := New(pools)
	table, _ := p.Compile(Config{})
	r := asked(t, "GET", "http://a.example/")
	r.Header.Set("X-Forwarded-For", "198.51.100.7")
	if got := p.Decide(table, r).ClientIP; got != netip.MustParseAddr("192.0.2.9") {
		t.Errorf("of a peer that is not trusted: %s", got)
	}
	p.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	if got := p.Decide(table, r).ClientIP; got != netip.MustParseAddr("198.51.100.7") {
		t.Errorf("of a trusted peer: %s", got)
	}
}

func TestDecideLeavesTheRequestAlone(t *testing.T) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := New(pools)
	table, _ := p.Compile(Config{})
	r := asked(t, "GET", "http://a.example/a/../b")
	r.ProtoMajor = 2
	r.Header.Set("Host", "a.example")
	d := p.Decide(table, r)
	if d.Reason != "no-host-rule" || r.Header.Get("Host") != "a.example" || r.URL.Opaque != "" {
		t.Errorf("%+v, %v", d, r)
	}
	if p.InFlight() != 0 {
		t.Error("counted")
	}
}

func TestCandidatesOfADecision(t *testing.T) {
	pools := upstream.NewRegistry(upstream.Options{})
	defer pools.Close()
	p := New(pools)
	winner := &Rule{Host: "a.example", Path: "/", PathType: router.Prefix, Origin: router.Origin{Name: "a"}}
	loser := &Rule{Host: "a.example", Path: "/", PathType: router.Prefix, Origin: router.Origin{Name: "b"}, Backend: upstream.Key{Service: "b"}}
	table, _ := p.Compile(Config{Hosts: ByHost([]*Rule{loser, winner})})
	d := p.Decide(table, asked(t, "GET", "http://a.example/x"))
	got := table.Candidates(&d)
	if len(got) != 2 || got[0] != (Candidate{Rule: winner}) || got[1] != (Candidate{Rule: loser, Loss: router.Displaced, By: winner}) {
		t.Errorf("%+v", got)
	}
}
