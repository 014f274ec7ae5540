package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Default limits of the data ports.
const (
	defaultHeadTimeout   = 10 * time.Second
	defaultIdleTimeout   = 60 * time.Second
	defaultClientTimeout = 60 * time.Second
	defaultShutdownDelay = 10 * time.Second
	defaultDrainTimeout  = 240 * time.Second
	maxHeadBytes         = 32 << 10
)

// Server accepts connections on the data ports and gives their requests to a Proxy. Its
// fields are set before Listen and not changed afterwards.
type Server struct {
	Proxy *Proxy
	// HTTPAddress and HTTPSAddress are "host:port"; port 0 takes a free one. Empty: that
	// port is not served.
	HTTPAddress, HTTPSAddress string
	// TLS is for the HTTPS port; it needs a certificate source. Protocols are added to it, and
	// what hosts ask of client certificates. Session tickets are sealed with the keys of
	// Tickets.
	TLS *tls.Config
	// Tickets has the keys of session tickets, by SetSessionTicketKeys, which may be called at
	// any time. Nil: keys of this process alone, which change daily.
	Tickets *tls.Config
	// IdleTimeout is how long a connection may wait for its next request: 60 s if zero.
	IdleTimeout time.Duration
	// ClientTimeout is how long a client may send nothing of a request's body, or take nothing
	// of a response: 60 s if zero.
	ClientTimeout time.Duration
	// ShutdownDelay is how long connections are still accepted after a shutdown was asked
	// for, until load balancers have heard of it: 10 s if zero, none if negative.
	ShutdownDelay time.Duration
	// DrainTimeout is how long requests may take after that: 240 s if zero. What is then
	// unfinished is cut.
	DrainTimeout time.Duration
	// ConnState is told of every change of a connection, with "http" or "https"; nil for none.
	ConnState func(listener string, c net.Conn, s http.ConnState)
	// MaxConnections is how many connections clients may have, on both ports together, WebSocket
	// tunnels and what is passed on included. While they have as many none is accepted, and those
	// that have waited longest for a request are closed. Zero is no limit.
	MaxConnections int
	// Waited is told how long a port, "http" or "https", has accepted no connection for that; from
	// time to time while it lasts. Nil for none.
	Waited func(listener string, d time.Duration)
	// Refused is told of each connection that is closed before it is served, with "http" or
	// "https" and a code of what was wrong with it; nil for none.
	Refused func(listener, reason string)
	// Engine is what speaks HTTP on the ports. The zero value is HTTP1.
	Engine Engine
	// Log gets what goes wrong with single connections, at debug level. Nil for none.
	Log *zap.Logger

	ports []*port
	crowd crowd
}

// Engine names an implementation of the wire.
type Engine string

const (
	// HTTP1 is package http1, and golang.org/x/net/http2 where a client chooses that by ALPN.
	HTTP1 Engine = "http1"
	// NetHTTP is net/http's server with golang.org/x/net/http2, to compare with.
	NetHTTP Engine = "net/http"
)

// engine serves the connections of one port.
type engine interface {
	serve(net.Listener) error // until shutdown or close; then http.ErrServerClosed
	// drain makes every response from now on the last of its connection.
	drain()
	shutdown(context.Context) error // waits for the requests under way
	close()
	// take has a connection served that serve has not accepted. When it returns, shutdown
	// waits for it as for others.
	take(net.Conn)
	// connections is how many clients have that were not taken over.
	connections() int
	// shed closes a few connections that wait for a request, if there are any.
	shed()
}

type port struct {
	name     string
	listener *entrance
	engine   engine
}

// Listen opens the ports, so that their addresses are known and errors show before anything
// is served.
func (s *Server) Listen() error {
	s.crowd = crowd{most: s.MaxConnections, open: s.connections, shed: s.shed, waited: s.Waited, warn: s.warnCrowd}
	for _, p := range []struct{ name, address string }{{"http", s.HTTPAddress}, {"https", s.HTTPSAddress}} {
		if p.address == "" {
			continue
		}
		l, err := net.Listen("tcp", p.address)
		if err != nil {
			s.Close()
			return fmt.Errorf("%s port: %w", p.name, err)
		}
		in := newEntrance(l)
		in.proxy, in.name, in.secure = s.Proxy, p.name, p.name == "https"
		in.crowd = &s.crowd
		in.refuse = refusals{count: s.Refused, warn: s.warnOf(p.name)}
		e, err := s.newEngine(p.name)
		if err != nil {
			_ = l.Close()
			s.Close()
			return fmt.Errorf("%s port: %w", p.name, err)
		}
		in.serve = e.take
		s.ports = append(s.ports, &port{p.name, in, e})
	}
	return nil
}

func (s *Server) logger() *zap.Logger {
	if s.Log == nil {
		return zap.NewNop()
	}
	return s.Log
}

// connections is how many clients have.
func (s *Server) connections() int {
	n := s.Proxy.Tunnels()
	for _, p := range s.ports {
		n += p.listener.pending.len() + p.engine.connections()
	}
	return n
}

func (s *Server) shed() {
	for _, p := range s.ports {
		p.engine.shed()
	}
}

func (s *Server) warnCrowd(port string) {
	s.logger().Named(port).Warn("no connection is accepted until one is closed: clients have as many as they may have; told once a minute",
		zap.Int("max_connections", s.MaxConnections))
}

// warnOf returns what logs a connection of a port that was refused.
func (s *Server) warnOf(port string) func(reason string, peer net.Addr, err error) {
	log := s.logger().Named(port)
	return func(reason string, peer net.Addr, err error) {
		log.Warn("connection refused; others like it are only counted", zap.String("reason", reason), zap.Stringer("peer", peer), zap.Error(err))
	}
}

func (s *Server) newEngine(name string) (engine, error) {
	e := engineOptions{
		proxy: s.Proxy, idle: or(s.IdleTimeout, defaultIdleTimeout), patience: or(s.ClientTimeout, defaultClientTimeout), log: s.logger().Named(name),
	}
	if s.ConnState != nil {
		e.connState = func(c net.Conn, state http.ConnState) { s.ConnState(name, c, state) }
	}
	if name == "https" {
		tickets := s.Tickets
		if tickets == nil {
			tickets = new(tls.Config)
		}
		e.tls = s.Proxy.tlsConfig(s.TLS, tickets)
	}
	if s.Engine == NetHTTP {
		return newNetHTTP(e)
	}
	return newHTTP1(e)
}

// engineOptions are what an engine of one port needs.
type engineOptions struct {
	proxy     *Proxy
	tls       *tls.Config // nil for a port in clear
	idle      time.Duration
	patience  time.Duration                  // ClientTimeout
	connState func(net.Conn, http.ConnState) // nil for none
	log       *zap.Logger
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return max(d, 0)
}

// Addresses are those of the open ports by name, "http" and "https".
func (s *Server) Addresses() map[string]net.Addr {
	addresses := make(map[string]net.Addr, len(s.ports))
	for _, p := range s.ports {
		addresses[p.name] = p.listener.Addr()
	}
	return addresses
}

// Serve accepts connections until Shutdown or Close. When a port fails, all are closed.
func (s *Server) Serve() error {
	failed := make(chan error, len(s.ports))
	for _, p := range s.ports {
		go func() {
			err := p.engine.serve(p.listener)
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			} else {
				err = fmt.Errorf("%s port: %w", p.name, err)
				s.Close()
			}
			failed <- err
		}()
	}
	var errs []error
	for range s.ports {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// Shutdown ends service without losing a request: for ShutdownDelay connections are still
// accepted, each response asking the client to connect elsewhere for its next request; then
// the ports close, and requests and tunnels have DrainTimeout to end. What remains is cut,
// and is an error. ctx cuts both times short.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Proxy.Drain()
	for _, p := range s.ports {
		p.engine.drain()
	}
	if delay := or(s.ShutdownDelay, defaultShutdownDelay); delay > 0 {
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, or(s.DrainTimeout, defaultDrainTimeout))
	defer cancel()
	var wg, retiring sync.WaitGroup
	retiring.Add(len(s.ports))
	errs := make([]error, len(s.ports)+1)
	for i, p := range s.ports {
		wg.Go(func() {
			late := p.listener.retire(ctx)
			retiring.Done()
			if err := cmp.Or(p.engine.shutdown(ctx), late); err != nil {
				errs[i] = fmt.Errorf("%s port: requests were cut: %w", p.name, err)
				p.engine.close()
			}
		})
	}
	wg.Go(func() {
		retiring.Wait() // what they make tunnels of
		if err := s.Proxy.tunnels.wait(ctx); err != nil {
			errs[len(s.ports)] = fmt.Errorf("%d tunnels were cut: %w", s.Proxy.tunnels.len(), err)
			s.Proxy.tunnels.each((*tunnelEnds).close)
		}
	})
	wg.Wait()
	return errors.Join(errs...)
}

// Close closes ports and connections at once.
func (s *Server) Close() {
	for _, p := range s.ports {
		p.engine.close()
		_ = p.listener.Close()
	}
	s.Proxy.tunnels.each((*tunnelEnds).close)
}
