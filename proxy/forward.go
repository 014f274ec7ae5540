package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/upstream"
)

// errUpstreamSilent is why a response was given up whose next byte did not come in time.
var errUpstreamSilent = errors.New("upstream sent nothing within the read timeout")

// forwarder is the last handler of a route: it sends the request to a backend's pool and the
// response back, streaming both ways.
type forwarder struct {
	p    *Proxy
	pool *upstream.Pool
}

func (p *Proxy) forwarder(pool *upstream.Pool) http.Handler { return &forwarder{p, pool} }

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(w)
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	interim := &interim{w: w, enabled: r.ProtoAtLeast(1, 1)}
	out := r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: interim.relay}))

	upgrade := wantsWebSocket(r)
	if !f.prepare(out, r, x) {
		fail(w, r, http.StatusBadRequest, "bad-connection-header",
			fmt.Errorf("field Connection names more than %d fields", maxNominated))
		return
	}
	if upgrade {
		out.Header["Connection"] = []string{"Upgrade"}
		out.Header["Upgrade"] = []string{"websocket"}
	}
	var body *requestBody
	if r.ContentLength != 0 {
		body = &requestBody{ReadCloser: r.Body, control: http.NewResponseController(w), timeout: f.p.readTimeout()}
		// A backend may answer before it has read the whole body. HTTP/2 is so anyway.
		_ = body.control.EnableFullDuplex()
		body.declareTrailers(out, r)
		out.Body = body
		// The pool may still be sending when the response is complete, but a body must
		// not be read once its handler has returned.
		defer body.Close()
	} else {
		out.Body = http.NoBody
	}

	resp, err := f.pool.Do(out, &x.Attempts)
	interim.stop()
	if body != nil {
		defer func() { x.BytesIn = body.read.Load() }()
	}
	if err != nil {
		f.failed(w, r, body, err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		f.p.tunnel(w, r, resp, upgrade)
		return
	}
	f.respond(w, r, resp, cancel)
}

// prepare makes out, a shallow copy of r, the request to send. It changes the header of r,
// which nothing reads any more. False means that the header is not one to forward.
func (f *forwarder) prepare(out, r *http.Request, x *Exchange) bool {
	trailers := strings.EqualFold(r.Header.Get("Te"), "trailers")
	if !removeHopByHop(out.Header) {
		return false
	}
	if trailers {
		out.Header["Te"] = []string{"trailers"} // gRPC servers insist on it
	}
	f.p.setForwarding(out.Header, r, x)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // no agent of our own
	}
	out.RequestURI = ""
	out.Close = false
	out.Trailer = nil
	u := *r.URL
	if target := r.RequestURI; u.Opaque == "" && strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "//") {
		// The bytes of the client: URL would escape some of them anew. A target that
		// begins with "//" would be read as a host there.
		u.Opaque, _, _ = strings.Cut(target, "?")
	}
	out.URL = &u
	return true
}

// forwardPath makes path what is forwarded of r's target, in place of the client's bytes.
func forwardPath(r *http.Request, path string) {
	u := *r.URL
	u.Opaque = path
	r.URL = &u
}

// failed answers for a request that got no response.
func (f *forwarder) failed(w http.ResponseWriter, r *http.Request, body *requestBody, err error) {
	x := exchangeOf(w)
	if r.Context().Err() != nil {
		x.Reason, x.Err = "client-aborted", err
		panic(http.ErrAbortHandler)
	}
	if body != nil {
		if readErr := body.failure(); readErr != nil {
			status, reason := http.StatusBadRequest, "bad-body"
			if errors.Is(readErr, os.ErrDeadlineExceeded) {
				status, reason = http.StatusRequestTimeout, "body-timeout"
			}
			w.Header().Set("Connection", "close")
			fail(w, r, status, reason, readErr)
			return
		}
	}
	reason, status := upstream.Reason(err)
	fail(w, r, status, reason, err)
}

func (p *Proxy) readTimeout() time.Duration {
	if p.ReadTimeout > 0 {
		return p.ReadTimeout
	}
	return 60 * time.Second
}

// requestBody counts what is read of a request's body, gives up on a client that sends
// nothing for too long, and passes its trailers on.
type requestBody struct {
	io.ReadCloser
	control  *http.ResponseController
	timeout  time.Duration
	extended time.Time // when the deadline was last moved
	from, to http.Header
	read     atomic.Int64

	mu  sync.Mutex
	err error // of the last Read, but for io.EOF
}

// declareTrailers makes the trailers that r announces those of out, but for the forbidden.
func (b *requestBody) declareTrailers(out, r *http.Request) {
	if len(r.Trailer) == 0 {
		return
	}
	b.from, b.to = r.Trailer, make(http.Header, len(r.Trailer))
	for name := range r.Trailer {
		if !forbiddenTrailer(name) {
			b.to[name] = nil
		}
	}
	out.Trailer = b.to
}

func (b *requestBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.extended) > time.Second {
		b.extended = now
		_ = b.control.SetReadDeadline(now.Add(b.timeout)) // a server without deadlines has its own
	}
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	if err == io.EOF {
		for name := range b.to {
			b.to[name] = b.from[name]
		}
	} else if err != nil {
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

// failure is the client's fault that ended the body early; nil for none.
func (b *requestBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, http.ErrBodyReadAfterClose) {
		return nil // we closed it
	}
	return b.err
}
