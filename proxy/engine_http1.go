package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/net/http2"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
)

// http1Engine is the engine HTTP1: package http1 has every connection until its client turns
// out to speak HTTP/2.
type http1Engine struct {
	server *http1.Server
	tls    *tls.Config // nil for a port in clear

	// HTTP/2, on a port with TLS: base has the handler and the limits, and tells http2 to
	// say GOAWAY when it is shut down.
	http2 *http2.Server
	base  *http.Server
	conns openSet[net.Conn]
	// closed is told of each that has ended; nil for none.
	closed func(net.Conn)
}

func speaksHTTP2(c net.Conn) bool {
	secure, ok := c.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

func newHTTP1(o engineOptions) (engine, error) {
	e := &http1Engine{server: &http1.Server{
		Handler: o.proxy, IdleTimeout: o.idle, ReasonHeader: ReasonHeader, ConnState: o.connState,
		HeadTimeout: defaultHeadTimeout, BodyTimeout: o.patience, WriteTimeout: o.patience,
	}}
	e.server.OnError = func(c net.Conn, err error) {
		var fault *http1.Fault
		if c != nil && errors.As(err, &fault) {
			scheme := "http"
			if o.tls != nil {
				scheme = "https"
			}
			o.proxy.refused(scheme, addrOf(c.RemoteAddr()), Answer{fault.Reason.Status(), string(fault.Reason)}, err)
			return
		}
		o.log.Debug("connection", zap.Error(err))
	}
	if o.tls == nil {
		return e, nil
	}
	e.tls = o.tls
	e.http2 = http2Server(o)
	e.base = &http.Server{
		Handler: withLimits(o.proxy, o.patience), MaxHeaderBytes: maxHeadBytes, IdleTimeout: o.idle,
		ReadHeaderTimeout: defaultHeadTimeout, TLSConfig: e.tls.Clone(),
	}
	e.base.ErrorLog, _ = zap.NewStdLogAt(o.log, zap.DebugLevel) // fails for unknown levels only
	if err := http2.ConfigureServer(e.base, e.http2); err != nil {
		return nil, err
	}
	e.server.HTTP2 = e.serveHTTP2
	if o.connState != nil {
		// For http1 a connection is gone when it becomes one of HTTP/2; it is closed when
		// that has ended.
		e.server.ConnState = func(c net.Conn, state http.ConnState) {
			if state != http.StateHijacked || !speaksHTTP2(c) {
				o.connState(c, state)
			}
		}
		e.closed = func(c net.Conn) { o.connState(c, http.StateClosed) }
	}
	return e, nil
}

func (e *http1Engine) serve(l net.Listener) error {
	if e.tls != nil {
		l = tls.NewListener(l, e.tls)
	}
	return e.server.Serve(l)
}

// serveHTTP2 serves a connection whose client has sent read, which begins with the preface.
func (e *http1Engine) serveHTTP2(c net.Conn, read []byte) {
	secure, ok := c.(*tls.Conn)
	if !ok {
		_ = c.Close() // HTTP/2 in clear is not served
		return
	}
	defer e.conns.add(c)()
	if e.closed != nil {
		defer e.closed(c)
	}
	e.http2.ServeConn(&resumedTLS{secure, read}, &http2.ServeConnOpts{BaseConfig: e.base, Handler: e.base.Handler})
}

func (e *http1Engine) take(c net.Conn) {
	if e.tls != nil {
		c = tls.Server(c, e.tls)
	}
	e.server.StartConn(c)
}

func (e *http1Engine) connections() int { return e.server.Connections() + e.conns.len() }

func (e *http1Engine) shed() { e.server.Shed() }

func (e *http1Engine) drain() { e.server.Drain() }

func (e *http1Engine) shutdown(ctx context.Context) error {
	var wg sync.WaitGroup
	var inClear, http2 error
	wg.Go(func() { inClear = e.server.Shutdown(ctx) })
	if e.base != nil {
		wg.Go(func() {
			// It knows of no connection and returns at once, having told http2.
			http2 = errors.Join(e.base.Shutdown(ctx), e.conns.wait(ctx))
		})
	}
	wg.Wait()
	return errors.Join(inClear, http2)
}

func (e *http1Engine) close() {
	_ = e.server.Close()
	e.conns.each(func(c net.Conn) { _ = c.Close() })
}

// resumedTLS is a TLS connection of which some was read already.
type resumedTLS struct {
	*tls.Conn
	read []byte
}

func (c *resumedTLS) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
