package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// engine speaks HTTP with one endpoint and owns the connections to it. All that is known of the
// wire is in this file, dial.go and exchange.go.
type engine struct {
	transport *http.Transport
}

// newEngine returns the engine for e. One Transport for each endpoint and protocol: its
// idle connections can be closed alone, and a connection of one protocol is never
// taken for one of another (golang.org/issue/81656).
func newEngine(e *Endpoint, o *Options, d *dialer) *engine {
	t := &http.Transport{
		Protocols:              new(http.Protocols),
		MaxIdleConnsPerHost:    o.MaxIdlePerEndpoint,
		IdleConnTimeout:        o.IdleTimeout,
		ResponseHeaderTimeout:  o.ResponseHeaderTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// What the endpoint sends is passed on as it is.
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.dial(ctx, e, nil)
		},
		// No pings on HTTP/2: gRPC servers close a connection that sends more than one in
		// five minutes while a stream is silent. TCP keepalive finds a dead peer.
	}
	switch e.protocol {
	case HTTPS:
		config := tlsConfig(o.TLSConfig, e)
		t.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.dial(ctx, e, config)
		}
		t.ForceAttemptHTTP2 = true
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
	case H2C:
		t.Protocols.SetUnencryptedHTTP2(true)
	default:
		t.Protocols.SetHTTP1(true)
	}
	return &engine{t}
}

func (g *engine) roundTrip(req *http.Request) (*http.Response, error) {
	return g.transport.RoundTrip(req)
}

// closeIdle closes the connections that no request uses, and makes those that are in use
// close after it, until there is a new request.
func (g *engine) closeIdle() { g.transport.CloseIdleConnections() }

func tlsConfig(template *tls.Config, e *Endpoint) *tls.Config {
	c := template.Clone()
	c.NextProtos = []string{"h2", "http/1.1"}
	if c.ServerName == "" {
		c.ServerName = e.address.Host // an IP address is verified, but not sent
	}
	if c.ClientSessionCache == nil {
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return c
}
