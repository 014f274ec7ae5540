package proxytest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client returns a client that speaks HTTP/1.1, or only HTTP/2, and keeps nothing open.
func client(t *testing.T, http2 bool, roots *x509.CertPool) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{RootCAs: roots}}
	tr.Protocols.SetHTTP1(!http2)
	tr.Protocols.SetHTTP2(http2)
	tr.Protocols.SetUnencryptedHTTP2(http2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func fetch(t *testing.T, c *http.Client, method, url string, body io.Reader) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func dial(t *testing.T, b *Backend) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A backend can die, by a reset, and come back at the same address.
func TestKill(t *testing.T) {
	b := Start(t, &Backend{Address: Refused(t).String()}) // a port that stays its own
	c := dial(t, b)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.Read(make([]byte, 1))
	b.Kill()
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("want a reset, got %v", err)
	}
	if _, err := net.Dial("tcp", b.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("want no listener, got %v", err)
	}
	if b.Open() != 0 {
		t.Errorf("want no connection open, got %d", b.Open())
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	c = dial(t, b)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.Read(make([]byte, 1))
	b.CloseConnections()
	if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("want the end, got %v", err)
	}
	fetch(t, client(t, false, nil), "GET", b.URL(), nil)
}

// The example of RFC 6455 1.3.
func TestListenTwice(t *testing.T) {
	b := Start(t, &Backend{})
	if err := (&Backend{Address: b.Addr().String()}).Listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("want the address in use, got %v", err)
	}
}
