package http1

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// newClientTLSTest is newClientTest with TLS on the connections.
func newClientTLSTest(t testing.TB, set *ClientSet, serve func(*tls.Conn)) *clientTest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	ct := newClientTest(t, set, func(nc *net.TCPConn) {
		tc := tls.Server(nc, config)
		serve(tc)
		tc.Close()
	})
	dial := ct.Dial
	ct.Dial = func(ctx context.Context) (net.Conn, error) {
		nc, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return tls.Client(nc, &tls.Config{InsecureSkipVerify: true}), nil // this server's only
	}
	return ct
}

func answerTLS(reply string) func(*tls.Conn) {
	return func(tc *tls.Conn) {
		r := bufio.NewReader(tc)
		for readRequest(r) {
			io.WriteString(tc, reply)
		}
	}
}

func TestClientTLS(t *testing.T) {
	ct := newClientTLSTest(t, &ClientSet{}, answerTLS(okReply))
	for range 20 {
		ct.want(t, newRequest(t, "GET", "/", nil), 200, "ok")
		ct.want(t, newRequest(t, "POST", "/", strings.NewReader(strings.Repeat("x", 100000))), 200, "ok")
	}
	if n := ct.accepted.Load(); n > 2 {
		t.Errorf("want one connection, or two after a late return of a write, got %d", n)
	}
}

// D3: an idle TLS connection that was closed, with or without saying so, is not written to.
func TestClientTLSStale(t *testing.T) {
	for name, end := range map[string]func(*tls.Conn){
		"alert": func(tc *tls.Conn) { tc.Close() },
		"FIN":   func(tc *tls.Conn) { tc.NetConn().Close() },
	} {
		var ended atomic.Int64
		ct := newClientTLSTest(t, &ClientSet{}, func(tc *tls.Conn) {
			readRequest(bufio.NewReader(tc))
			io.WriteString(tc, okReply)
			end(tc)
			ended.Add(1)
		})
		for i := range 5 {
			ct.want(t, newRequest(t, "POST", "/", strings.NewReader("body")), 200, "ok")
			waitFor(t, name+" was sent", func() bool { return ended.Load() == int64(i+1) })
			waitFor(t, "it has come", func() bool {
				ct.mu.Lock()
				defer ct.mu.Unlock()
				return len(ct.idle) == 0 || !ct.idle[0].clean()
			})
		}
	}
}

// D4: bytes behind a response are noticed, though TLS may have taken them from the socket with
// the response, in the same record or in another.
func TestClientTLSUnsolicited(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for name, send := range map[string]func(*tls.Conn){
		"same record": func(tc *tls.Conn) { io.WriteString(tc, okReply+evil) },
		"next record": func(tc *tls.Conn) { io.WriteString(tc, okReply); io.WriteString(tc, evil) },
		"large record": func(tc *tls.Conn) {
			io.WriteString(tc, "HTTP/1.1 200 OK\r\nContent-Length: 12000\r\n\r\n"+strings.Repeat("x", 12000)+evil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			sent := make(chan struct{}, 1)
			ct := newClientTLSTest(t, &ClientSet{}, func(tc *tls.Conn) {
				r := bufio.NewReader(tc)
				for readRequest(r) {
					send(tc)
					sent <- struct{}{}
				}
			})
			for range 50 {
				resp, err := ct.Do(newRequest(t, "GET", "/", nil), &Call{})
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(io.LimitReader(resp.Body, resp.ContentLength)) // in pieces, and not one byte more
				if strings.Contains(string(body), "evil") || int64(len(body)) != resp.ContentLength || err != nil {
					t.Fatalf("got %q, %v", body, err)
				}
				resp.Body.Close()
				<-sent // what comes after the next request is a response to it
			}
		})
	}
}
