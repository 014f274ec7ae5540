package proxy

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

const (
	header1 = "PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n"
	header2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x08\xc0\x00\x02\x01\x30\x39\x01\xbb" // 192.0.2.8
	local2  = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

// refused is what a front has told of connections that were not served.
type refused struct {
	mu  sync.Mutex
	all []string
}

func (r *refused) note(listener, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, listener+" "+reason)
}

func (r *refused) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		return ""
	}
	return r.all[len(r.all)-1]
}

func behindBalancer(trusted string) Config {
	c := Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}
	c.Listener.ProxyProtocol = &policy.ProxyProtocol{Trusted: []netip.Prefix{netip.MustParsePrefix(trusted)}, Timeout: patience}
	return c
}

// askAs sends a request for a.example after the header, and returns what the connection gives.
func askAs(t *testing.T, f *front, port, header string) (*http.Response, error) {
	t.Helper()
	c, err := net.Dial("tcp", f.server.Addresses()[port].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, header); err != nil {
		return nil, err
	}
	if port == "https" {
		c = tls.Client(c, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	}
	return (&http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return c, nil },
		DialTLSContext:    func(context.Context, string, string) (net.Conn, error) { return c, nil },
		DisableKeepAlives: true,
	}).RoundTrip(request(t, "GET", "http://a.example/", nil))
}

func TestProxyProtocol(t *testing.T) {
	var seen refused
	f := echoFront(t, func(f *front) { f.server.Refused = seen.note })
	for _, tt := range []struct {
		name, header string
		config       Config
		client       string // as the access log has it; empty: the connection is closed
		refused      string
	}{
		{"version 1", header1, behindBalancer("127.0.0.0/8"), "192.0.2.7", ""},
		{"version 2", header2, behindBalancer("127.0.0.0/8"), "192.0.2.8", ""},
		{"of the balancer itself", local2, behindBalancer("127.0.0.0/8"), "127.0.0.1", ""},
		{"unknown", "PROXY UNKNOWN\r\n", behindBalancer("127.0.0.0/8"), "127.0.0.1", ""},
		{"untrusted", header1, behindBalancer("10.0.0.0/8"), "", "proxy-header-untrusted"},
		{"untrusted without one", "", behindBalancer("10.0.0.0/8"), "", "proxy-header-untrusted"},
		{"missing", "", behindBalancer("127.0.0.0/8"), "", "proxy-header-missing"},
		{"malformed", "PROXY TCP4 192.0.2.7 192.0.2.1 x 443\r\n", behindBalancer("127.0.0.0/8"), "", "proxy-header-invalid"},
		{"not asked for", "", Config{Hosts: ByHost([]*Rule{rule("a.example", "/", webKey)})}, "127.0.0.1", ""},
	} {
		for _, port := range []string{"http", "https"} {
			t.Run(port+" "+tt.name, func(t *testing.T) {
				f.serve(t, tt.config)
				n := len(f.recorded())
				resp, err := askAs(t, f, port, tt.header)
				if tt.client == "" {
					if err == nil {
						resp.Body.Close()
						t.Errorf("status %d, want the connection to be closed", resp.StatusCode)
					}
					want := port + " " + tt.refused
					eventually(t, want+" is told", func() bool { return seen.last() == want })
					if len(f.recorded()) != n {
						t.Error("a request was served")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("status %d, %v", resp.StatusCode, err)
				}
				if x := f.exchange(t, n); x.ClientIP.String() != tt.client || x.Peer.String() != tt.client {
					t.Errorf("client %s, peer %s, want %s", x.ClientIP, x.Peer, tt.client)
				}
				if got := echoed(t, string(body)).Header.Get("X-Forwarded-For"); got != tt.client {
					t.Errorf("X-Forwarded-For %q, want %s", got, tt.client)
				}
			})
		}
	}
}

// TestProxyProtocolForwardingFields: whoever is behind the balancer is no trusted proxy because
// the balancer is one.
func TestProxyProtocolForwardingFields(t *testing.T) {
	f := echoFront(t, func(f *front) { f.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	config := behindBalancer("10.0.0.0/8") // the command line's trust counts as well
	f.serve(t, config)
	c := dialRaw(t, f.http())
	c.send(t, header1+"GET / HTTP/1.1", "Host: a.example", "X-Forwarded-For: 203.0.113.1", "X-Forwarded-Proto: http", "Connection: close", "", "")
	_, body, err := c.receive(t, "GET")
	if err != nil {
		t.Fatal(err)
	}
	if h := echoed(t, body).Header; h.Get("X-Forwarded-For") != "192.0.2.7" || h.Get("X-Forwarded-Proto") != "https" || h.Get("X-Forwarded-Port") != "443" {
		t.Errorf("the client's own fields are believed: %v", h)
	}
}

// TestProxyProtocolEndsTLS: a balancer that ends TLS says so by the port that the client has
// connected to, on our port in clear and nowhere else.
func TestProxyProtocolEndsTLS(t *testing.T) {
	f := echoFront(t, nil)
	f.serve(t, behindBalancer("127.0.0.0/8"))
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.7 192.0.2.1 12345 443\r\n": "https 443", "PROXY TCP4 192.0.2.7 192.0.2.1 12345 80\r\n": "http 80", "PROXY TCP4 192.0.2.7 192.0.2.1 443 8443\r\n": "http 80",
		"PROXY UNKNOWN\r\n": "http 80",
	} {
		resp, err := askAs(t, f, "http", header)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		h := echoed(t, string(body)).Header
		if got := h.Get("X-Forwarded-Proto") + " " + h.Get("X-Forwarded-Port"); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// TestSlowProxyHeader: who sends a header too slowly is closed, and holds nobody else up.
func TestSlowProxyHeader(t *testing.T) {
	var seen refused
	f := echoFront(t, func(f *front) { f.server.Refused = seen.note })
	config := behindBalancer("127.0.0.0/8")
	f.serve(t, config)
	var waiting []*raw
	for range 20 {
		c := dialRaw(t, f.http())
		c.send(t, "PROXY TCP4 ")
		waiting = append(waiting, c)
	}
	resp, err := askAs(t, f, "http", header1)
	if err != nil {
		t.Fatalf("held up: %v", err)
	}
	resp.Body.Close()
	short := config
	short.Listener.ProxyProtocol = &policy.ProxyProtocol{Trusted: config.Listener.ProxyProtocol.Trusted, Timeout: 500 * time.Millisecond}
	f.serve(t, short)
	c := dialRaw(t, f.http())
	c.send(t, "PROXY TCP4 ")
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("error %v, want the end", err)
	}
	eventually(t, "the reason", func() bool { return seen.last() == "http proxy-header-timeout" })
	f.server.Close() // ends those that wait
	for _, c := range waiting {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection that waits outlives the server")
		}
	}
}

// passing makes the rules of p.example pass TLS on.
func passing(edit func(*Rule)) (Config, *Rule) {
	r := rule("p.example", "/", tlsKey)
	if edit != nil {
		edit(r)
	}
	c := Config{Hosts: ByHost([]*Rule{r, rule("a.example", "/", webKey)})}
	for _, h := range c.Hosts {
		if h.Host == "p.example" {
			h.Passthrough = &Passthrough{Rule: r}
		}
	}
	return c, r
}

var tlsKey = upstream.Key{Namespace: "shop", Service: "secure", Port: "443"}

// passFront is a front with a backend that speaks TLS for p.example with a certificate of its own.
func passFront(t *testing.T, handler http.Handler) (*front, *tls.Certificate) {
	t.Helper()
	cert, err := proxytest.Certificate("p.example")
	if err != nil {
		t.Fatal(err)
	}
	f := echoFront(t, nil)
	f.lead(t, tlsKey, &proxytest.Backend{Handler: handler, TLS: &tls.Config{Certificates: []tls.Certificate{*cert}}})
	return f, cert
}

func TestPassthrough(t *testing.T) {
	f, cert := passFront(t, proxytest.Echo("secure"))
	config, _ := passing(nil)
	f.serve(t, config)
	own := func(state tls.ConnectionState) bool {
		return string(state.PeerCertificates[0].Raw) != string(cert.Certificate[0])
	}
	// That of the host reaches the backend, whatever its name looks like; others end here.
	for name, want := range map[string]bool{"p.example": false, "P.Example": false, "a.example": true, "x.p.example": true, "127.0.0.1": true} {
		state, err := shake(t, f, func(c *tls.Config) { c.ServerName = name })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if own(state) != want {
			t.Errorf("%s: our own certificate %t, want %t", name, own(state), want)
		}
	}
	eventually(t, "five records", func() bool { return len(f.recorded()) >= 5 })
	passed := 0
	for _, x := range f.recorded() {
		if x.Proto != "TLS" {
			continue
		}
		passed++
		if x.Host != "p.example" || x.Status != 200 || x.BytesIn < 200 || x.BytesOut < 200 || x.Attempts.Len() != 1 || x.Err != nil || x.ClientIP.String() != "127.0.0.1" || !x.Upgraded || x.Backend != tlsKey {
			t.Errorf("recorded as %+v", x)
		}
	}
	if passed != 2 {
		t.Errorf("%d connections are recorded as passed on, want 2", passed)
	}
}

// TestPassthroughOfAnEarlierTable: a connection that began under a table which passed it on brought the Pool
// back that a later table had let go of, or made one without endpoints, and both were kept.
func TestPassthroughOfAnEarlierTable(t *testing.T) {
	f, _ := passFront(t, nil)
	config, _ := passing(nil)
	f.serve(t, config)
	c := dialRaw(t, f.https())
	var in *entrance
	for _, p := range f.server.ports {
		if p.name == "https" {
			in = p.listener
		}
	}
	eventually(t, "the connection is accepted", func() bool { return in.begun.len() == 1 })
	f.serve(t, Config{Hosts: config.Hosts[:1]})
	f.pools.Release(tlsKey)
	secure := tls.Client(c, &tls.Config{ServerName: "p.example", InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Errorf("the handshake with the backend of the earlier table: %v", err)
	}
	_ = secure.Close()
	f.exchange(t, 0)
	if n := f.pools.Len(); n != 1 {
		t.Errorf("there are %d pools, want that of the live table", n)
	}
}

// TestPassthroughInPieces: a ClientHello may come in any pieces, of records and of packets.
func TestPassthroughInPieces(t *testing.T) {
	f, cert := passFront(t, nil)
	config, _ := passing(nil)
	f.serve(t, config)
	for name, size := range map[string]int{"records of 20 bytes": 20, "records of one byte": 1} {
		c, err := net.Dial("tcp", f.https())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		secure := tls.Client(&fragmenting{Conn: c, size: size}, &tls.Config{ServerName: "p.example", InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}})
		if err := secure.Handshake(); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if string(secure.ConnectionState().PeerCertificates[0].Raw) != string(cert.Certificate[0]) {
			t.Errorf("%s: our own certificate", name)
		}
		c.Close()
	}
}

// fragmenting sends the first record as many small ones, each with a packet of its own.
type fragmenting struct {
	net.Conn
	size int
	done bool
}

func (c *fragmenting) Write(p []byte) (int, error) {
	if c.done {
		return c.Conn.Write(p)
	}
	c.done = true
	version, body := p[1:3], p[5:]
	for len(body) > 0 {
		n := min(c.size, len(body))
		record := append([]byte{22, version[0], version[1]}, binary.BigEndian.AppendUint16(nil, uint16(n))...)
		if _, err := c.Conn.Write(append(record, body[:n]...)); err != nil {
			return 0, err
		}
		body = body[n:]
	}
	return len(p), nil
}

// TestPassthroughAndNoHello: what is no ClientHello gets the answer that it gets without
// passthrough, and one that is too long or never ends is closed.
func TestPassthroughAndNoHello(t *testing.T) {
	f, _ := passFront(t, nil)
	config, _ := passing(nil)
	answer := func(sent string) string {
		c := dialRaw(t, f.https())
		c.send(t, sent)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(c.r)
		return string(got)
	}
	for name, sent := range map[string]string{
		"HTTP": "GET / HTTP/1.1\r\nHost: p.example\r\n\r\n", "nothing": "", "half a record": "\x16\x03\x01\x02\x00\x01", "another record": "\x17\x03\x03\x00\x01x",
	} {
		f.serve(t, Config{Hosts: config.Hosts[:1]})
		before := answer(sent)
		f.serve(t, config)
		if after := answer(sent); after != before {
			t.Errorf("%s: got %q, and %q without passthrough", name, after, before)
		}
	}
	c := dialRaw(t, f.https())
	long := "\x16\x03\x01\x40\x00" + strings.Repeat("x", 1<<14)
	_, _ = io.WriteString(c, "\x16\x03\x01\x40\x00\x01\x00\xff\xff"+strings.Repeat("x", 1<<14-4)+strings.Repeat(long, 8))
	if _, err := io.Copy(io.Discard, c.r); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a long ClientHello: %v, want the end", err)
	}
}

// TestPassthroughIsDenied: lists of addresses count, and what cannot be asked closes the host.
func TestPassthroughIsDenied(t *testing.T) {
	f, _ := passFront(t, nil)
	for reason, edit := range map[string]func(*Config, *Rule){
		"address-denied": func(_ *Config, r *Rule) {
			r.Policies = &policy.Set{Access: &policy.Access{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}
		},
		"policy-refused": func(c *Config, _ *Rule) { c.Hosts[1].Passthrough.Refuse = true },
	} {
		config, r := passing(nil)
		edit(&config, r)
		f.serve(t, config)
		n := len(f.recorded())
		if _, err := shake(t, f, func(c *tls.Config) { c.ServerName = "p.example" }); err == nil {
			t.Errorf("%s: the connection is served", reason)
		}
		if x := f.exchange(t, n); x.Reason != reason || x.Status != map[string]int{"address-denied": 403, "policy-refused": 503}[reason] || x.Attempts.Len() != 0 {
			t.Errorf("%s: recorded as %+v", reason, x)
		}
	}
	// Its own backend is gone.
	config, _ := passing(func(r *Rule) { r.Backend = upstream.Key{Namespace: "shop", Service: "gone", Port: "443"} })
	f.serve(t, config)
	n := len(f.recorded())
	if _, err := shake(t, f, func(c *tls.Config) { c.ServerName = "p.example" }); err == nil {
		t.Error("without endpoints the connection is served")
	}
	if x := f.exchange(t, n); x.Status != 503 || x.Reason == "" {
		t.Errorf("without endpoints: %+v", x)
	}
}

// TestPassthroughIsNotDecrypted: a request for the host over a connection that was decrypted
// would get by the backend's own demands on its clients.
func TestPassthroughIsNotDecrypted(t *testing.T) {
	f, _ := passFront(t, nil)
	config, _ := passing(nil)
	f.serve(t, config)
	r := request(t, "GET", "https://"+f.https()+"/", nil)
	r.Host = "p.example"
	if resp, _ := do(t, client(t, func(tr *http.Transport) { tr.TLSClientConfig.ServerName = "a.example" }), r); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("status %d, want 421", resp.StatusCode)
	}
}

// TestPassthroughDrains: what is passed on has the drain timeout, and is cut then.
func TestPassthroughDrains(t *testing.T) {
	f, _ := passFront(t, nil)
	f.server.DrainTimeout = 100 * time.Millisecond
	config, _ := passing(nil)
	f.serve(t, config)
	secure, err := tls.Dial("tcp", f.https(), &tls.Config{ServerName: "p.example", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close()
	if n := f.Tunnels(); n != 1 {
		t.Errorf("%d tunnels, want 1", n)
	}
	if err := f.server.Shutdown(t.Context()); err == nil || !strings.Contains(err.Error(), "1 tunnels were cut") {
		t.Errorf("Shutdown: %v", err)
	}
	_ = secure.SetDeadline(time.Now().Add(patience))
	if _, err := secure.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives on")
	}
	eventually(t, "no tunnel", func() bool { return f.Tunnels() == 0 })
}

// TestPassthroughBehindBalancer: both at once.
func TestPassthroughBehindBalancer(t *testing.T) {
	f, cert := passFront(t, nil)
	config, _ := passing(nil)
	config.Listener = behindBalancer("127.0.0.0/8").Listener
	f.serve(t, config)
	c := dialRaw(t, f.https())
	c.send(t, header2)
	secure := tls.Client(c.Conn, &tls.Config{ServerName: "p.example", InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	if string(secure.ConnectionState().PeerCertificates[0].Raw) != string(cert.Certificate[0]) {
		t.Error("our own certificate")
	}
	_ = secure.Close()
	if x := f.exchange(t, 0); x.ClientIP.String() != "192.0.2.8" {
		t.Errorf("client %s, want 192.0.2.8", x.ClientIP)
	}
}
