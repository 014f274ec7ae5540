package proxy

import (
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClientIP(t *testing.T) {
	p := &trust{forwardedFor: forwardedForField, proxy: &Proxy{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	tests := map[string]struct {
		peer  string
		lines []string
		want  string
	}{
		"no header":                  {"10.0.0.1", nil, "10.0.0.1"},
		"one hop":                    {"10.0.0.1", []string{"192.0.2.7"}, "192.0.2.7"},
		"the rightmost untrusted":    {"10.0.0.1", []string{"1.1.1.1, 192.0.2.7, 10.0.0.2"}, "192.0.2.7"},
		"all trusted":                {"10.0.0.1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"several fields are one":     {"10.0.0.1", []string{"1.1.1.1", "192.0.2.7", "10.0.0.2"}, "192.0.2.7"},
		"junk ends the walk":         {"10.0.0.1", []string{"192.0.2.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		"junk at the end":            {"10.0.0.1", []string{"192.0.2.7,"}, "10.0.0.1"},
		"with a port":                {"10.0.0.1", []string{"192.0.2.7:4711"}, "192.0.2.7"},
		"IPv6":                       {"fd00::1", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv6 in brackets and port":  {"fd00::1", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		"IPv6 in brackets":           {"fd00::1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		"IPv4-mapped is IPv4":        {"10.0.0.1", []string{"192.0.2.7, ::ffff:10.0.0.2"}, "192.0.2.7"},
		"a zone is not an address's": {"10.0.0.1", []string{"fe80::1%eth0"}, "fe80::1"},
	}
	for name, tt := range tests {
		if got := p.clientIP(netip.MustParseAddr(tt.peer), tt.lines); got.String() != tt.want {
			t.Errorf("%s: client IP = %s, want %s", name, got, tt.want)
		}
	}
}

// A zone is of the connection: with it no list of addresses has the client in it, those of whom to refuse
// neither.
func TestPeersHaveNoZone(t *testing.T) {
	want := netip.MustParseAddr("fe80::1")
	if got := peerAddr(&http.Request{RemoteAddr: "[fe80::1%eth0]:4711"}); got != want {
		t.Errorf("the peer of a request is %s, want %s", got, want)
	}
	if got := addrOf(&net.TCPAddr{IP: want.AsSlice(), Zone: "eth0", Port: 4711}); got != want {
		t.Errorf("the peer of a connection is %s, want %s", got, want)
	}
}

func TestForwardingHeaders(t *testing.T) {
	tests := map[string]struct {
		peer, scheme, host string
		in, want           http.Header
	}{
		"untrusted: all made anew": {
			peer: "192.0.2.7", scheme: "http", host: "Shop.example:8080",
			in: http.Header{
				"X-Forwarded-For": {"1.1.1.1"}, "X_forwarded_for": {"1.1.1.1"}, "Forwarded": {"for=1.1.1.1"},
				"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Prefix": {"/x"},
				"X-Real-Ip": {"1.1.1.1"}, "Ssl-Client-Verify": {"SUCCESS"}, "X-Request-Id": {"theirs"}, "Accept": {"*/*"},
			},
			want: http.Header{
				"X-Forwarded-For": {"192.0.2.7"}, "X-Real-Ip": {"192.0.2.7"}, "X-Forwarded-Proto": {"http"},
				"X-Forwarded-Host": {"shop.example:8080"}, "X-Forwarded-Port": {"8080"}, "X-Request-Id": {"id"}, "Accept": {"*/*"},
			},
		},
		"trusted: extended": {
			peer: "10.0.0.1", scheme: "http", host: "shop.example",
			in: http.Header{
				"X-Forwarded-For": {"1.1.1.1", "192.0.2.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"www.shop.example"},
				"Forwarded": {"for=192.0.2.7"}, "X_forwarded_for": {"6.6.6.6"},
			},
			want: http.Header{
				"X-Forwarded-For": {"1.1.1.1, 192.0.2.7, 10.0.0.1"}, "X-Real-Ip": {"192.0.2.7"}, "X-Forwarded-Proto": {"https"},
				"X-Forwarded-Host": {"www.shop.example"}, "X-Forwarded-Port": {"443"}, "X-Request-Id": {"id"},
				"Forwarded": {"for=192.0.2.7"},
			},
		},
		"trusted: what is not one plain value is not believed": {
			peer: "10.0.0.1", scheme: "https", host: "shop.example",
			in: http.Header{
				"X-Forwarded-Proto": {"http,https"}, "X-Forwarded-Host": {"a", "b"}, "X-Forwarded-Port": {"0"},
			},
			want: http.Header{
				"X-Forwarded-For": {"10.0.0.1"}, "X-Real-Ip": {"10.0.0.1"}, "X-Forwarded-Proto": {"https"},
				"X-Forwarded-Host": {"shop.example"}, "X-Forwarded-Port": {"443"}, "X-Request-Id": {"id"},
			},
		},
		"IPv6 host": {
			peer: "2001:db8::7", scheme: "https", host: "[2001:db8::1]:8443",
			in: http.Header{},
			want: http.Header{
				"X-Forwarded-For": {"2001:db8::7"}, "X-Real-Ip": {"2001:db8::7"}, "X-Forwarded-Proto": {"https"},
				"X-Forwarded-Host": {"[2001:db8::1]:8443"}, "X-Forwarded-Port": {"8443"}, "X-Request-Id": {"id"},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &trust{forwardedFor: forwardedForField, proxy: &Proxy{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
			r := &http.Request{Method: "GET", RequestURI: "/", Host: tt.host, Header: tt.in, RemoteAddr: netip.AddrPortFrom(netip.MustParseAddr(tt.peer), 1).String()}
			x := &Exchange{Peer: peerAddr(r), Scheme: tt.scheme}
			x.ClientIP = x.Peer
			p.admit(x, r)
			x.RequestID = "id"
			trusted := p.believes(x.Peer)
			cleanRequest(tt.in, trusted)
			setForwarding(&outgoing{request: http.Request{Header: tt.in}}, r, x, trusted)
			if got := tt.in[HopsHeader]; len(got) != 1 || got[0] != "1" {
				t.Errorf("%s = %v, want 1", HopsHeader, got)
			}
			delete(tt.in, HopsHeader)
			if diff := cmp.Diff(tt.want, tt.in); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	for _, tt := range []struct {
		sent    string
		trusted bool
		kept    bool
	}{
		{"abc-1", true, true},
		{"abc-1", false, false},
		{"", true, false},
		{"two words", true, false},
		{`quo"te`, true, false},
		{"caf\u00e9", true, false},
	} {
		id := requestID(http.Header{"X-Request-Id": {tt.sent}}, tt.trusted)
		if kept := id == tt.sent; kept != tt.kept {
			t.Errorf("sent %q, trusted %t: got %q", tt.sent, tt.trusted, id)
		}
		if !tt.kept && len(id) != 32 {
			t.Errorf("own id %q is not 32 digits", id)
		}
	}
}
