package oracle

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Delivery is one request that reached a backend or the auth service.
type Delivery struct {
	Namespace, Service, Endpoint string
	Method, Target, Host, Proto  string
	Header                       http.Header
	BodyBytes                    int
	TLS                          bool
	SNI                          string
}

// Backends are all backends of a replay: two listeners on every address of 127.0.0.0/8. Each endpoint
// has an address of its own, which tells them apart.
type Backends struct {
	Plain, Secure, Refused uint16 // ports
	listeners              []net.Listener
	servers                []*http.Server

	mu        sync.Mutex
	endpoints map[netip.Addr]endpoint
	addresses map[endpoint]netip.Addr
	seen      map[string][]Delivery // by namespace
}

// endpoint is one backend of one Service. The Service of the auth service is "auth".
type endpoint struct{ namespace, service, name string }

// StartBackends listens. Close ends it.
func StartBackends() (*Backends, error) {
	b := &Backends{endpoints: map[netip.Addr]endpoint{}, addresses: map[endpoint]netip.Addr{}, seen: map[string][]Delivery{}}
	pair, err := selfSigned("echo.backends.example")
	if err != nil {
		return nil, err
	}
	for i, port := range []*uint16{&b.Plain, &b.Secure, &b.Refused} {
		l, err := net.Listen("tcp4", "0.0.0.0:0")
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		at, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			return nil, errors.Join(err, l.Close(), b.Close())
		}
		*port = at.Port()
		if i == 2 {
			// The port was free a moment ago, and nothing listens at it now.
			if err := l.Close(); err != nil {
				return nil, errors.Join(err, b.Close())
			}
			break
		}
		s := &http.Server{Handler: http.HandlerFunc(b.serve), ReadHeaderTimeout: time.Minute, Protocols: new(http.Protocols)}
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetUnencryptedHTTP2(true)
		if i == 1 {
			l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
		}
		b.listeners, b.servers = append(b.listeners, l), append(b.servers, s)
		go func() { _ = s.Serve(l) }() // returns at Close
	}
	return b, nil
}

// Close ends all connections.
func (b *Backends) Close() error {
	var err error
	for _, s := range b.servers {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Address returns the address of an endpoint, a new one if it has none.
func (b *Backends) Address(namespace, service, name string) netip.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := endpoint{namespace, service, name}
	a, ok := b.addresses[e]
	if !ok {
		n := len(b.addresses) + 1
		a = netip.AddrFrom4([4]byte{127, 100 + byte(n>>16), byte(n >> 8), byte(n)})
		b.addresses[e], b.endpoints[a] = a, e
	}
	return a
}

// Take returns what reached the backends of a namespace since the last Take.
func (b *Backends) Take(namespace string) []Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.seen[namespace]
	delete(b.seen, namespace)
	return d
}

func (b *Backends) serve(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	at, err := netip.ParseAddrPort(local.String())
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	b.mu.Lock()
	e, ok := b.endpoints[at.Addr().Unmap()]
	b.mu.Unlock()
	if !ok {
		panic(http.ErrAbortHandler)
	}
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	d := Delivery{
		Namespace: e.namespace, Service: e.service, Endpoint: e.name,
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Proto: r.Proto, Header: r.Header.Clone(), BodyBytes: int(n),
	}
	if r.TLS != nil {
		d.TLS, d.SNI = true, r.TLS.ServerName
	}
	b.mu.Lock()
	b.seen[e.namespace] = append(b.seen[e.namespace], d)
	b.mu.Unlock()
	w.Header()["Date"] = nil
	switch {
	case e.service == authService:
		authAnswer(w, r)
	case e.name == "drop-1":
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(e.name, "errors-"):
		code := cmpInt(r.Header.Get("X-Code"), http.StatusNotFound)
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, "%s code=%d\n", e.name, code)
	default:
		echoAnswer(w, r, e.name)
	}
}

const authService = "auth service"

func cmpInt(s string, or int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return or
}

// echoAnswer answers as the request fields X-Want-* ask for.
func echoAnswer(w http.ResponseWriter, r *http.Request, name string) {
	status := http.StatusOK
	switch {
	case strings.HasPrefix(name, "busy-"):
		status = http.StatusServiceUnavailable
	case strings.HasPrefix(name, "fail-"):
		status = http.StatusInternalServerError
	}
	status = cmpInt(r.Header.Get("X-Want-Status"), status)
	if !pause(r, cmpInt(r.Header.Get("X-Want-Delay"), 0)) {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	if t := r.Header.Get("X-Want-Type"); t != "" {
		h.Set("Content-Type", t)
	}
	for _, field := range r.Header.Values("X-Want-Header") {
		name, value, _ := strings.Cut(field, ":")
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	body := name + "\n"
	if n := cmpInt(r.Header.Get("X-Want-Body"), -1); n >= 0 {
		body = strings.Repeat("x", n)
	}
	drip, every, dripping := strings.Cut(r.Header.Get("X-Want-Drip"), ",")
	if !dripping {
		if status != http.StatusNoContent && status != http.StatusNotModified {
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // a client that left is no fault of the backend
		return
	}
	w.WriteHeader(status)
	for i := range cmpInt(drip, 0) {
		if i > 0 && !pause(r, cmpInt(every, 0)) {
			return
		}
		_, _ = fmt.Fprintf(w, "line %d\n", i+1)
		_ = http.NewResponseController(w).Flush()
	}
}

func pause(r *http.Request, ms int) bool {
	if ms <= 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// authAnswer is the auth service.
func authAnswer(w http.ResponseWriter, r *http.Request) {
	for _, set := range r.URL.Query()["set"] {
		name, value, _ := strings.Cut(set, ":")
		w.Header().Add(name, value)
	}
	code := http.StatusNotFound
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/verdict/"):
		code = cmpInt(strings.TrimPrefix(path, "/verdict/"), http.StatusNotFound)
	case path == "/login":
		code = http.StatusOK
		if user, password, ok := r.BasicAuth(); !ok || user != "ops" || password != "letmein" {
			w.Header().Set("Www-Authenticate", `Basic realm="gate"`)
			code = http.StatusUnauthorized
		}
	case path == "/token":
		code = http.StatusOK
		if r.Header.Get("X-Token") != "s3cret" {
			code = http.StatusUnauthorized
		}
	}
	w.WriteHeader(code)
	_, _ = io.WriteString(w, "auth\n")
}

func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Answer is a response as the client read it.
type Answer struct {
	Status      int
	Header      http.Header
	Body        []byte
	Certificate *x509.Certificate
	Closed      bool // there was no response
	Took        time.Duration
}

// Send sends r over a connection of its own, byte for byte.
func Send(r *Request, httpAddr, httpsAddr, cookie string) (*Answer, error) {
	start := time.Now()
	dialer := net.Dialer{Timeout: 10 * time.Second}
	if r.ClientIP != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(r.ClientIP)}
	}
	address := httpAddr
	if r.Scheme == "https" {
		address = httpsAddr
	}
	c, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(40 * time.Second))
	if r.Proxy != "" {
		if _, err := io.WriteString(c, r.Proxy); err != nil {
			return &Answer{Closed: true}, nil
		}
	}
	a := &Answer{}
	if r.Scheme == "https" {
		name := ""
		if r.Host != nil {
			name, _, _ = strings.Cut(*r.Host, ":")
		}
		if r.SNI != nil {
			name = *r.SNI
		}
		t := tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		if err := t.Handshake(); err != nil {
			return &Answer{Closed: true}, nil
		}
		a.Certificate = t.ConnectionState().PeerCertificates[0]
		c = t
	}
	go func() { _, _ = io.Copy(c, r.wire(cookie)) }() // a response may come before all was sent
	reader := bufio.NewReader(c)
	resp, err := http.ReadResponse(reader, &http.Request{Method: r.Method})
	for err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(reader, &http.Request{Method: r.Method})
	}
	if err != nil {
		a.Closed = true
		return a, nil
	}
	a.Status, a.Header = resp.StatusCode, resp.Header
	a.Body, _ = io.ReadAll(resp.Body)
	a.Took = time.Since(start)
	return a, nil
}

// wire is the request as bytes.
func (r *Request) wire(cookie string) io.Reader {
	var b strings.Builder
	version := "1.1"
	if r.Version != "" {
		version = r.Version
	}
	fmt.Fprintf(&b, "%s %s HTTP/%s\r\n", r.Method, r.Path, version)
	if r.Host != nil {
		fmt.Fprintf(&b, "Host: %s\r\n", *r.Host)
	}
	connection := false
	for _, f := range r.Headers {
		connection = connection || strings.HasPrefix(strings.ToLower(f), "connection:")
		b.WriteString(f + "\r\n")
	}
	if cookie != "" {
		b.WriteString("Cookie: " + cookie + "\r\n")
	}
	if !connection {
		b.WriteString("Connection: close\r\n")
	}
	body := strings.Repeat("b", r.BodyBytes)
	switch {
	case r.Chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for len(body) > 0 {
			n := min(len(body), 4096)
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		b.WriteString("0\r\n\r\n")
	case r.BodyBytes > 0:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", r.BodyBytes, body)
	default:
		b.WriteString("\r\n")
	}
	return strings.NewReader(b.String())
}
