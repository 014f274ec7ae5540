package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Server serves HTTP/1 on connections, as doc.go says. Its exported fields are set before the
// first connection and not changed after. It must not be copied.
type Server struct {
	// Handler answers the requests, those with CONNECT, TRACE and "OPTIONS *" too.
	Handler http.Handler

	// HeadTimeout is how long a request's head may take from its first byte, and the first
	// one from the opening of the connection, with the TLS handshake: 10 s if zero.
	HeadTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request: 60 s if zero.
	IdleTimeout time.Duration
	// BodyTimeout is how long a client may send nothing of a body that is being read, as long
	// as the response has not begun: after that the body may be half of a dialogue, in which the
	// client has nothing to say. 30 s if zero. A handler that sets a deadline by
	// http.ResponseController replaces this, and MinBodyRate and WriteTimeout, for the rest of
	// its request.
	BodyTimeout time.Duration
	// MinBodyRate is what a client has to send of a body in every BodyTimeout, in bytes a
	// second, likewise: 1024 if zero, nothing if negative.
	MinBodyRate int
	// WriteTimeout is how long a client may take nothing of a response: 60 s if zero.
	WriteTimeout time.Duration

	// HTTP2 takes over a connection whose client begins with the HTTP/2 connection preface,
	// with what was read of it; over TLS only if ALPN has chosen "h2". It is called on the
	// connection's goroutine, which ends after it. Nil: such clients get 505.
	HTTP2 func(c net.Conn, read []byte)
	// ReasonHeader is the name of a field that tells the Reason in answers to requests that
	// are refused; none if empty.
	ReasonHeader string
	// OnError is told why a request was refused, by a *Fault, that a handshake or an Accept
	// did not succeed; c is nil for the latter. The connection must not be used. Nil for none.
	OnError func(c net.Conn, err error)
	// OnPanic is told of a panic in the Handler, but http.ErrAbortHandler, before the
	// connection is closed; it is called while panicking. r is valid until it returns. Nil for none.
	OnPanic func(r *http.Request, value any, stack []byte)
	// ConnState is told of each change of a connection. Nil for none.
	ConnState func(net.Conn, http.ConnState)

	wheel    wheel
	draining atomic.Bool // responses are the last of their connections
	closing  atomic.Bool // and no request is waited for

	mu        sync.Mutex
	listeners map[net.Listener]struct{}

	poison bool // tests: overwrite what is used again
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func (s *Server) headTimeout() time.Duration  { return orDuration(s.HeadTimeout, 10*time.Second) }
func (s *Server) idleTimeout() time.Duration  { return orDuration(s.IdleTimeout, 60*time.Second) }
func (s *Server) bodyTimeout() time.Duration  { return orDuration(s.BodyTimeout, 30*time.Second) }
func (s *Server) writeTimeout() time.Duration { return orDuration(s.WriteTimeout, 60*time.Second) }

// minBodyRate is in bytes a second.
func (s *Server) minBodyRate() int64 {
	if s.MinBodyRate == 0 {
		return 1024
	}
	return int64(max(s.MinBodyRate, 0))
}

// Serve accepts connections until the listener fails or the server is shut down; then the error
// is http.ErrServerClosed. It closes l. Nagle's algorithm is off and keep-alive probes are on
// for connections of a net.Listener, as package net has it.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.track(l) {
		return http.ErrServerClosed
	}
	defer s.untrack(l)
	var delay time.Duration
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			delay = 0
			s.start(c, nil, true)
			continue
		case s.closing.Load():
			return http.ErrServerClosed
		case !passing(err):
			return err
		}
		s.failed(nil, err)
		delay = min(max(2*delay, 5*time.Millisecond), 100*time.Millisecond)
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			s.Shed()
		}
		time.Sleep(delay)
	}
}

// passing reports whether a later Accept may succeed after one has failed with err: all errors of
// the system but those of the listener itself are of one connection, or of the moment.
func passing(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno != syscall.EBADF && errno != syscall.EINVAL && errno != syscall.ENOTSOCK
	}
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// ServeConn serves c, of which read was read already, and returns when that is done: c is closed,
// or was taken over. A *tls.Conn must have agreed on HTTP/1.1 or on nothing, or not have
// shaken hands yet.
func (s *Server) ServeConn(c net.Conn, read []byte) {
	s.start(c, read, false)
}

// StartConn is ServeConn on a goroutine of its own. When it returns, Shutdown waits for c.
func (s *Server) StartConn(c net.Conn) {
	s.start(c, nil, true)
}

func (s *Server) start(nc net.Conn, read []byte, spawn bool) {
	c := &conn{server: s, nc: nc, remote: addressText(nc.RemoteAddr())}
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.peer = tcp.AddrPort().Addr().Unmap().WithZone("") // no prefix has a zoned address in it
	}
	c.in = input{src: c, poison: s.poison}
	if tcp, ok := below(nc).(*net.TCPConn); ok {
		if socket, err := tcp.SyscallConn(); err == nil {
			c.socket = socket
			if _, secure := nc.(*tls.Conn); !secure {
				c.tcp = tcp
			}
		}
	}
	c.in.preload(read)
	c.slot = s.wheel.add(c)
	c.slot.in.set(waitNew, s.wheel.due(s.headTimeout()))
	if s.ConnState != nil {
		s.ConnState(nc, http.StateNew)
	}
	if s.closing.Load() {
		c.end()
		return
	}
	_, secure := nc.(*tls.Conn)
	switch {
	case spawn && secure:
		go c.open()
	case spawn:
		go c.serve()
	case c.handshake():
		c.serve()
	default:
		c.end()
	}
}

// forget ends what the server knows of c.
func (s *Server) forget(c *conn, state http.ConnState) {
	s.wheel.remove(c.slot)
	if s.ConnState != nil {
		s.ConnState(c.nc, state)
	}
}

// Connections is the number of open connections.
func (s *Server) Connections() int { return s.wheel.len() }

// Drain makes every response from now on the last of its connection. Connections are still
// accepted and served.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown closes the listeners and the connections that wait for a request, and returns when
// those with a request under way are done; or with the error of ctx. Connections that
// were taken over are not waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.closing.Store(true)
	s.closeListeners()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		// A new connection gets a second to send its first request, as a client that has
		// opened one will.
		newest := s.wheel.due(s.headTimeout() - min(s.headTimeout()/2, time.Second))
		s.wheel.cutAll(func(w wait, due int64) bool { return w == waitFresh || w == waitIdle || w == waitNew && due <= newest })
		done := s.wheel.drained()
		if done == nil {
			return nil
		}
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Close closes the listeners and all connections at once, but for those that were taken over.
func (s *Server) Close() error {
	s.Drain()
	s.closing.Store(true)
	s.closeListeners()
	s.wheel.mu.Lock()
	defer s.wheel.mu.Unlock()
	s.wheel.each(func(slot *slot) { slot.conn.sever() })
	return nil
}

// Shed closes a few of the connections that wait for a request, those that have waited longest:
// others need their place, or their descriptors.
func (s *Server) Shed() {
	var longest [16]int64 // when their time is over, in order
	n := 0
	s.wheel.cutAll(func(w wait, due int64) bool {
		if w != waitIdle {
			return false
		}
		if n < len(longest) {
			n++
		} else if due >= longest[n-1] {
			return false
		}
		i := n - 1
		for ; i > 0 && longest[i-1] > due; i-- {
			longest[i] = longest[i-1]
		}
		longest[i] = due
		return false
	})
	s.wheel.cutAll(func(w wait, due int64) bool {
		if w != waitIdle || n == 0 || due > longest[len(longest)-1] && longest[len(longest)-1] != 0 {
			return false
		}
		n--
		return true
	})
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	if s.listeners == nil {
		s.listeners = make(map[net.Listener]struct{})
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		_ = l.Close()
	}
}

// addressText is the text of an address; "" for none.
func addressText(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}
