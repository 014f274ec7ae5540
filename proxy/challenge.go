package proxy

import (
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// ChallengePath is where ACME asks for the answer to an HTTP challenge (RFC 8555, 8.3).
const ChallengePath = "/.well-known/acme-challenge/"

// ChallengeProtocol is what ACME asks for with a TLS challenge (RFC 8737, 3).
const ChallengeProtocol = "acme-tls/1"

// challenged answers the request of an authority that checks an HTTP challenge. It comes before
// all rules and policies, whose redirects and guards would be in the way, and takes the path of
// active tokens alone: other solvers have rules for theirs.
func (p *Proxy) challenged(w *responseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	token, ok := strings.CutPrefix(escapedPath(r), ChallengePath)
	if !ok {
		return false
	}
	answer, ok := p.Challenge(w.x.Host, token)
	if !ok {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, answer) // the client's affair
	}
	return true
}

// challengeConfig is for the handshake of an authority that checks a TLS challenge; nil for all
// others, which then cannot agree on the protocol. No request follows: the engines speak HTTP/1
// and HTTP/2 where that was agreed on alone.
func (p *Proxy) challengeConfig(hello *tls.ClientHelloInfo) *tls.Config {
	if p.ChallengeCertificate == nil || len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != ChallengeProtocol {
		return nil
	}
	c := p.ChallengeCertificate(serverName(hello.ServerName))
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{ChallengeProtocol}, Certificates: []tls.Certificate{*c},
		SessionTicketsDisabled: true,
	}
}
