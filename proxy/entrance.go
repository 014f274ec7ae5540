package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/proxyproto"
)

// entrance is the listener of a port, and what connections go through before they are served: the
// PROXY header, and the choice of those that are passed on as they are. Where the live table wants
// neither, Accept returns connections as they come. Else each has a goroutine, which ends by
// giving it to serve. It is made by newEntrance.
type entrance struct {
	net.Listener
	proxy  *Proxy
	name   string         // of the port
	secure bool           // it is served with TLS
	serve  func(net.Conn) // the engine's take; set before Accept
	refuse refusals
	crowd  *crowd

	begun   openSet[net.Conn] // what they begin with is being read
	pending openSet[net.Conn] // these, and those that are not served yet
	retired atomic.Bool       // no more are accepted
	leave   func() error      // closes Listener, once
	closed  chan struct{}
	close   func() // once
}

func newEntrance(l net.Listener) *entrance {
	e := &entrance{Listener: l, leave: sync.OnceValue(l.Close), closed: make(chan struct{})}
	e.close = sync.OnceFunc(func() { close(e.closed) })
	return e
}

// Accept implements net.Listener.
func (e *entrance) Accept() (net.Conn, error) {
	for {
		e.crowd.wait(e.name, e.retired.Load)
		c, err := e.Listener.Accept()
		if err != nil {
			if e.retired.Load() {
				<-e.closed // the engine takes connections until then
			}
			return nil, err
		}
		h := e.proxy.table.Load().hosting
		if h.listener.ProxyProtocol == nil && (!e.secure || h.passed == nil) {
			return c, nil
		}
		go e.receive(c, h, e.pending.add(c))
	}
}

// lastBegin is what a connection has to begin in, once the port is closed.
const lastBegin = time.Second

// retire closes the port, and returns when the connections that it had accepted have got through,
// so that the engine and Proxy.tunnels know of them, or when ctx is done. Accept waits for Close.
func (e *entrance) retire(ctx context.Context) error {
	e.retired.Store(true)
	_ = e.leave()
	e.begun.each(func(c net.Conn) { _ = c.SetReadDeadline(time.Now().Add(lastBegin)) })
	return e.pending.wait(ctx)
}

// Close implements net.Listener. Connections that have not got through yet are closed.
func (e *entrance) Close() error {
	e.retired.Store(true)
	e.close()
	e.pending.each(func(c net.Conn) { _ = c.Close() })
	return e.leave()
}

// allow sets when a connection of begun must have sent what is read next.
func (e *entrance) allow(c net.Conn, d time.Duration) {
	_ = c.SetReadDeadline(time.Now().Add(d))
	if e.retired.Load() { // perhaps too late for retire to find it
		_ = c.SetReadDeadline(time.Now().Add(min(d, lastBegin)))
	}
}

// receive brings a connection to where it is served, and calls through when it is known there.
func (e *entrance) receive(raw net.Conn, h *hosting, through func()) {
	defer through()
	read := e.begun.add(raw)
	select {
	case <-e.closed:
		_ = raw.Close()
	default:
	}
	c, err := raw, error(nil)
	var hello clientHello
	if h.listener.ProxyProtocol != nil {
		c, err = e.readHeader(raw, h.listener.ProxyProtocol)
	}
	if err == nil && e.secure && h.passed != nil {
		e.allow(c, defaultHeadTimeout)
		hello, err = readClientHello(c)
	}
	read()
	_ = c.SetReadDeadline(time.Time{})
	switch {
	case err != nil:
		_ = c.Close()
		if !e.retired.Load() && !leftAtOnce(err) {
			e.refuse.tell(e.name, c.RemoteAddr(), err)
		}
	case hello.read == nil:
		e.serve(c)
	default:
		if host, to := h.passes(serverName(hello.name)); to != nil {
			e.proxy.passThrough(c, hello.read, host, to, through)
			return
		}
		e.serve(&begunConn{Conn: c, read: hello.read})
	}
}

// leftAtOnce reports whether the peer has gone without a byte, as health checks and scanners do, be
// it by a reset.
func leftAtOnce(err error) bool { return err == io.EOF || err == errResetAtOnce }

// What may be wrong with how a connection begins.
var (
	errUntrusted = errors.New("the peer may not send a PROXY header: it is not in proxy-real-ip-cidr, nor in --trusted-proxies")
	errNoTime    = errors.New("the PROXY header did not come in time")
	// errResetAtOnce is no refusal.
	errResetAtOnce = errors.New("the peer has reset the connection before it sent anything")
)

// maySendHeader reports whether a peer is one of those whose PROXY header is believed.
func (p *Proxy) maySendHeader(want *policy.ProxyProtocol, peer netip.Addr) bool {
	return contains(want.Trusted, peer) || contains(p.TrustedProxies, peer)
}

// Opening is what a connection to the data ports begins with that peer makes for itself, which is
// nothing where no PROXY header is wanted. False: it is closed whatever it begins with.
func (p *Proxy) Opening(peer netip.Addr) (string, bool) {
	want := p.table.Load().hosting.listener.ProxyProtocol
	if want == nil {
		return "", true
	}
	return proxyproto.Own, p.maySendHeader(want, peer)
}

// readHeader reads the PROXY header and returns the connection as one of the client's.
func (e *entrance) readHeader(c net.Conn, p *policy.ProxyProtocol) (net.Conn, error) {
	if !e.proxy.maySendHeader(p, addrOf(c.RemoteAddr())) {
		return c, errUntrusted
	}
	e.allow(c, p.Timeout)
	first := &countedReader{Reader: c}
	told, err := proxyproto.Read(first)
	switch {
	case errors.Is(err, syscall.ECONNRESET) && first.n == 0:
		return c, errResetAtOnce
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c, errNoTime
	case err != nil:
		return c, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok || told == (proxyproto.Addresses{}) {
		return c, nil
	}
	return &clientConn{tcp, net.TCPAddrFromAddrPort(told.Source), &toldAddr{net.TCPAddrFromAddrPort(told.Destination)}}, nil
}

// countedReader counts what is read.
type countedReader struct {
	io.Reader
	n int
}

// Read implements io.Reader.
func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += n
	return n, err
}

// refusal is why a connection is closed before it is served.
type refusal uint8

const (
	headerUntrusted refusal = iota
	headerTimeout
	headerMissing
	headerInvalid
	helloRefused
	numRefusals
)

// refusalReasons are the codes of refusals, for the metrics.
var refusalReasons = [numRefusals]string{
	headerUntrusted: "proxy-header-untrusted",
	headerTimeout:   "proxy-header-timeout",
	headerMissing:   "proxy-header-missing",
	headerInvalid:   "proxy-header-invalid",
	helloRefused:    "client-hello-refused",
}

func refusalOf(err error) refusal {
	switch {
	case errors.Is(err, errUntrusted):
		return headerUntrusted
	case errors.Is(err, errNoTime):
		return headerTimeout
	case errors.Is(err, proxyproto.ErrNoHeader):
		return headerMissing
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errLongHello):
		return helloRefused
	}
	return headerInvalid
}

// refusals tells of connections that are closed before they are served: each is counted, and one a
// minute of each kind is logged, as whoever connects can make as many as he likes.
type refusals struct {
	count func(port, reason string) // nil for nobody
	warn  func(reason string, peer net.Addr, err error)
	told  [numRefusals]atomic.Int64 // when, in seconds since 1970
}

func (r *refusals) tell(port string, peer net.Addr, err error) {
	kind := refusalOf(err)
	reason := refusalReasons[kind]
	if r.count != nil {
		r.count(port, reason)
	}
	last, now := &r.told[kind], time.Now().Unix()
	if then := last.Load(); now-then >= 60 && last.CompareAndSwap(then, now) {
		r.warn(reason, peer, err)
	}
}

// clientConn is a connection of a client that a trusted peer made for it.
type clientConn struct {
	*net.TCPConn
	client net.Addr
	local  *toldAddr
}

// toldAddr is where a client connected to, as a trusted peer tells it.
type toldAddr struct{ *net.TCPAddr }

// RemoteAddr implements net.Conn.
func (c *clientConn) RemoteAddr() net.Addr { return c.client }

// LocalAddr implements net.Conn.
func (c *clientConn) LocalAddr() net.Addr { return c.local }

// NetConn returns the connection that the peer made.
func (c *clientConn) NetConn() net.Conn { return c.TCPConn }

// clientHello is the beginning of a TLS connection.
type clientHello struct {
	name string // the server name as it came; may be empty
	read []byte // what was read, a whole ClientHello at least if that is what it is
}

const maxHello = 64 << 10 // crypto/tls takes no longer one

var (
	errLongHello = fmt.Errorf("the ClientHello has more than %d bytes", maxHello)
	errPeeked    = errors.New("all that was wanted is known")
)

// readClientHello reads a ClientHello from c, in whatever pieces it comes, by the same code that a
// handshake is done by: no other could be told another name. What is no ClientHello is not an
// error here: the handshake will say so to the client.
func readClientHello(c net.Conn) (clientHello, error) {
	var hello clientHello
	r := &peekedConn{Conn: c}
	err := tls.Server(r, &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		hello.name = info.ServerName
		return nil, errPeeked
	}}).Handshake()
	hello.read = r.read
	if errors.Is(err, errLongHello) || errors.Is(err, os.ErrDeadlineExceeded) {
		return hello, err
	}
	if hello.read == nil {
		hello.read = []byte{} // it has ended
	}
	return hello, nil
}

// peekedConn keeps what is read of a connection, and writes nothing to it.
type peekedConn struct {
	net.Conn
	read []byte
}

// Read implements net.Conn.
func (c *peekedConn) Read(p []byte) (int, error) {
	if len(c.read) >= maxHello {
		return 0, errLongHello
	}
	n, err := c.Conn.Read(p[:min(len(p), maxHello-len(c.read))])
	c.read = append(c.read, p[:n]...)
	return n, err
}

// Write implements net.Conn.
func (c *peekedConn) Write(p []byte) (int, error) { return len(p), nil }

// Close implements net.Conn.
func (c *peekedConn) Close() error { return nil }

// begunConn is a connection of which some was read already.
type begunConn struct {
	net.Conn
	read []byte
}

// Read implements net.Conn.
func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		if c.read = c.read[n:]; len(c.read) == 0 {
			c.read = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

// NetConn returns the connection below.
func (c *begunConn) NetConn() net.Conn { return c.Conn }
