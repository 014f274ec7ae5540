package proxy

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// S13: an active token is answered before redirects, guards and client certificates, and whatever
// the rules say of its path; every other request below the path is one as any other.
func TestChallenge(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	guarded := rule("a.example", "/", webKey)
	guarded.Policies = &policy.Set{
		SSLRedirect: &policy.SSLRedirect{Always: true, Code: 308, KeepSlash: true},
		ClientCert:  &policy.ClientCert{CA: ca.pem(), Depth: 1},
	}
	hijack := rule("b.example", "/.well-known/acme-challenge/", webKey)
	f := newFront(t, Config{Hosts: ByHost([]*Rule{guarded, hijack})}, func(f *front) {
		f.Challenge = func(host, token string) (string, bool) {
			return "answer of " + host, token == "active" && (host == "a.example" || host == "b.example")
		}
	})
	f.lead(t, webKey, &proxytest.Backend{Handler: proxytest.Echo("web-1")})
	c := client(t, nil)
	for _, tt := range []struct {
		method, scheme, host, path string
		code                       int
		body                       string // begins with it
	}{
		{"GET", "http", "a.example", "/.well-known/acme-challenge/active", 200, "answer of a.example"},
		{"GET", "http", "A.example.:80", "/.well-known/acme-challenge/active", 200, "answer of a.example"},
		{"GET", "http", "a.example", "/.well-known/acme-challenge/active?x=y", 200, "answer of a.example"},
		{"GET", "https", "a.example", "/.well-known/acme-challenge/active", 200, "answer of a.example"},
		{"GET", "http", "b.example", "/.well-known/acme-challenge/active", 200, "answer of b.example"},
		{"HEAD", "http", "b.example", "/.well-known/acme-challenge/active", 200, ""},
		{"POST", "http", "b.example", "/.well-known/acme-challenge/active", 200, "{"},
		{"GET", "http", "b.example", "/.well-known/acme-challenge/other", 200, "{"},
		{"GET", "http", "a.example", "/.well-known/acme-challenge/other", 308, ""},
		{"GET", "http", "a.example", "/.well-known/acme-challenge/", 308, ""},
		{"GET", "http", "a.example", "/x/.well-known/acme-challenge/active", 308, ""},
		{"GET", "http", "a.example", "/.well-known/acme-challenge/%61ctive", 308, ""},
		{"GET", "http", "c.example", "/.well-known/acme-challenge/active", 404, ""},
	} {
		address := f.http()
		if tt.scheme == "https" {
			address = f.https()
		}
		r := request(t, tt.method, tt.scheme+"://"+address+tt.path, nil)
		r.Host = tt.host
		resp, body := do(t, c, r)
		if resp.StatusCode != tt.code || !strings.HasPrefix(body, tt.body) {
			t.Errorf("%s %s://%s%s: got %d %.60q, want %d %q", tt.method, tt.scheme, tt.host, tt.path, resp.StatusCode, body, tt.code, tt.body)
		}
		if tt.body == "answer of "+strings.ToLower(strings.TrimSuffix(tt.host, ".:80")) && (resp.Header.Get("Location") != "" || resp.ContentLength != int64(len(tt.body))) {
			t.Errorf("%s: fields %v", tt.path, resp.Header)
		}
	}
}

// A TLS challenge is answered where the client asks for its protocol and nothing else, and no
// request is served on such a connection.
func TestChallengeCertificate(t *testing.T) {
	made := selfSigned(t)
	f := echoFront(t, func(f *front) {
		f.ChallengeCertificate = func(host string) *tls.Certificate {
			if host == "a.example" {
				return &made
			}
			return nil
		}
	})
	for _, tt := range []struct {
		name   string
		protos []string
		want   string // protocol; "-" for a failed handshake
		ours   bool   // the certificate is that of the challenge
	}{
		{"a.example", []string{"acme-tls/1"}, "acme-tls/1", true},
		{"A.EXAMPLE", []string{"acme-tls/1"}, "acme-tls/1", true},
		{"a.example", []string{"acme-tls/1", "http/1.1"}, "http/1.1", false},
		{"a.example", nil, "", false},
		{"b.example", []string{"acme-tls/1"}, "-", false},
	} {
		conn, err := tls.Dial("tcp", f.https(), &tls.Config{ServerName: tt.name, NextProtos: tt.protos, InsecureSkipVerify: true})
		if err != nil {
			if tt.want != "-" {
				t.Errorf("%s %q: %v", tt.name, tt.protos, err)
			}
			continue
		}
		state := conn.ConnectionState()
		if ours := string(state.PeerCertificates[0].Raw) == string(made.Certificate[0]); state.NegotiatedProtocol != tt.want || ours != tt.ours {
			t.Errorf("%s %q: got %q and the challenge's certificate %t, want %q and %t", tt.name, tt.protos, state.NegotiatedProtocol, ours, tt.want, tt.ours)
		}
		if tt.want == "acme-tls/1" {
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n") // it may be closed already
			if b, _ := io.ReadAll(conn); strings.Contains(string(b), "web-1") || strings.Contains(string(b), "200 OK") {
				t.Errorf("a request was served: %q", b)
			}
		}
		conn.Close()
	}
	if resp, _ := do(t, client(t, nil), request(t, http.MethodGet, "https://"+f.https()+"/", nil)); resp.StatusCode != 200 {
		t.Errorf("an ordinary request: %d", resp.StatusCode)
	}
}
