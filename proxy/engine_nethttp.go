package proxy

import (
	"context"
	"net"
	"net/http"

	"go.uber.org/zap"
	"golang.org/x/net/http2"
)

// netHTTP is the engine NetHTTP.
type netHTTP struct {
	server *http.Server
	tls    bool
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
		return &netHTTP{server, false}, nil
	}
	server.TLSConfig = o.tls.Clone()
	if err := http2.ConfigureServer(server, http2Server(o)); err != nil {
		return nil, err
	}
	return &netHTTP{server, true}, nil
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
	if e.tls {
		return e.server.ServeTLS(l, "", "")
	}
	return e.server.Serve(l)
}

func (e *netHTTP) drain() {} // the Proxy's responses say it

func (e *netHTTP) shutdown(ctx context.Context) error { return e.server.Shutdown(ctx) }

func (e *netHTTP) close() { _ = e.server.Close() }
