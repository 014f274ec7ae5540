package proxytest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestEcho(t *testing.T) {
	certificate, err := Certificate("127.0.0.1", "a.example")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	clear := Start(t, &Backend{Handler: Echo("one")})
	secure := Start(t, &Backend{Handler: Echo("one"), TLS: &tls.Config{Certificates: []tls.Certificate{*certificate}}})
	for _, b := range []*Backend{clear, secure} {
		for http2, proto := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
			resp, body := fetch(t, client(t, http2, roots), "PUT", b.URL()+"/a%2Fb/?x=1&status=201&header=X-Y:%20z", strings.NewReader("hello"))
			var e Echoed
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 201 || resp.Header.Get("X-Y") != "z" || resp.Header.Get("Backend-Name") != "one" {
				t.Errorf("got %d, %v", resp.StatusCode, resp.Header)
			}
			if e.Name != "one" || e.Method != "PUT" || e.Path != "/a%2Fb/?x=1&status=201&header=X-Y:%20z" || e.Proto != proto ||
				e.Host != b.Addr().String() || e.BodyLength != 5 || e.ContentLength != 5 || e.TLS != (b == secure) ||
				e.BodySHA256 != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" {
				t.Errorf("got %+v", e)
			}
		}
	}
	if clear.Requests() != 2 || clear.Accepted() != 2 {
		t.Errorf("want 2 requests on 2 connections, got %d on %d", clear.Requests(), clear.Accepted())
	}
	if _, body := fetch(t, client(t, false, nil), "GET", clear.URL()+"/?size=30", nil); body != "abcdefghijklmnopqrstuvwxyzabcd" {
		t.Errorf("want 30 letters, got %q", body)
	}
}

func TestSlowAndFailing(t *testing.T) {
	slow := Start(t, &Backend{Handler: Slow("slow", 30*time.Millisecond)})
	begin := time.Now()
	if _, body := fetch(t, client(t, false, nil), "GET", slow.URL()+"/?delay=30ms", nil); time.Since(begin) < 60*time.Millisecond || !strings.Contains(body, `"slow"`) {
		t.Errorf("want an answer after 60 ms, got %q after %s", body, time.Since(begin))
	}
	failing := Start(t, &Backend{Handler: Failing("bad", 503)})
	if resp, body := fetch(t, client(t, false, nil), "GET", failing.URL(), nil); resp.StatusCode != 503 || !strings.HasPrefix(body, "bad fails with 503") {
		t.Errorf("got %d, %q", resp.StatusCode, body)
	}
}
