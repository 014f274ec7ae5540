// Package ca is an ACME authority for tests: pebble, in this process, with its validation and its
// refusals of nonces on. What is asked of it is counted, and can be held up or refused.
//
// It is a module of its own, for the modules of the tests in and without a cluster.
package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/letsencrypt/challtestsrv"
	pebbleca "github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Options say how to start. The zero value is on 127.0.0.1.
type Options struct {
	// Address is where it listens, and where all names lead that it validates: "127.0.0.1" if
	// empty.
	Address string
	// Life of certificates: 90 days if zero.
	Life time.Duration
	// NonceReject is how many percent of good nonces are refused: 20 if zero.
	NonceReject int
	// Binding is the key of an account that there is, in base64url, by its id; nil: none is
	// needed.
	Binding map[string]string
	// Log gets what pebble logs; nil for none.
	Log io.Writer
}

// Cut is the status of a request whose connection is cut.
const Cut = -1

// The paths of pebble that faults are told of.
const (
	NewAccountPath  = "/sign-me-up"
	NewOrderPath    = "/order-plz"
	ChallengePath   = "/chalZ/"
	FinalizePath    = "/finalize-order/"
	CertificatePath = "/certZ/"
)

// CA is an authority that runs until Close.
type CA struct {
	// HTTP and TLS are where it connects to for challenges, and lead to the proxies of a test.
	HTTP, TLS *Relay

	server *http.Server
	url    string
	root   []byte // of its own server, in PEM
	pool   *x509.CertPool
	// issuerRoot is what is in pool, in PEM.
	issuerRoot []byte
	names      *challtestsrv.ChallSrv

	mu     sync.Mutex
	orders map[string]int
	fault  func(r *http.Request, says []byte) int
}

// Start starts an authority.
func Start(o Options) (_ *CA, err error) {
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	if o.Life == 0 {
		o.Life = 90 * 24 * time.Hour
	}
	if o.NonceReject == 0 {
		o.NonceReject = 20
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	// Pebble reads these when its parts are made.
	for name, value := range map[string]string{
		"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_VA_ALWAYS_VALID": "0", "PEBBLE_WFE_NONCEREJECT": strconv.Itoa(o.NonceReject), "PEBBLE_AUTHZREUSE": "0",
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	c := &CA{orders: make(map[string]int), pool: x509.NewCertPool()}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if c.HTTP, err = newRelay(o.Address); err != nil {
		return nil, err
	}
	if c.TLS, err = newRelay(o.Address); err != nil {
		return nil, err
	}
	resolver, err := c.serveNames(o.Address)
	if err != nil {
		return nil, err
	}
	logger := log.New(o.Log, "pebble ", log.LstdFlags|log.Lmicroseconds)
	store := db.NewMemoryStore()
	for id, key := range o.Binding {
		if err := store.AddExternalAccountKeyByID(id, key); err != nil {
			return nil, err
		}
	}
	issuer := pebbleca.New(logger, store, "", "ecdsa", 0, 1, map[string]pebbleca.Profile{
		"default": {Description: "default", ValidityPeriod: uint64(o.Life.Seconds())},
	})
	root := issuer.GetRootCert(0)
	c.pool.AddCert(root.Cert)
	c.issuerRoot = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Cert.Raw})
	validator := va.New(logger, c.HTTP.port(), c.TLS.port(), false, resolver, store)
	front := wfe.New(logger, store, validator, issuer, []string{"ca.test"}, false, o.Binding != nil, 1, 1)
	if err := c.serve(o.Address, front.Handler()); err != nil {
		return nil, err
	}
	return c, nil
}

// serveNames starts a DNS server for which every name has the address.
func (c *CA) serveNames(address string) (string, error) {
	// The library opens its ports itself: one that was free a moment ago.
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return "", err
	}
	resolver := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", err
	}
	c.names, err = challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{resolver}, Log: log.New(io.Discard, "", 0)})
	if err != nil {
		return "", err
	}
	c.names.SetDefaultDNSIPv4(address)
	c.names.SetDefaultDNSIPv6("")
	go c.names.Run()
	return resolver, nil
}

func (c *CA) serve(address string, pebble http.Handler) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(address)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	c.root = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return err
	}
	c.url = "https://" + l.Addr().String() + "/dir"
	c.server = &http.Server{
		Handler: c.counted(pebble), ReadHeaderTimeout: 30 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
	}
	go func() { _ = c.server.ServeTLS(l, "", "") }() // returns at Close
	return nil
}

// counted injects faults and counts the orders that were made.
func (c *CA) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		c.mu.Lock()
		fault := c.fault
		c.mu.Unlock()
		if fault != nil {
			switch status := fault(r, payload(body)); status {
			case 0:
			case Cut:
				panic(http.ErrAbortHandler)
			default:
				problem(w, status)
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if r.URL.Path == NewOrderPath && answer.Code == http.StatusCreated {
			c.count(answer.Body.Bytes())
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the client's affair
	})
}

// payload is what a signed request says.
func payload(signed []byte) []byte {
	var jws struct{ Payload string }
	if json.Unmarshal(signed, &jws) != nil {
		return nil
	}
	text, _ := base64.RawURLEncoding.DecodeString(jws.Payload) // nil where it is none
	return text
}

// problem refuses as authorities do.
func problem(w http.ResponseWriter, status int) {
	kind := "serverInternal"
	switch status {
	case http.StatusTooManyRequests:
		kind = "rateLimited"
		w.Header().Set("Retry-After", "3600")
	case http.StatusForbidden:
		kind = "unauthorized"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:%s","detail":"as the test wants it","status":%d}`, kind, status)
}

func (c *CA) count(order []byte) {
	var o struct{ Identifiers []struct{ Value string } }
	if json.Unmarshal(order, &o) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range o.Identifiers {
		c.orders[id.Value]++
	}
}

// Directory is the URL of its directory.
func (c *CA) Directory() string { return c.url }

// ServerRoot is what its own server is verified by, in PEM.
func (c *CA) ServerRoot() []byte { return c.root }

// Roots are what the certificates that it issues are verified by.
func (c *CA) Roots() *x509.CertPool { return c.pool }

// IssuerRoot is the one of Roots, in PEM.
func (c *CA) IssuerRoot() []byte { return c.issuerRoot }

// Orders returns how many orders were made for each host.
func (c *CA) Orders() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.orders)
}

// SetFault has requests answered with the status that fault returns, instead of by pebble, where
// that is not 0; Cut leaves them without an answer. says is the payload of the request. fault may
// wait. nil: none.
func (c *CA) SetFault(fault func(r *http.Request, says []byte) (status int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
}

// Close ends it.
func (c *CA) Close() {
	if c.server != nil {
		_ = c.server.Close()
	}
	if c.names != nil {
		c.names.Shutdown()
	}
	for _, r := range []*Relay{c.HTTP, c.TLS} {
		if r != nil {
			_ = r.close()
		}
	}
}
