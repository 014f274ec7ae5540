package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
)

// Default limits of the data ports.
const (
	defaultHeadTimeout   = 10 * time.Second
	defaultIdleTimeout   = 60 * time.Second
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
	// TLS is for the HTTPS port; it needs a certificate source. Protocols are added to it.
	TLS *tls.Config
	// IdleTimeout is how long a connection may wait for its next request: 60 s if zero.
	IdleTimeout time.Duration
	// ShutdownDelay is how long connections are still accepted after a shutdown was asked
	// for, until load balancers have heard of it: 10 s if zero, none if negative.
	ShutdownDelay time.Duration
	// DrainTimeout is how long requests may take after that: 240 s if zero. What is then
	// unfinished is cut.
	DrainTimeout time.Duration
	// ConnState is told of every change of a connection, with "http" or "https"; nil for none.
	ConnState func(listener string, c net.Conn, s http.ConnState)
	// Log gets what goes wrong with single connections, at debug level. Nil for none.
	Log *zap.Logger

	ports []*port
}

type port struct {
	name     string
	listener net.Listener
	server   *http.Server
}

// Listen opens the ports, so that their addresses are known and errors show before anything
// is served.
func (s *Server) Listen() error {
	for _, p := range []struct{ name, address string }{{"http", s.HTTPAddress}, {"https", s.HTTPSAddress}} {
		if p.address == "" {
			continue
		}
		l, err := net.Listen("tcp", p.address)
		if err != nil {
			s.Close()
			return fmt.Errorf("%s port: %w", p.name, err)
		}
		server, err := s.newServer(p.name)
		if err != nil {
			_ = l.Close()
			s.Close()
			return fmt.Errorf("%s port: %w", p.name, err)
		}
		s.ports = append(s.ports, &port{p.name, l, server})
	}
	return nil
}

func (s *Server) newServer(name string) (*http.Server, error) {
	server := &http.Server{
		Handler:           s.Proxy,
		ReadHeaderTimeout: defaultHeadTimeout,
		IdleTimeout:       or(s.IdleTimeout, defaultIdleTimeout),
		MaxHeaderBytes:    maxHeadBytes,
		// "OPTIONS *" is for the Proxy to answer, as every request is.
		DisableGeneralOptionsHandler: true,
	}
	if s.ConnState != nil {
		server.ConnState = func(c net.Conn, state http.ConnState) { s.ConnState(name, c, state) }
	}
	log := s.Log
	if log == nil {
		log = zap.NewNop()
	}
	server.ErrorLog, _ = zap.NewStdLogAt(log.Named(name), zap.DebugLevel) // fails for unknown levels only
	if name == "http" {
		return server, nil
	}
	server.TLSConfig = s.TLS.Clone()
	return server, http2.ConfigureServer(server, &http2.Server{
		MaxConcurrentStreams:         100,
		MaxReadFrameSize:             16 << 10,
		MaxUploadBufferPerStream:     64 << 10,
		MaxUploadBufferPerConnection: 1 << 20,
		MaxDecoderHeaderTableSize:    4 << 10,
		IdleTimeout:                  server.IdleTimeout,
		WriteByteTimeout:             s.Proxy.readTimeout(),
	})
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
			var err error
			if p.name == "https" {
				err = p.server.ServeTLS(p.listener, "", "")
			} else {
				err = p.server.Serve(p.listener)
			}
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
	var wg sync.WaitGroup
	errs := make([]error, len(s.ports)+1)
	for i, p := range s.ports {
		wg.Go(func() {
			if err := p.server.Shutdown(ctx); err != nil {
				errs[i] = fmt.Errorf("%s port: requests were cut: %w", p.name, err)
				_ = p.server.Close()
			}
		})
	}
	wg.Go(func() {
		if err := s.Proxy.tunnels.wait(ctx); err != nil {
			errs[len(s.ports)] = fmt.Errorf("%d WebSocket connections were cut: %w", s.Proxy.tunnels.len(), err)
			s.Proxy.tunnels.closeAll()
		}
	})
	wg.Wait()
	return errors.Join(errs...)
}

// Close closes ports and connections at once.
func (s *Server) Close() {
	for _, p := range s.ports {
		_ = p.server.Close()
		_ = p.listener.Close()
	}
	s.Proxy.tunnels.closeAll()
}
