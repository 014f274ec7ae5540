package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// A comparison is worth something when all do the same work. checkWork asks the proxy what
// the row will ask and says every way in which its work is another: the body, the fields
// that it adds, its routes, the handshake. A proxy that routes everything has no host that it
// refuses.
func checkWork(ctx context.Context, p *proxy, r Row, everything bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c := asker{address: p.address(r), scheme: r.scheme()}
	client := c.client()
	defer client.CloseIdleConnections()
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: "+format, append([]any{p.name}, args...)...))
	}
	for _, t := range samples(r) {
		resp, body, err := c.get(ctx, client, t.host, t.path)
		switch {
		case err != nil:
			fault("%w", err)
		case resp.StatusCode != http.StatusOK || len(body) != r.Size:
			fault("%s%s: want status 200 and a body of %d bytes, got %d and %d", t.host, t.path, r.Size, resp.StatusCode, len(body))
		case r.TLS:
			if err := checkHandshake(resp.TLS); err != nil {
				fault("%w", err)
			}
		}
	}
	if !everything {
		resp, _, err := c.get(ctx, client, "other.localhost", "/item")
		if err != nil {
			fault("%w", err)
		} else if resp.StatusCode == http.StatusOK {
			fault("a host that has no route: want another status than 200")
		}
	}
	first := samples(r)[0]
	_, body, err := c.get(ctx, client, first.host, strings.TrimSuffix(first.path, "item")+"headers")
	if err != nil {
		fault("%w", err)
		return errors.Join(faults...)
	}
	for _, text := range wrongHeaders(body, first.host, c) {
		fault("%s", text)
	}
	return errors.Join(faults...)
}

// target is a request of a row.
type target struct{ host, path string }

// samples are requests of the row: of the first, the middle and the last route.
func samples(r Row) []target {
	if !r.many() {
		return []target{{"localhost", "/item"}}
	}
	var all []target
	for _, i := range []int{0, r.Routes / 2, r.Routes - 1} {
		all = append(all, target{routeHost(i), routePath(i) + "/item"})
	}
	return all
}

// wrongHeaders compares what the backend got with what every proxy has to send.
func wrongHeaders(body []byte, host string, c asker) []string {
	_, port, _ := net.SplitHostPort(c.address) // is one
	seen := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		seen[name] = strings.TrimSpace(value)
	}
	want := map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "X-Forwarded-Proto": c.scheme,
		"X-Forwarded-Host": net.JoinHostPort(host, port), "X-Forwarded-Port": port, "Host": net.JoinHostPort(host, port),
	}
	var wrong []string
	for _, name := range seenHeaders {
		got := seen[name]
		switch value, fixed := want[name]; {
		case fixed && got != value:
			wrong = append(wrong, fmt.Sprintf("backend saw %s: %q, want %q", name, got, value))
		case name == "X-Request-ID" && len(got) < 16:
			wrong = append(wrong, fmt.Sprintf("backend saw %s: %q, want 16 characters or more", name, got))
		case name == "Connection" && strings.EqualFold(got, "close"):
			wrong = append(wrong, "backend saw Connection: close, want connections that are kept")
		}
	}
	return wrong
}

func checkHandshake(s *tls.ConnectionState) error {
	if s == nil || len(s.PeerCertificates) == 0 {
		return errors.New("want a handshake, got none")
	}
	key, ok := s.PeerCertificates[0].PublicKey.(*ecdsa.PublicKey)
	if s.Version != tls.VersionTLS13 || s.CipherSuite != tls.TLS_AES_128_GCM_SHA256 || !ok || key.Curve != elliptic.P256() {
		return fmt.Errorf("handshake: want TLS 1.3, TLS_AES_128_GCM_SHA256 and a P-256 key, got %s, %s and %T",
			tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.PeerCertificates[0].PublicKey)
	}
	return s.PeerCertificates[0].VerifyHostname("localhost")
}

// asker sends requests for any host to one address.
type asker struct{ address, scheme string }

func (a asker) client() *http.Client {
	// A redirect is an answer like others, and not the one that is wanted.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{CheckRedirect: stay, Transport: &http.Transport{
		// The wrk of Debian knows no key exchange that is newer. Certificates are looked at
		// by checkHandshake.
		TLSClientConfig: &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}, InsecureSkipVerify: true, ServerName: "localhost"},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, a.address)
		},
	}}
}

func (a asker) get(ctx context.Context, client *http.Client, host, path string) (*http.Response, []byte, error) {
	_, port, err := net.SplitHostPort(a.address)
	if err != nil {
		return nil, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.scheme+"://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}
