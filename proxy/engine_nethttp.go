package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
)

// netHTTP is the engine NetHTTP.
type netHTTP struct {
	server *http.Server
	tls    bool
	taken  handed
}

func newNetHTTP(o engineOptions) (engine, error) {
	server := &http.Server{
		Handler:           withLimits(o.proxy, o.patience),
		ReadHeaderTimeout: defaultHeadTimeout,
		IdleTimeout:       o.idle,
		MaxHeaderBytes:    maxHeadBytes,
		ConnState:         o.connState,
		// "OPTIONS *" is for the Proxy to answer, as every request is.
		DisableGeneralOptionsHandler: true,
	}
	server.ErrorLog, _ = zap.NewStdLogAt(o.log, zap.DebugLevel) // fails for unknown levels only
	if o.tls == nil {
		return &netHTTP{server: server, taken: newHanded()}, nil
	}
	server.TLSConfig = o.tls.Clone()
	if err := http2.ConfigureServer(server, http2Server(o)); err != nil {
		return nil, err
	}
	return &netHTTP{server: server, tls: true, taken: newHanded()}, nil
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
