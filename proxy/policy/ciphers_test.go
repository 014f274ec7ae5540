package policy

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// names returns OpenSSL's names of suites.
func names(t *testing.T, ids []uint16) string {
	t.Helper()
	var all []string
	for _, id := range ids {
		i := slices.IndexFunc(suites[:], func(s suite) bool { return s.id == id })
		if i < 0 {
			t.Fatalf("suite %#x is not in the table", id)
		}
		all = append(all, suites[i].name)
	}
	return strings.Join(all, " ")
}

func TestParseCiphers(t *testing.T) {
	const (
		aead = "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 " +
			"ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305"
		cbc = " ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA"
	)
	for _, tt := range []struct{ list, want, unknown string }{
		// The default of ingress-nginx, and others that its users have.
		{"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305", aead, ""},
		{"HIGH:!aNULL:!MD5", aead + cbc, ""},
		{"EECDH+AESGCM:EDH+AESGCM", "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384", ""},
		{"ALL:!aNULL:!EXPORT56:RC4+RSA:+HIGH:+MEDIUM:+LOW:+SSLv2:+EXP", aead + cbc, ""},
		{"ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"},
		{"TLS_AES_128_GCM_SHA256:AES128-SHA", "AES128-SHA", "TLS_AES_128_GCM_SHA256"},
		{"DES-CBC3-SHA:RC4-SHA", "", "DES-CBC3-SHA RC4-SHA"},
		// One after the other, as OpenSSL does.
		{"ECDHE:-SHA1", aead, ""},
		{"ECDHE:-ECDHE:ECDHE+CHACHA20", "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305", ""},
		{"!ECDHE:ECDHE:AES128-SHA", "AES128-SHA", ""},
		{"ECDHE+aRSA+AES256+AESGCM", "ECDHE-RSA-AES256-GCM-SHA384", ""},
		{"AES128-GCM-SHA256", "AES128-GCM-SHA256", ""},
		{"kRSA", "", ""},
		{"ECDHE+AESGCM:@STRENGTH:!nonsense", "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384", ""},
		{"ECDHE+nonsense", "", "ECDHE+nonsense"},
		{":::!:+:-", "", ""},
		{"", "", ""},
	} {
		chosen, unknown := parseCiphers(tt.list)
		if got := names(t, chosen); got != tt.want || strings.Join(unknown, " ") != tt.unknown {
			t.Errorf("%q:\n got %s and unknown %q\nwant %s and unknown %q", tt.list, got, unknown, tt.want, tt.unknown)
		}
	}
	if got := names(t, DefaultCiphers()); got != aead {
		t.Errorf("by default %s", got)
	}
}

// TestSuitesAreThoseOfGo: the table has every suite of TLS 1.2 that package crypto/tls has, but
// for RC4 and 3DES, and none that it has not.
func TestSuitesAreThoseOfGo(t *testing.T) {
	var want []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) && !strings.Contains(s.Name, "RC4") && !strings.Contains(s.Name, "3DES") {
			want = append(want, s.ID)
		}
	}
	var got []uint16
	for _, s := range suites {
		got = append(got, s.id)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the table has %#x, want %#x", got, want)
	}
	for _, s := range suites {
		if !s.weak && !strings.HasPrefix(s.name, "ECDHE-") {
			t.Errorf("%s has no forward secrecy and is chosen by words", s.name)
		}
	}
}

func TestListener(t *testing.T) {
	for _, tt := range []struct {
		config  map[string]string
		want    func(*Listener) bool
		outcome Outcome // 0: no finding
		text    string
	}{
		{nil, func(l *Listener) bool {
			return !l.OnlyTLS13 && !l.NoTLS13 && l.Ciphers == nil && l.Groups == nil && !l.NoTickets && !l.RejectUnknown && !l.NoHTTP2 && l.ProxyProtocol == nil
		}, 0, ""},
		{map[string]string{"ssl-protocols": "TLSv1.3"}, func(l *Listener) bool { return l.OnlyTLS13 && !l.NoTLS13 }, 0, ""},
		{map[string]string{"ssl-protocols": "TLSv1.2"}, func(l *Listener) bool { return !l.OnlyTLS13 && l.NoTLS13 }, 0, ""},
		{map[string]string{"ssl-protocols": "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"}, func(l *Listener) bool { return !l.OnlyTLS13 && !l.NoTLS13 }, LeftOut, `versions "TLSv1 TLSv1.1" are never served`},
		{map[string]string{"ssl-protocols": "TLSv1"}, func(l *Listener) bool { return !l.OnlyTLS13 && !l.NoTLS13 }, Invalid, "want TLSv1.2, TLSv1.3 or both"},
		{map[string]string{"ssl-ciphers": "ECDHE+CHACHA20"}, func(l *Listener) bool { return len(l.Ciphers) == 2 }, 0, ""},
		{map[string]string{"ssl-ciphers": "ECDHE+CHACHA20:CAMELLIA128-SHA"}, func(l *Listener) bool { return len(l.Ciphers) == 2 }, LeftOut, "CAMELLIA128-SHA"},
		{map[string]string{"ssl-ciphers": "CAMELLIA128-SHA"}, func(l *Listener) bool { return l.Ciphers == nil }, Invalid, "none of"},
		{map[string]string{"ssl-ecdh-curve": "auto"}, func(l *Listener) bool { return l.Groups == nil }, 0, ""},
		{map[string]string{"ssl-ecdh-curve": "X25519:prime256v1:P-256"}, func(l *Listener) bool { return slices.Equal(l.Groups, []tls.CurveID{tls.X25519, tls.CurveP256}) }, 0, ""},
		{map[string]string{"ssl-ecdh-curve": "X25519MLKEM768:brainpoolP256r1"}, func(l *Listener) bool { return slices.Equal(l.Groups, []tls.CurveID{tls.X25519MLKEM768}) }, LeftOut, "brainpoolP256r1"},
		{map[string]string{"ssl-ecdh-curve": "X448"}, func(l *Listener) bool { return l.Groups == nil }, Invalid, "X448"},
		{map[string]string{"ssl-session-tickets": "false"}, func(l *Listener) bool { return l.NoTickets }, 0, ""},
		{map[string]string{"ssl-reject-handshake": "true"}, func(l *Listener) bool { return l.RejectUnknown }, 0, ""},
		{map[string]string{"use-http2": "false"}, func(l *Listener) bool { return l.NoHTTP2 }, 0, ""},
		{map[string]string{"use-proxy-protocol": "true"}, func(l *Listener) bool {
			return l.ProxyProtocol != nil && l.ProxyProtocol.Timeout.Seconds() == 5 && slices.Equal(l.ProxyProtocol.Trusted, privateAddresses())
		}, 0, ""},
		{map[string]string{"use-proxy-protocol": "true", "proxy-real-ip-cidr": "192.0.2.0/24", "proxy-protocol-header-timeout": "2s"}, func(l *Listener) bool {
			return l.ProxyProtocol.Timeout.Seconds() == 2 && len(l.ProxyProtocol.Trusted) == 1
		}, 0, ""},
		{map[string]string{"use-proxy-protocol": "true", "proxy-real-ip-cidr": "192.0.2.0/24,x"}, func(l *Listener) bool { return len(l.ProxyProtocol.Trusted) == 0 }, Invalid, `got "x"`},
		{map[string]string{"proxy-protocol-header-timeout": "1h"}, func(l *Listener) bool { return l.ProxyProtocol == nil }, Invalid, "at most 10s"},
		{map[string]string{"proxy-protocol-header-timeout": "3"}, func(l *Listener) bool { return l.ProxyProtocol == nil }, 0, ""},
	} {
		g, findings := ParseConfig(tt.config, nil)
		if !tt.want(&g.Listener) {
			t.Errorf("%v: %+v", tt.config, g.Listener)
		}
		if tt.outcome == 0 && len(findings) > 0 || tt.outcome != 0 && (len(findings) != 1 || findings[0].Outcome != tt.outcome || !strings.Contains(findings[0].Err.Error(), tt.text)) {
			t.Errorf("%v: findings %v, want %v with %q", tt.config, findings, tt.outcome, tt.text)
		}
	}
}

// TestCiphersOfAHost: the annotation is of the host, the ConfigMap's key of the instance alone.
func TestCiphersOfAHost(t *testing.T) {
	set, findings := Parse(Input{Config: map[string]string{"ssl-ciphers": "AES128-SHA"}})
	if set.Ciphers != nil || len(findings) != 0 {
		t.Errorf("by the ConfigMap: %v, %v", set.Ciphers, findings)
	}
	set, findings = Parse(Input{Annotations: map[string]string{NginxPrefix + "ssl-ciphers": "ECDHE+CHACHA20:X"}})
	if len(set.Ciphers) != 2 || len(findings) != 1 || findings[0].Outcome != LeftOut {
		t.Errorf("by the annotation: %v, %v", set.Ciphers, findings)
	}
	set, findings = Parse(Input{Annotations: map[string]string{NginxPrefix + "ssl-ciphers": "X"}})
	if set.Ciphers != nil || len(findings) != 1 || findings[0].Outcome != Invalid {
		t.Errorf("by a bad annotation: %v, %v", set.Ciphers, findings)
	}
}

// TestParseCiphersOfManyNames: comparing each with all before it took two seconds for an annotation of
// 200 kB. What follows them counts all the same.
func TestParseCiphersOfManyNames(t *testing.T) {
	var list strings.Builder
	for i := range 3 * maxUnknown {
		fmt.Fprintf(&list, "x%d:", i)
	}
	chosen, unknown := parseCiphers(list.String() + "ECDHE-RSA-AES128-GCM-SHA256")
	if len(unknown) != maxUnknown || len(chosen) != 1 {
		t.Errorf("%d unknown and %d chosen, want %d and 1", len(unknown), len(chosen), maxUnknown)
	}
}
