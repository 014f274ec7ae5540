// Package proxytest has backends to put behind a proxy: real servers on loopback, which behave
// well, badly, or byte for byte as a script says. They are for tests and for the demo.
package proxytest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Backend is a server on loopback. The fields are set before Listen and not changed after.
type Backend struct {
	// Address is where it listens: "host:port". Default "127.0.0.1:0", a free port.
	Address string
	// Handler answers the requests. HTTP/1.1 and HTTP/2 are spoken: in clear with prior
	// knowledge, over TLS by ALPN. Nil: Echo("").
	Handler http.Handler
	// Raw, when not nil, is given each connection instead of HTTP being spoken on it. The
	// connection is closed when Raw returns.
	Raw func(*net.TCPConn)
	// TLS, when not nil, makes the backend speak TLS. It is not used with Raw.
	TLS *tls.Config

	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup
	requests atomic.Int64
	accepted atomic.Int64

	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

// Listen starts the backend. It may be called again after Close.
func (b *Backend) Listen() error {
	address := b.Address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	b.listener = l
	b.mu.Lock()
	b.open = make(map[*trackedConn]struct{})
	b.mu.Unlock()
	if b.Raw != nil {
		b.serving.Go(func() { b.serveRaw(l) })
		return nil
	}
	handler := b.Handler
	if handler == nil {
		handler = Echo("")
	}
	b.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.requests.Add(1)
			handler.ServeHTTP(w, r)
		}),
		Protocols: new(http.Protocols),
		ErrorLog:  log.New(io.Discard, "", 0), // what clients do wrong, they are meant to
	}
	b.server.Protocols.SetHTTP1(true)
	b.server.Protocols.SetHTTP2(true)
	b.server.Protocols.SetUnencryptedHTTP2(true)
	tracked := &trackedListener{l.(*net.TCPListener), b}
	if b.TLS != nil {
		b.server.TLSConfig = b.TLS.Clone()
		b.serving.Go(func() { b.server.ServeTLS(tracked, "", "") })
	} else {
		b.serving.Go(func() { b.server.Serve(tracked) })
	}
	return nil
}

// Addr returns the address that the backend listens on, the latest one after Close.
func (b *Backend) Addr() netip.AddrPort { return b.listener.Addr().(*net.TCPAddr).AddrPort() }

// URL returns the address as a URL without a path.
func (b *Backend) URL() string {
	if b.TLS != nil {
		return "https://" + b.Addr().String()
	}
	return "http://" + b.Addr().String()
}

// Requests returns how many requests came. With Raw it stays zero.
func (b *Backend) Requests() int64 { return b.requests.Load() }

// Accepted returns how many connections came.
func (b *Backend) Accepted() int64 { return b.accepted.Load() }

// Open returns how many connections are open.
func (b *Backend) Open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.open)
}

// Close stops listening, closes all connections and waits until they are no longer served.
func (b *Backend) Close() { b.stop(false) }

// Kill is Close with a reset of all connections, as when a process dies with data unread.
func (b *Backend) Kill() { b.stop(true) }

// CloseConnections closes the connections but goes on listening.
func (b *Backend) CloseConnections() { b.closeConnections(false) }

func (b *Backend) stop(reset bool) {
	if b.listener == nil {
		return
	}
	b.listener.Close()
	b.closeConnections(reset)
	if b.server != nil {
		b.server.Close()
	}
	b.serving.Wait()
	b.closeConnections(reset) // what was accepted last
}

func (b *Backend) closeConnections(reset bool) {
	b.mu.Lock()
	open := make([]*trackedConn, 0, len(b.open))
	for c := range b.open {
		open = append(open, c)
	}
	b.mu.Unlock()
	for _, c := range open {
		if reset {
			c.SetLinger(0)
		}
		c.Close()
	}
}

func (b *Backend) serveRaw(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		t := b.track(c.(*net.TCPConn))
		b.serving.Go(func() {
			defer t.Close()
			b.Raw(t.TCPConn)
		})
	}
}

func (b *Backend) track(c *net.TCPConn) *trackedConn {
	b.accepted.Add(1)
	t := &trackedConn{TCPConn: c, backend: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[t] = struct{}{}
	return t
}

type trackedListener struct {
	*net.TCPListener
	backend *Backend
}

func (l *trackedListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return l.backend.track(c), nil
}

// trackedConn is a connection that its backend can close.
type trackedConn struct {
	*net.TCPConn
	backend *Backend
}

func (c *trackedConn) Close() error {
	c.backend.mu.Lock()
	delete(c.backend.open, c)
	c.backend.mu.Unlock()
	return c.TCPConn.Close()
}
