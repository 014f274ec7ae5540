package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// engine speaks HTTP with one endpoint and owns the connections to it. All that is known of the
// wire is in this file, dial.go, exchange.go and lean.go.
type engine struct {
	lean      *http1.Client   // for HTTP/1.1 in clear
	transport *http.Transport // for the rest; nil if lean is not
}

// newEngine returns the engine for e. One Transport for each endpoint and protocol: its
// idle connections can be closed alone, and a connection of one protocol is never
// taken for one of another (golang.org/issue/81656).
func newEngine(e *Endpoint, o *Options, d *dialer, set *http1.ClientSet) *engine {
	if e.protocol == HTTP {
		return &engine{lean: &http1.Client{Set: set, Dial: func(ctx context.Context) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, d.timeout)
			defer cancel()
			c, err := d.connect(ctx, e)
			if err != nil {
				return nil, err
			}
			return c, nil
		}}}
	}
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
	}
	return &engine{transport: t}
}

func (g *engine) roundTrip(req *http.Request) (*http.Response, error) {
	return g.transport.RoundTrip(req)
}

// closeIdle closes the connections that no request uses, and makes those that are in use
// close after it, until there is a new request.
func (g *engine) closeIdle() {
	if g.lean != nil {
		g.lean.CloseIdle()
		return
	}
	g.transport.CloseIdleConnections()
}

// keepIdle says whether connections without a request are kept. The Transport always does: it
// is told to close them by closeIdle, again and again.
func (g *engine) keepIdle(keep bool) {
	if g.lean != nil {
		g.lean.Discard(!keep)
	}
}

// connections is how many the lean engine has; the others are counted as they are made.
func (g *engine) connections() int64 {
	if g.lean != nil {
		return g.lean.Connections()
	}
	return 0
}

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
