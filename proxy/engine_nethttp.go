package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
)

// netHTTP is the engine NetHTTP.
type netHTTP struct {
	server *http.Server
	tls    bool
	taken  handed
	open   atomic.Int64
}

func newNetHTTP(o engineOptions) (engine, error) {
	e := &netHTTP{tls: o.tls != nil, taken: newHanded()}
	e.server = &http.Server{
		Handler:           withLimits(o.proxy, o.patience),
		ReadHeaderTimeout: defaultHeadTimeout,
		IdleTimeout:       o.idle,
		MaxHeaderBytes:    maxHeadBytes,
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				e.open.Add(1)
			case http.StateClosed, http.StateHijacked:
				e.open.Add(-1)
			}
			if o.connState != nil {
				o.connState(c, state)
			}
		},
		// "OPTIONS *" is for the Proxy to answer, as every request is.
		DisableGeneralOptionsHandler: true,
	}
	e.server.ErrorLog, _ = zap.NewStdLogAt(o.log, zap.DebugLevel) // fails for unknown levels only
	if o.tls == nil {
		return e, nil
	}
	e.server.TLSConfig = o.tls.Clone()
	if err := http2.ConfigureServer(e.server, http2Server(o)); err != nil {
		return nil, err
	}
	return e, nil
}

// http2Server has the limits of HTTP/2. golang.org/x/net/http2 gets its fixes before a release
// of Go does, which is why it is used in spite of net/http's own copy, in favour of which its
// server is deprecated.
func http2Server(o engineOptions) *http2.Server {
	return &http2.Server{
		MaxConcurrentStreams:         100,
		MaxReadFrameSize:             16 << 10,
		MaxUploadBufferPerStream:     64 << 10,
		MaxUploadBufferPerConnection: 1 << 20,
		MaxDecoderHeaderTableSize:    4 << 10,
		IdleTimeout:                  o.idle,
		WriteByteTimeout:             o.patience,
	}
}

func (e *netHTTP) serve(l net.Listener) error {
	e.taken.addr = l.Addr()
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		_ = e.serveOne(e.taken) // ends when it is closed
	}()
	err := e.serveOne(l)
	_ = e.taken.Close()
	<-taken
	return err
}

func (e *netHTTP) take(c net.Conn) {
	select {
	case e.taken.conns <- c:
	case <-e.taken.done:
		_ = c.Close()
	}
}

func (e *netHTTP) serveOne(l net.Listener) error {
	if e.tls {
		return e.server.ServeTLS(l, "", "")
	}
	return e.server.Serve(l)
}

func (e *netHTTP) connections() int { return int(e.open.Load()) }

// shed can close none: the server does not tell which of them wait.
func (e *netHTTP) shed() {}

func (e *netHTTP) drain() {} // the Proxy's responses say it

func (e *netHTTP) shutdown(ctx context.Context) error { return e.server.Shutdown(ctx) }

func (e *netHTTP) close() { _ = e.server.Close() }

// handed is a net.Listener of connections that are handed to it.
type handed struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
	addr  net.Addr
}

func newHanded() handed {
	h := handed{conns: make(chan net.Conn), done: make(chan struct{})}
	h.close = sync.OnceFunc(func() { close(h.done) })
	return h
}

// Accept implements net.Listener.
func (h handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h handed) Close() error {
	h.close()
	return nil
}

// Addr implements net.Listener.
func (h handed) Addr() net.Addr { return h.addr }
