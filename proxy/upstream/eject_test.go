package upstream

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
	"github.com/fairlead-ingress/fairlead/proxy/proxytest"
)

// ejected returns how many endpoints of p are left out.
func ejected(p *Pool) int {
	n := 0
	for _, e := range p.Endpoints() {
		if e.Ejected() {
			n++
		}
	}
	return n
}

func attempts(e *Endpoint) uint64 {
	all, _ := e.Attempts()
	return all
}

// endpointAt returns the endpoint of p at that address.
func endpointAt(t *testing.T, p *Pool, a netip.AddrPort) *Endpoint {
	t.Helper()
	for _, e := range p.Endpoints() {
		if e.Address().Port == a.Port() {
			return e
		}
	}
	t.Fatalf("no endpoint %s", a)
	return nil
}

// D5: after three failures in a row an endpoint is left out for five seconds; then the next
// request decides.
func TestEject(t *testing.T) {
	c := newClock()
	var told []*Endpoint
	bad := &proxytest.Backend{Address: proxytest.Refused(t).String()}
	badAddress := netip.MustParseAddrPort(bad.Address)
	p := newTestPool(t, Options{now: c.now, OnEject: func(e *Endpoint) { told = append(told, e) }}, HTTP,
		badAddress, start(t, &proxytest.Backend{}).Addr(), start(t, &proxytest.Backend{}).Addr())
	e := endpointAt(t, p, badAddress)
	gets := func(n int) {
		t.Helper()
		for range n {
			get(t, p)
		}
	}
	eventually(t, "the endpoint is ejected", func() bool { gets(1); return e.Ejected() })
	if attempts(e) != 3 || len(told) != 1 || told[0] != e {
		t.Fatalf("want it told once, after three attempts, got %d times, after %d", len(told), attempts(e))
	}
	c.move(5*time.Second - 1)
	if gets(30); attempts(e) != 3 {
		t.Error("a request went to an ejected endpoint")
	}
	// One failure ejects it again.
	c.move(1)
	if e.Ejected() {
		t.Error("want it back after five seconds")
	}
	if gets(30); attempts(e) != 4 || !e.Ejected() || len(told) != 2 {
		t.Errorf("want it ejected again by one attempt, got %d, ejected=%t", attempts(e)-3, e.Ejected())
	}
	// One response makes all well.
	start(t, bad)
	c.move(5 * time.Second)
	if gets(30); attempts(e) != 14 || e.suspect() {
		t.Errorf("want it to have its share of 30 requests again, got %d", attempts(e)-4)
	}
	bad.Close()
	if gets(4); e.Ejected() {
		t.Error("want it to have three failures again")
	}
}

func TestEjectResets(t *testing.T) {
	bad := raw(t, proxytest.Reply{End: proxytest.Reset})
	p := newTestPool(t, Options{}, HTTP, bad.Addr(), start(t, &proxytest.Backend{}).Addr())
	for range 20 {
		get(t, p)
	}
	if bad.Accepted() != 3 || ejected(p) != 1 {
		t.Errorf("want it ejected after 3 resets, got %d, ejected=%d", bad.Accepted(), ejected(p))
	}
}

// A response in between, whatever its status, starts the count anew; a timeout does not count.
func TestEjectOnlyInARow(t *testing.T) {
	var n atomic.Int64
	bad := start(t, &proxytest.Backend{Raw: func(c *net.TCPConn) {
		reply := proxytest.Reply{End: proxytest.Reset}
		if n.Add(1)%3 == 0 {
			reply = proxytest.Reply{Bytes: "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", End: proxytest.Close}
		}
		proxytest.Script(reply)(c)
	}})
	good := start(t, &proxytest.Backend{})
	p := newTestPool(t, Options{}, HTTP, bad.Addr(), good.Addr())
	for range 60 {
		do(t, p, request(t, "GET", "/", nil), nil) // some are reset when the budget is spent
	}
	if ejected(p) != 0 || bad.Accepted() < 20 {
		t.Errorf("want no ejection, got %d, after %d connections", ejected(p), bad.Accepted())
	}
	slow := raw(t, proxytest.Reply{End: proxytest.Hang})
	p = newTestPool(t, Options{ResponseHeaderTimeout: 10 * time.Millisecond}, HTTP, slow.Addr(), good.Addr())
	for range 12 {
		do(t, p, request(t, "GET", "/", nil), nil)
	}
	if s := endpointAt(t, p, slow.Addr()); ejected(p) != 0 || attempts(s) != 6 {
		t.Errorf("want no ejection for timeouts, got %d, after %d attempts", ejected(p), attempts(s))
	}
}

// At most half of the endpoints are ejected.
func TestEjectAtMost(t *testing.T) {
	for _, test := range []struct {
		bad, good, want int
		max             float64
	}{{1, 0, 0, 0}, {2, 0, 1, 0}, {1, 1, 1, 0}, {3, 1, 2, 0}, {3, 2, 2, 0}, {3, 2, 3, 0.7}, {3, 0, 3, 1}, {3, 1, 0, -1}} {
		t.Run(fmt.Sprintf("%d of %d", test.bad, test.bad+test.good), func(t *testing.T) {
			var addresses []netip.AddrPort
			for range test.bad {
				addresses = append(addresses, proxytest.Refused(t))
			}
			for range test.good {
				addresses = append(addresses, start(t, &proxytest.Backend{}).Addr())
			}
			p := newTestPool(t, Options{MaxEjected: test.max, RetryBudget: -1}, HTTP, addresses...)
			for range 40 {
				do(t, p, request(t, "GET", "/", nil), nil)
			}
			if got := ejected(p); got != test.want {
				t.Errorf("want %d ejected, got %d", test.want, got)
			}
			s := p.endpoints.Load()
			if all := test.want == test.bad+test.good; len(s.live) == 0 || (len(s.live) == len(s.all)) != (all || test.want == 0) {
				t.Errorf("want the others live, or all if there are none, got %d of %d", len(s.live), len(s.all))
			}
		})
	}
}

// When healthy endpoints are removed, so that most that are left are ejected, all are used.
func TestEjectPanic(t *testing.T) {
	bad, good := proxytest.Refused(t), start(t, &proxytest.Backend{}).Addr()
	p := newTestPool(t, Options{}, HTTP, bad, good)
	for range 8 {
		get(t, p)
	}
	if ejected(p) != 1 {
		t.Fatalf("want one ejected, got %d", ejected(p))
	}
	p.Set(resolution(HTTP, bad))
	e, err := p.first(p.registry.options.now(), Pick{})
	if err != nil || e.Address().Port != bad.Port() {
		t.Errorf("want the ejected endpoint when it is the only one, got %v, %v", e, err)
	}
	// And it is left out again once there are others.
	p.Set(resolution(HTTP, bad, good))
	before := attempts(e)
	for range 10 {
		get(t, p)
	}
	if got := attempts(e); got != before || !e.Ejected() {
		t.Errorf("want it to be ejected still, got %d attempts, ejected=%t", got-before, e.Ejected())
	}
}

// So it is when more than half of those that are left are ejected.
func TestEjectPanicOfMany(t *testing.T) {
	bad, good := []netip.AddrPort{proxytest.Refused(t), proxytest.Refused(t)}, start(t, &proxytest.Backend{}).Addr()
	p := newTestPool(t, Options{}, HTTP, bad[0], bad[1], good, start(t, &proxytest.Backend{}).Addr())
	eventually(t, "two are ejected", func() bool { get(t, p); return ejected(p) == 2 })
	if n := len(p.endpoints.Load().live); n != 2 {
		t.Errorf("want two of four live, got %d", n)
	}
	p.Set(resolution(HTTP, bad[0], bad[1], good))
	if n := len(p.endpoints.Load().live); n != 3 {
		t.Errorf("want all three live, got %d", n)
	}
}

// For the retry of a request that may be retried, an ejected endpoint is better than none.
func TestEjectedIsLastResort(t *testing.T) {
	c := newClock()
	flaky := &proxytest.Backend{Address: proxytest.Refused(t).String()}
	address := netip.MustParseAddrPort(flaky.Address)
	other := start(t, &proxytest.Backend{Address: proxytest.Refused(t).String()}) // its port stays its own
	p := newTestPool(t, Options{now: c.now}, HTTP, address, other.Addr())
	for range 8 {
		get(t, p)
	}
	start(t, flaky)
	other.Close()
	var a Attempts
	if status, _, err := do(t, p, request(t, "GET", "/", nil), &a); err != nil || status != 200 || a.Len() != 2 {
		t.Errorf("want 200 of the ejected endpoint, got %d, %v, %s", status, err, show(&a))
	}
}

// Without descriptors no endpoint can be reached, and none is to blame.
func TestOwnShortage(t *testing.T) {
	for errno, want := range map[syscall.Errno]bool{
		syscall.EMFILE: true, syscall.ENFILE: true, syscall.EADDRNOTAVAIL: true,
		syscall.ECONNREFUSED: false, syscall.EHOSTUNREACH: false,
	} {
		err := &connectError{ConnectFailed, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", errno)}}
		e := &Endpoint{}
		for _, r := range []*result{
			e.judgeHTTP1(request(t, "GET", "/", nil), &http1.ClientError{Stage: http1.StageDialing, Err: err}),
			e.judgeHTTP2(t.Context(), &try{}, err),
		} {
			if r.blamed == want || r.at != connecting {
				t.Errorf("%v: want blamed=%t, got %+v", errno, !want, r)
			}
		}
	}
}

func TestConnectReason(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ECONNREFUSED: ConnectRefused, syscall.ETIMEDOUT: ConnectTimeout,
		syscall.EHOSTUNREACH: ConnectFailed, syscall.ENETUNREACH: ConnectFailed, syscall.EMFILE: ConnectFailed,
	} {
		if got := connectReason(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}); got != want {
			t.Errorf("%v: want %s, got %s", errno, want, got)
		}
	}
}
