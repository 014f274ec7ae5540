package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// engine speaks HTTP with one endpoint and owns the connections to it. It belongs to one endpoint
// and protocol: its idle connections can be closed alone, and a connection of one protocol is
// never taken for one of another (golang.org/issue/81656).
type engine struct {
	http1 *http1.Client   // nil: the endpoint speaks HTTP/2 only
	http2 *http.Transport // nil: it speaks HTTP/1.1 only
	// prefersHTTP2 is what the endpoint chose last, where it has the choice.
	prefersHTTP2 atomic.Bool
	// spare is a connection that was made for HTTP/1.1 when the endpoint chose HTTP/2. The request
	// that it was made for is about to take it. May be nil.
	spare atomic.Pointer[tls.Conn]
}

func newEngine(e *Endpoint) *engine {
	g, r := &engine{}, e.pool.registry
	switch e.protocol {
	case HTTPS:
		config := e.tlsConfig()
		g.http1 = &http1.Client{Set: &r.clients, Dial: func(ctx context.Context) (net.Conn, error) {
			return g.dialTLS(ctx, e, config, false)
		}}
		g.http2 = newTransport(&r.options)
		g.http2.Protocols.SetHTTP2(true)
		g.http2.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return g.dialTLS(ctx, e, config, true)
		}
	case HTTPS1:
		config := e.tlsConfig()
		g.http1 = &http1.Client{Set: &r.clients, Dial: func(ctx context.Context) (net.Conn, error) {
			c, err := r.dialer.dialTLS(ctx, e, config)
			if err != nil {
				return nil, err
			}
			return c, nil
		}}
	case H2:
		config := e.tlsConfig()
		g.prefersHTTP2.Store(true)
		g.http2 = newTransport(&r.options)
		g.http2.Protocols.SetHTTP2(true)
		g.http2.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := r.dialer.dialTLS(ctx, e, config)
			if err != nil {
				return nil, err
			}
			if got := c.ConnectionState().NegotiatedProtocol; got != "h2" {
				c.Close()
				return nil, &connectError{TLSFailed, fmt.Errorf("want the protocol h2 of the endpoint, it chose %q", got)}
			}
			return c, nil
		}
	case H2C:
		g.prefersHTTP2.Store(true)
		g.http2 = newTransport(&r.options)
		g.http2.Protocols.SetUnencryptedHTTP2(true)
		g.http2.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := r.dialer.dial(ctx, e)
			if err != nil {
				return nil, err
			}
			return counted(c, &e.conns), nil
		}
	default:
		g.http1 = &http1.Client{Set: &r.clients, Dial: func(ctx context.Context) (net.Conn, error) {
			c, err := r.dialer.dial(ctx, e)
			if err != nil {
				return nil, err
			}
			return c, nil
		}}
	}
	return g
}

func newTransport(o *Options) *http.Transport {
	return &http.Transport{
		Protocols:              new(http.Protocols),
		MaxIdleConnsPerHost:    o.MaxIdlePerEndpoint,
		IdleConnTimeout:        o.IdleTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// What the endpoint sends is passed on as it is.
		DisableCompression: true,
		// No pings: gRPC servers close a connection that sends more than one in five
		// minutes while a stream is silent. TCP keepalive finds a dead peer.
	}
}

// errOtherProtocol is why there is no connection: the endpoint chose the protocol of the other
// half of the engine.
var errOtherProtocol = errors.New("the endpoint chose another version of HTTP")

// dialTLS makes a connection for HTTP/2, or for HTTP/1.1. If the endpoint chooses the other, the
// error is errOtherProtocol, and the next request begins with that.
func (g *engine) dialTLS(ctx context.Context, e *Endpoint, config *tls.Config, http2 bool) (net.Conn, error) {
	if http2 {
		if c := g.spare.Swap(nil); c != nil {
			return c, nil
		}
	}
	c, err := e.pool.registry.dialer.dialTLS(ctx, e, config)
	if err != nil {
		return nil, err
	}
	chosen := c.ConnectionState().NegotiatedProtocol == "h2"
	g.prefersHTTP2.Store(chosen)
	switch {
	case chosen == http2:
		return c, nil
	case chosen:
		g.keepSpare(c)
	default:
		c.Close()
	}
	return nil, errOtherProtocol
}

// keepSpare makes c the spare connection, nil for none.
func (g *engine) keepSpare(c *tls.Conn) {
	if old := g.spare.Swap(c); old != nil {
		old.Close()
	}
}

// closeIdle closes the connections that no request uses.
func (g *engine) closeIdle() {
	if g.http1 != nil {
		g.http1.CloseIdle()
	}
	if g.http2 != nil {
		g.keepSpare(nil)
		g.http2.CloseIdleConnections()
	}
}

// keepIdle says whether connections without a request are kept. The Transport always does: it
// is told to close them by closeIdle, again and again.
func (g *engine) keepIdle(keep bool) {
	if g.http1 != nil {
		g.http1.Discard(!keep)
	}
}

// tlsConfig returns what connections to e are made with.
func (e *Endpoint) tlsConfig() *tls.Config {
	c := e.pool.registry.options.TLSConfig.Clone()
	switch e.protocol {
	case HTTPS1:
		c.NextProtos = []string{"http/1.1"}
	case H2:
		c.NextProtos = []string{"h2"}
	default:
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	if s := e.pool.secured; s != nil {
		s.configure(c, e)
	} else if c.ServerName == "" {
		c.ServerName = e.address.Host // an IP address is verified, but not sent
	}
	if c.ClientSessionCache == nil {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return c
}
