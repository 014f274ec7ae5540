package http1

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// startTLS is start on a port with TLS.
func startTLS(t testing.TB, s *Server, h http.HandlerFunc) (address string) {
	t.Helper()
	if s == nil {
		s = new(Server)
	}
	s.Handler, s.poison = h, true
	l := tls.NewListener(listen(t), &tls.Config{
		Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2", "http/1.1"},
	})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-done
		until(t, func() bool { return s.Connections() == 0 })
	})
	return l.Addr().String()
}

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func dialTLS(t testing.TB, address string, protocols ...string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

func TestTLS(t *testing.T) {
	address := startTLS(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || !r.TLS.HandshakeComplete {
			t.Errorf("got TLS state %v", r.TLS)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(body)
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
			w.Write(body)
		}
	})
	c := dialTLS(t, address)
	r := bufio.NewReader(c)
	for _, path := range []string{"/", "/chunked"} {
		for _, length := range []int{0, 1, 100, 16000, 16384, 16385, 40000, 1 << 20} {
			body := bytes.Repeat([]byte("x"), length)
			request, _ := http.NewRequest("POST", "http://a"+path, bytes.NewReader(body))
			if err := request.Write(c); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if path == "/chunked" {
				body = append(body, body...)
			}
			if got, err := io.ReadAll(resp.Body); !bytes.Equal(got, body) || err != nil {
				t.Errorf("%s with %d bytes: got %d, %v", path, length, len(got), err)
			}
		}
	}
}

// A slow handshake is limited as a slow head is.
func TestSlowHandshake(t *testing.T) {
	errs := make(chan error, 1)
	address := startTLS(t, &Server{
		HeadTimeout: 200 * time.Millisecond, OnError: func(c net.Conn, err error) { errs <- err },
	}, echo)
	drip(t, dial(t, address), "\x16\x03\x01\x02\x00"+strings.Repeat("\x01", 1000))
	if err := <-errs; err == nil || !strings.Contains(err.Error(), "TLS handshake") {
		t.Errorf("got %v", err)
	}
}

// What ALPN has agreed on is what is spoken: a server in front may route by it. Without ALPN that
// is HTTP/1.
func TestALPN(t *testing.T) {
	address := startTLS(t, &Server{ReasonHeader: "Reason", HTTP2: func(c net.Conn, read []byte) {
		io.WriteString(c, "http2")
		c.Close()
	}}, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "http1") })
	const http1, http2 = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, tt := range []struct{ protocol, sent, want string }{
		{"", http1, "http1"},
		{"", http2, "505 bad-version\n"}, // or it could not be switched off
		{"http/1.1", http1, "http1"},
		{"http/1.1", http2, "505 bad-version\n"},
		{"h2", http2, "http2"},
		{"h2", http1, "505 bad-version\n"},
	} {
		var protocols []string
		if tt.protocol != "" {
			protocols = []string{tt.protocol}
		}
		c := dialTLS(t, address, protocols...)
		io.WriteString(c, tt.sent)
		if got, err := io.ReadAll(c); !strings.HasSuffix(string(got), tt.want) || err != nil {
			t.Errorf("agreed %q, sent %.10q: got %q, %v; want %q", tt.protocol, tt.sent, got, err, tt.want)
		}
	}
}

// A response without length that breaks off must not look complete: TLS has an end of its own, which
// is left out.
func TestTruncatedTLS(t *testing.T) {
	address := startTLS(t, nil, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	c := dialTLS(t, address)
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	if got, err := io.ReadAll(c); err == nil {
		t.Errorf("got %q and a clean end", got)
	}
}
