package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// dnsServer answers queries for the names it has, over UDP. Another name does not exist.
type dnsServer struct {
	conn net.PacketConn

	mu      sync.Mutex
	answers map[string][]netip.Addr // by name, with a dot at the end
	asked   map[string]int          // queries for A
	hold    chan struct{}           // not nil: answers come once it is closed
}

func newDNSServer(t *testing.T) *dnsServer {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dnsServer{conn: c, answers: make(map[string][]netip.Addr), asked: make(map[string]int)}
	var serving, answering sync.WaitGroup
	serving.Go(func() {
		for {
			buf := make([]byte, 1500)
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) == nil && len(m.Questions) == 1 {
				answering.Go(func() { s.answer(m, from) })
			}
		}
	})
	t.Cleanup(func() {
		c.SetReadDeadline(time.Now())
		serving.Wait()
		answering.Wait() // who gets no answer waits for five seconds
		c.Close()
	})
	return s
}

func (s *dnsServer) answer(m dnsmessage.Message, to net.Addr) {
	q := m.Questions[0]
	s.mu.Lock()
	if q.Type == dnsmessage.TypeA {
		s.asked[q.Name.String()]++
	}
	hold := s.hold
	addresses, exists := s.answers[strings.ToLower(q.Name.String())]
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	m.Response, m.RecursionAvailable = true, true
	m.Additionals = nil
	if !exists {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addresses {
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET, TTL: 60}
		if q.Type == dnsmessage.TypeA && a.Is4() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		}
		if q.Type == dnsmessage.TypeAAAA && a.Is6() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	if packed, err := m.Pack(); err == nil {
		s.conn.WriteTo(packed, to)
	}
}

func (s *dnsServer) set(name string, addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.answers, name)
	for _, a := range addresses {
		s.answers[name] = append(s.answers[name], netip.MustParseAddr(a))
	}
}

// silence holds all answers back until release is called.
func (s *dnsServer) silence() (release func()) {
	hold := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = hold
	return func() { close(hold) }
}

func (s *dnsServer) queries(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

// resolver returns a Resolver that asks s alone.
func (s *dnsServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func newNames(t *testing.T, s *dnsServer, now func() time.Time) *names {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &names{ctx: ctx, resolver: s.resolver(), timeout: 10 * time.Second, now: now}
}

func lookup(t *testing.T, ns *names, host string) string {
	t.Helper()
	addresses, err := ns.lookup(t.Context(), host)
	if err != nil {
		return "error"
	}
	s := make([]string, len(addresses))
	for i, a := range addresses {
		s[i] = a.Unmap().String()
	}
	return strings.Join(s, " ")
}

func TestNamesRemember(t *testing.T) {
	const name = "db.example."
	s, c := newDNSServer(t), newClock()
	ns := newNames(t, s, c.now)
	step := func(move time.Duration, want string, queries int) {
		t.Helper()
		c.move(move)
		if got := lookup(t, ns, "db.example"); got != want || s.queries(name) != queries {
			t.Errorf("want %s after %d queries, got %s after %d", want, queries, got, s.queries(name))
		}
	}
	s.set(name, "10.0.0.1")
	step(0, "10.0.0.1", 1)
	s.set(name, "10.0.0.2")
	step(nameTTL-1, "10.0.0.1", 1)
	step(1, "10.0.0.2", 2)
	s.set(name)
	step(nameTTL, "error", 3)
	s.set(name, "10.0.0.3")
	step(nameFailureTTL-1, "error", 3)
	step(1, "10.0.0.3", 4)
}

// Connections take the addresses in turn.
func TestNamesRotate(t *testing.T) {
	s := newDNSServer(t)
	ns := newNames(t, s, time.Now)
	s.set("db.example.", "10.0.0.1", "10.0.0.2", "2001:db8::3")
	first := make(map[string]int)
	for range 9 {
		all := strings.Fields(lookup(t, ns, "db.example"))
		if len(all) != 3 {
			t.Fatalf("want three addresses, got %v", all)
		}
		first[all[0]]++
	}
	for a, n := range first {
		if n != 3 {
			t.Errorf("want %s first 3 times of 9, got %d", a, n)
		}
	}
}

// However many wait for a name, it is asked for once, and who gives up does not spoil it for them.
func TestNamesAskOnce(t *testing.T) {
	s := newDNSServer(t)
	release := s.silence()
	s.set("db.example.", "10.0.0.1")
	ns := newNames(t, s, time.Now)
	impatient, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := ns.lookup(impatient, "db.example")
		gone <- err
	}()
	eventually(t, "the name is asked for", func() bool { return s.queries("db.example.") == 1 })
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			if got := lookup(t, ns, "db.example"); got != "10.0.0.1" {
				t.Errorf("got %s", got)
			}
		})
	}
	cancel()
	if err := <-gone; err == nil {
		t.Error("want an error for who gave up")
	}
	release()
	waiting.Wait()
	if n := s.queries("db.example."); n != 1 {
		t.Errorf("want one query, got %d", n)
	}
}

// A name is absolute: the search list would make "redis.cache" a Service of the cluster.
func TestNamesAbsolute(t *testing.T) {
	s := newDNSServer(t)
	ns := newNames(t, s, time.Now)
	s.set("redis.cache.", "10.0.0.1")
	for _, host := range []string{"redis.cache", "redis.cache."} {
		if got := lookup(t, ns, host); got != "10.0.0.1" {
			t.Errorf("%s: got %s", host, got)
		}
	}
	lookup(t, ns, "no.where")
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.asked {
		if name != "redis.cache." && name != "no.where." {
			t.Errorf("%s was asked for", name)
		}
	}
}

func TestNamesSweep(t *testing.T) {
	s, c := newDNSServer(t), newClock()
	ns := newNames(t, s, c.now)
	for i := range 3 * namesKept {
		lookup(t, ns, strings.Repeat("x", i%60+1)+string(rune('a'+i/60))+".example")
		c.move(nameFailureTTL / namesKept * 2)
	}
	if n := len(ns.byName); n > namesKept {
		t.Errorf("want at most %d names kept, got %d", namesKept, n)
	}
}

// machineAddress returns an address of this machine other than loopback: nothing that is sent
// to it leaves the machine.
func machineAddress(t *testing.T) netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			if ip := prefix.Addr(); ip.Is4() && ip.IsGlobalUnicast() {
				return ip
			}
		}
	}
	t.Skip("this machine has loopback only")
	return netip.Addr{}
}

func TestDoName(t *testing.T) {
	ip := machineAddress(t)
	certificate, err := proxytest.Certificate("db.example")
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, &proxytest.Backend{Address: netip.AddrPortFrom(ip, 0).String(), TLS: serverTLS(certificate)})
	s := newDNSServer(t)
	r := newRegistry(t, Options{Resolver: s.resolver(), TLSConfig: clientTLS(certificate, true, ""), ConnectTimeout: 5 * time.Second})
	p := r.Pool(testKey)
	p.Set(Resolution{Protocol: HTTPS, Addresses: []Address{{"db.example", b.Addr().Port()}}})
	_, _, err = do(t, p, request(t, "GET", "/", nil), nil)
	wantReason(t, err, DNSFailed, 502)

	// One of the addresses works: it is found, and the others do no harm.
	s.set("db.example.", "127.0.0.1", ip.String(), "169.254.169.254")
	r = newRegistry(t, Options{Resolver: s.resolver(), TLSConfig: clientTLS(certificate, true, ""), MaxIdlePerEndpoint: -1})
	p = r.Pool(testKey)
	p.Set(Resolution{Protocol: HTTPS, Addresses: []Address{{"db.example", b.Addr().Port()}}})
	for range 6 {
		if e := echoed(t, get(t, p)); e.ServerName != "db.example" || e.Host != "shop.example" {
			t.Errorf("want the SNI db.example and the client's host, got %+v", e)
		}
	}
	// If none does, the error is that of an address which was tried.
	b.Close()
	for range 3 {
		_, _, err = do(t, p, request(t, "GET", "/", nil), nil)
		wantReason(t, err, ConnectRefused, 502)
	}
}

// C18: a name never leads to loopback, whatever is permitted, nor to a link-local address.
func TestDoNameDenied(t *testing.T) {
	b := start(t, &proxytest.Backend{})
	s := newDNSServer(t)
	s.set("inside.example.", "127.0.0.1", "::1")
	s.set("metadata.example.", "169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254")
	s.set("nowhere.example.", "0.0.0.0", "::")
	for _, host := range []string{"inside.example", "metadata.example", "nowhere.example"} {
		r := newRegistry(t, Options{Resolver: s.resolver()})
		p := r.Pool(testKey)
		p.Set(Resolution{Addresses: []Address{{host, b.Addr().Port()}}})
		var a Attempts
		_, _, err := do(t, p, request(t, "GET", "/", nil), &a)
		wantReason(t, err, AddressDenied, 502)
	}
	// Names of loopback, and spellings of its address, that only some resolvers know.
	for _, host := range []string{"localhost", "localhost.", "127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "[127.0.0.1]", ""} {
		r := newRegistry(t, Options{Resolver: s.resolver()})
		p := r.Pool(testKey)
		p.Set(Resolution{Addresses: []Address{{host, b.Addr().Port()}}})
		if _, _, err := do(t, p, request(t, "GET", "/", nil), nil); err == nil {
			t.Errorf("%q led to loopback", host)
		}
	}
	if n := b.Accepted(); n != 0 {
		t.Errorf("want no connection, got %d", n)
	}
	// Without AllowLocal, a literal does not either.
	r := NewRegistry(Options{})
	defer r.Close()
	p := r.Pool(testKey)
	for _, host := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "::1%lo"} {
		p.Set(Resolution{Addresses: []Address{{host, b.Addr().Port()}}})
		_, _, err := do(t, p, request(t, "GET", "/", nil), nil)
		wantReason(t, err, AddressDenied, 502)
	}
}

// C18: no connection goes to a listener of this process, by whichever of its addresses.
func TestDoOwnListener(t *testing.T) {
	self := start(t, &proxytest.Backend{Address: "0.0.0.0:0"})
	port := self.Addr().Port()
	own := func() []netip.AddrPort { return []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)} }
	addresses := []string{"127.0.0.1", "127.0.0.2"}
	if ip := machineAddress(t); ip.IsValid() {
		addresses = append(addresses, ip.String())
	}
	for _, host := range addresses {
		p := newRegistry(t, Options{OwnListeners: own}).Pool(testKey)
		p.Set(Resolution{Addresses: []Address{{host, port}}})
		_, _, err := do(t, p, request(t, "GET", "/", nil), nil)
		wantReason(t, err, AddressDenied, 502)
		other := start(t, &proxytest.Backend{Address: net.JoinHostPort(host, "0")})
		p.Set(Resolution{Addresses: []Address{{host, other.Addr().Port()}}})
		get(t, p)
	}
	if n := self.Requests(); n != 0 {
		t.Errorf("want no request, got %d", n)
	}
}

// A name that does not answer holds nobody longer than the time to connect.
func TestDoNameSilent(t *testing.T) {
	s := newDNSServer(t)
	t.Cleanup(s.silence())
	r := newRegistry(t, Options{Resolver: s.resolver(), ConnectTimeout: 100 * time.Millisecond})
	p := r.Pool(testKey)
	p.Set(Resolution{Addresses: []Address{{"db.example", 80}}})
	_, _, err := do(t, p, request(t, "GET", "/", nil), nil)
	wantReason(t, err, DNSFailed, 502)
	// After Close it holds nobody at all.
	r = newRegistry(t, Options{Resolver: s.resolver(), ConnectTimeout: time.Minute})
	r.Close()
	if _, err := r.dialer.names.lookup(t.Context(), "late.example"); !errors.Is(err, context.Canceled) {
		t.Errorf("want the lookup ended by Close, got %v", err)
	}
}
