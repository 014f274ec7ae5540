package proxy

import (
	"crypto/tls"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
)

// shake does a handshake with f and reads the answer to a request, so that tickets have come.
func shake(t *testing.T, f *front, edit func(*tls.Config)) (tls.ConnectionState, error) {
	t.Helper()
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	if edit != nil {
		edit(config)
	}
	conn, err := tls.Dial("tcp", f.https(), config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+config.ServerName+"\r\nConnection: close\r\n\r\n"); err != nil {
			return tls.ConnectionState{}, err
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			return tls.ConnectionState{}, err
		}
	}
	return conn.ConnectionState(), nil
}

func TestHandshakes(t *testing.T) {
	f := echoFront(t, nil)
	only := func(ids ...uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, ids }
	}
	of := func(edit func(*policy.Listener)) Config {
		c := Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey), rule("*.w.example", "/", webKey)})}
		edit(&c.Listener)
		return c
	}
	nothing := func(*policy.Listener) {}
	for name, tt := range map[string]struct {
		config Config
		client func(*tls.Config)
		want   func(tls.ConnectionState) bool // nil: the handshake fails
		alert  string                         // then
	}{
		"TLS 1.1 is refused":                  {of(nothing), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, nil, "protocol version not supported"},
		"TLS 1.2":                             {of(nothing), only(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), func(s tls.ConnectionState) bool { return s.Version == tls.VersionTLS12 }, ""},
		"TLS 1.3":                             {of(nothing), nil, func(s tls.ConnectionState) bool { return s.Version == tls.VersionTLS13 }, ""},
		"a hybrid group by default":           {of(nothing), nil, func(s tls.ConnectionState) bool { return s.CurveID == tls.X25519MLKEM768 }, ""},
		"no CBC by default":                   {of(nothing), only(tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA), nil, "handshake failure"},
		"HTTP/2 by default":                   {of(nothing), func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, func(s tls.ConnectionState) bool { return s.NegotiatedProtocol == "h2" }, ""},
		"only TLS 1.3":                        {of(func(l *policy.Listener) { l.OnlyTLS13 = true }), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, nil, "protocol version not supported"},
		"no TLS 1.3":                          {of(func(l *policy.Listener) { l.NoTLS13 = true }), nil, func(s tls.ConnectionState) bool { return s.Version == tls.VersionTLS12 }, ""},
		"ciphers of the ConfigMap":            {of(func(l *policy.Listener) { l.Ciphers = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA} }), only(tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA), func(s tls.ConnectionState) bool { return s.CipherSuite == tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA }, ""},
		"groups of the ConfigMap":             {of(func(l *policy.Listener) { l.Groups = []tls.CurveID{tls.CurveP384} }), nil, func(s tls.ConnectionState) bool { return s.CurveID == tls.CurveP384 }, ""},
		"no HTTP/2":                           {of(func(l *policy.Listener) { l.NoHTTP2 = true }), func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, func(s tls.ConnectionState) bool { return s.NegotiatedProtocol == "http/1.1" }, ""},
		"an unknown host by default":          {of(nothing), func(c *tls.Config) { c.ServerName = "b.example" }, func(s tls.ConnectionState) bool { return s.HandshakeComplete }, ""},
		"an unknown host is refused":          {of(func(l *policy.Listener) { l.RejectUnknown = true }), func(c *tls.Config) { c.ServerName = "b.example" }, nil, "unrecognized name"},
		"an unknown host is refused, TLS 1.2": {of(func(l *policy.Listener) { l.RejectUnknown = true }), func(c *tls.Config) { c.ServerName, c.MaxVersion = "b.example", tls.VersionTLS12 }, nil, "unrecognized name"},
		"no server name is refused":           {of(func(l *policy.Listener) { l.RejectUnknown = true }), func(c *tls.Config) { c.ServerName = "127.0.0.1" }, nil, "unrecognized name"},
		"a known host where others are not":   {of(func(l *policy.Listener) { l.RejectUnknown = true }), func(c *tls.Config) { c.ServerName = "A.example" }, func(s tls.ConnectionState) bool { return s.HandshakeComplete }, ""},
		"a wildcard host where others are not": {
			of(func(l *policy.Listener) { l.RejectUnknown = true }), func(c *tls.Config) { c.ServerName = "x.w.example" },
			func(s tls.ConnectionState) bool { return s.HandshakeComplete }, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.serve(t, tt.config) // a change counts for the next handshake
			state, err := shake(t, f, tt.client)
			switch {
			case tt.want == nil && (err == nil || !strings.Contains(err.Error(), tt.alert)):
				t.Errorf("error %v, want %s", err, tt.alert)
			case tt.want != nil && err != nil:
				t.Error(err)
			case tt.want != nil && !tt.want(state):
				t.Errorf("agreed on %s, suite %s, group %s, %q", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), state.CurveID, state.NegotiatedProtocol)
			}
		})
	}
}

// TestCiphersOfTheHost: the annotation is for one host.
func TestCiphersOfTheHost(t *testing.T) {
	f := echoFront(t, nil)
	config := Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey), rule("b.example", "/", webKey)})}
	config.Hosts[0].Ciphers = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}
	f.serve(t, config)
	for host, want := range map[string]uint16{"a.example": tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "b.example": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256} {
		state, err := shake(t, f, func(c *tls.Config) {
			c.ServerName, c.MaxVersion = host, tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}
		})
		if err != nil || state.CipherSuite != want {
			t.Errorf("%s: %s, %v", host, tls.CipherSuiteName(state.CipherSuite), err)
		}
	}
}

// TestSessionTicketsOff: nothing is resumed, and a session of before is not either.
func TestSessionTicketsOff(t *testing.T) {
	f := echoFront(t, nil)
	config := Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := tls.NewLRUClientSessionCache(1)
		resumed := func(off bool) bool {
			config.Listener.NoTickets = off
			f.serve(t, config)
			state, err := shake(t, f, func(c *tls.Config) { c.ClientSessionCache, c.MaxVersion = cache, version })
			if err != nil {
				t.Fatal(err)
			}
			return state.DidResume
		}
		got := []bool{resumed(false), resumed(false), resumed(true), resumed(true)}
		if want := []bool{false, true, false, false}; !slices.Equal(got, want) {
			t.Errorf("%s: resumed %v, want %v", tls.VersionName(version), got, want)
		}
	}
}

// TestNoHTTP2WithoutALPN: a client that begins with the preface of HTTP/2 without having agreed on it
// was served HTTP/2 even where that was switched off.
func TestNoHTTP2WithoutALPN(t *testing.T) {
	f := echoFront(t, nil)
	config := Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}
	for _, off := range []bool{true, false} {
		config.Listener.NoHTTP2 = off
		f.serve(t, config)
		c, err := tls.Dial("tcp", f.https(), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		got := make([]byte, len("HTTP/1.1 "))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "HTTP/1.1 " {
			t.Errorf("use-http2 off %t: got %q, %v, want an answer of HTTP/1", off, got, err)
		}
		c.Close()
	}
}

// TestNoHTTP2WithoutItsCiphers: over TLS 1.2 with nothing but suites that HTTP/2 prohibits it was offered,
// and every connection that chose it ended with GOAWAY.
func TestNoHTTP2WithoutItsCiphers(t *testing.T) {
	f := echoFront(t, nil)
	const cbc, gcm = tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	for _, tt := range []struct {
		ciphers []uint16
		version uint16 // the latest that the client knows
		none    bool   // no TLS 1.3 here
		want    string
	}{
		{[]uint16{cbc}, tls.VersionTLS12, false, "http/1.1"},
		{[]uint16{cbc}, tls.VersionTLS13, false, "h2"},
		{[]uint16{cbc}, tls.VersionTLS13, true, "http/1.1"},
		{[]uint16{cbc, gcm}, tls.VersionTLS12, false, "h2"},
		{nil, tls.VersionTLS12, false, "h2"},
	} {
		config := Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}
		config.Listener.Ciphers, config.Listener.NoTLS13 = tt.ciphers, tt.none
		f.serve(t, config)
		state, err := shake(t, f, func(c *tls.Config) {
			c.MaxVersion, c.NextProtos = tt.version, []string{"h2", "http/1.1"}
			c.CipherSuites = []uint16{gcm, cbc}
		})
		if err != nil || state.NegotiatedProtocol != tt.want {
			t.Errorf("%+v: got %q, %v", tt, state.NegotiatedProtocol, err)
		}
	}
}
