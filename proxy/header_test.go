package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

func TestHopByHop(t *testing.T) {
	many := "A"
	for i := range maxNominated {
		many += fmt.Sprintf(", X-%d", i)
	}
	tests := map[string]struct {
		in, want http.Header
		refused  bool
	}{
		"standard fields go": {
			in: http.Header{
				"Connection": {"keep-alive"}, "Keep-Alive": {"timeout=5"}, "Te": {"gzip"}, "Trailer": {"X"},
				"Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"}, "Proxy-Authorization": {"x"},
				"Proxy-Connection": {"close"}, "Proxy-Authenticate": {"Basic"}, "Accept": {"*/*"},
			},
			want: http.Header{"Accept": {"*/*"}},
		},
		"httpoxy": {in: http.Header{"Proxy": {"http://evil.example"}, "Accept": {"*/*"}}, want: http.Header{"Accept": {"*/*"}}},
		"nominated fields go": {
			in:   http.Header{"Connection": {"close, X-Hop", "x-other"}, "X-Hop": {"1"}, "X-Other": {"2"}, "X-End": {"3"}},
			want: http.Header{"X-End": {"3"}},
		},
		"empty tokens mean nothing": {
			in:   http.Header{"Connection": {", ,close,"}, "X-End": {"3"}},
			want: http.Header{"X-End": {"3"}},
		},
		// CVE-2021-33197: a client must not be able to have fields dropped that access
		// decisions further on rest on.
		"protected fields stay": {
			in: http.Header{
				"Connection":    {"Authorization, Cookie, X-Forwarded-For, host, X-Real-IP, content-length"},
				"Authorization": {"Bearer t"}, "Cookie": {"s=1"}, "X-Forwarded-For": {"10.0.0.1"},
				"X-Real-Ip": {"10.0.0.1"}, "Content-Length": {"3"},
			},
			want: http.Header{
				"Authorization": {"Bearer t"}, "Cookie": {"s=1"}, "X-Forwarded-For": {"10.0.0.1"},
				"X-Real-Ip": {"10.0.0.1"}, "Content-Length": {"3"},
			},
		},
		"no more nominations than anybody needs": {in: http.Header{"Connection": {many}}, refused: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ok := removeNominated(tt.in)
			cleanRequest(tt.in, true)
			if ok == tt.refused {
				t.Fatalf("accepted = %t, want %t", ok, !tt.refused)
			}
			if diff := cmp.Diff(tt.want, tt.in); ok && diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForwardingNames(t *testing.T) {
	for _, name := range []string{
		"X-Forwarded-For", "X_forwarded_for", "X.Forwarded.For", "x_FORWARDED-host", "Forwarded", "X-Real-Ip",
		"X_real.ip", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Ssl", "True-Client-Ip", "X-Scheme",
		"X-Original-Forwarded-For",
	} {
		if !policy.IsForwarding(name) {
			t.Errorf("IsForwarding(%q) = false", name)
		}
	}
	for _, name := range []string{
		"", "X", "Accept", "X-Forwarded", "X-Forwarded-Forx", "X-Frame-Options", "Forwarded-Host", "Xforwardedfor",
		strings.Repeat("X-Forwarded-For", 9),
	} {
		if policy.IsForwarding(name) {
			t.Errorf("IsForwarding(%q) = true", name)
		}
	}
	for _, name := range []string{"Ssl-Client-Verify", "ssl_client_cert", "SSL.Client-Subject-Dn"} {
		if !policy.IsClientCertificate(name) {
			t.Errorf("IsClientCertificate(%q) = false", name)
		}
	}
	for _, name := range []string{"Ssl-Client", "Ssl-Server-Verify", "Accept"} {
		if policy.IsClientCertificate(name) {
			t.Errorf("IsClientCertificate(%q) = true", name)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		if !policy.IsForwarding("X_forwarded_for") || !policy.IsClientCertificate("Ssl-Client-Verify") {
			t.Error("not recognised")
		}
	}); n != 0 {
		t.Errorf("%v allocations per name, want 0", n)
	}
}

func TestWantsWebSocket(t *testing.T) {
	request := func(edit func(*http.Request)) *http.Request {
		r := &http.Request{Method: "GET", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
			"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"},
		}}
		edit(r)
		return r
	}
	tests := map[string]struct {
		edit func(*http.Request)
		want bool
	}{
		"as browsers ask":    {func(*http.Request) {}, true},
		"h2c":                {func(r *http.Request) { r.Header["Upgrade"] = []string{"h2c"} }, false},
		"two tokens":         {func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket, h2c"} }, false},
		"two fields":         {func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket", "h2c"} }, false},
		"no connection":      {func(r *http.Request) { delete(r.Header, "Connection") }, false},
		"not nominated":      {func(r *http.Request) { r.Header["Connection"] = []string{"close"} }, false},
		"POST":               {func(r *http.Request) { r.Method = "POST" }, false},
		"with a body":        {func(r *http.Request) { r.ContentLength = 5 }, false},
		"with a chunked one": {func(r *http.Request) { r.ContentLength = -1 }, false},
		"HTTP/1.0":           {func(r *http.Request) { r.ProtoMinor = 0 }, false},
		"HTTP/2":             {func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, false},
	}
	for name, tt := range tests {
		if got := wantsWebSocket(request(tt.edit)); got != tt.want {
			t.Errorf("%s: wantsWebSocket = %t, want %t", name, got, tt.want)
		}
	}
}
