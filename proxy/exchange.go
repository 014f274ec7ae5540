package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/fairlead-ingress/fairlead/proxy/http1"
	"github.com/fairlead-ingress/fairlead/proxy/policy"
	"github.com/fairlead-ingress/fairlead/proxy/upstream"
	"github.com/fairlead-ingress/fairlead/router"
)

// Exchange is one request with its response, as observed. The access log and the metrics are
// both made from it, so they cannot disagree. It is filled while the request runs and is
// handed to the Recorder once, when the response has ended; it is used again for another
// request afterwards, so a Recorder copies what it wants to keep.
type Exchange struct {
	// Rule is what matched; nil when nothing did.
	Rule    *Rule
	Outcome router.Outcome

	Method string
	Scheme string // "http" or "https": how the client reached this proxy
	Host   string // canonical: lower case, no port, no trailing dot
	// Target is the request target as received, path and query; at most 8 KiB.
	Target    string
	Proto     string // "HTTP/1.1", "HTTP/2.0"
	UserAgent string
	Referer   string
	// Peer is the other end of the connection, ClientIP what the forwarding headers of
	// trusted proxies make of it; equal where no proxy is trusted.
	Peer, ClientIP netip.Addr
	RequestID      string

	Start    time.Time
	TTFB     time.Duration // to the first byte of the response's head; 0 when there was none
	Duration time.Duration

	// Status is the final status that was sent, or 499 when the client went away before
	// there was one.
	Status   int
	BytesIn  int64 // of the request's body
	BytesOut int64 // of the response's body
	// Backend is where the request was forwarded to; zero when it was not. It is the rule's, or
	// that of its canary.
	Backend upstream.Key
	// Reason is the code of an answer that the proxy made itself, or of what went wrong
	// after the response's head was sent; empty when all went well.
	Reason string
	// Err is what lies behind Reason; nil when all went well.
	Err error
	// Upgraded says that the connection became a WebSocket tunnel.
	Upgraded bool
	// ClientAborted says that the client went away before the response was complete.
	ClientAborted bool

	Attempts upstream.Attempts

	replaceFor   bool          // X-Forwarded-For for the backend is ClientIP alone
	originalFor  string        // X-Original-Forwarded-For for the backend; empty for none of ours
	trusted      bool          // the peer's forwarding fields are believed
	clientScheme string        // that the client used, by what a trusted proxy says
	unwrapped    bool          // a load balancer has ended the client's TLS, by its PROXY header
	path         string        // canonical
	sendPrefix   string        // X-Forwarded-Prefix for the backend; empty for none of ours
	sendFields   [][2]string   // names and values for the backend, set last
	sendHost     string        // Host for the backend in place of the client's; empty for none
	pick         upstream.Pick // how the endpoint is picked

	setCookie string // added to the backend's response; empty for none

	// pages has the error pages of the rule until one is asked for; nil for none. Then instead is
	// the answer that the page is sent for, and has to be sent where there is no page.
	pages   *errorPages
	instead Answer
	// header is that of the request as it came, where a page may be asked for.
	header http.Header

	// rehearsal is for Decide: the request is not sent to a backend, and forwarded says that
	// it would have been.
	rehearsal, forwarded bool
	weighed              bool // chance would have chosen the backend
}

// StatusClientClosedRequest is logged when the client went away before it got a status. It is
// never sent. The number is nginx's.
const StatusClientClosedRequest = 499

// Recorder is called at the end of every exchange of one rule, on the request's goroutine.
// It must not keep the Exchange.
type Recorder func(*Exchange)

// Observer makes the Recorder of each rule when the rule is compiled, so that labels are
// resolved once and not for every request. It is called with nil for what no rule matches.
// It may return nil.
type Observer interface {
	Route(*Rule) Recorder
}

// responseWriter is the ResponseWriter that a route's handler gets: it counts what is sent
// and carries the Exchange.
type responseWriter struct {
	http.ResponseWriter
	x        *Exchange
	draining bool
	out      outgoing
	debug    bool         // the client is told what becomes of its request
	uses     *policy.Uses // of the route; nil without one
}

// Unwrap lets http.ResponseController reach the connection.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols {
		if w.x.Status != 0 {
			return
		}
		w.x.Status = code
		if w.x.TTFB == 0 {
			w.x.TTFB = time.Since(w.x.Start)
		}
		if w.draining {
			// HTTP/1: the connection ends with this response. HTTP/2: the server
			// answers with GOAWAY and finishes the open streams.
			w.Header().Set("Connection", "close")
		}
		if w.debug {
			w.tell()
		}
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if w.x.Status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(b)
	w.x.BytesOut += int64(n)
	return n, err
}

// CanSplice reports whether the server lets the kernel move the rest of the body.
func (w *responseWriter) CanSplice() bool { return http1.CanSplice(w.ResponseWriter) }

// ReadFrom implements io.ReaderFrom. It is for those that have asked CanSplice.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	from, ok := w.ResponseWriter.(io.ReaderFrom)
	if !ok || w.x.Status == 0 {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	n, err := from.ReadFrom(src)
	w.x.BytesOut += n
	return n, err
}

// exchangeOf finds the Exchange behind w, which may have been wrapped by policies.
func exchangeOf(w http.ResponseWriter) *Exchange { return writerOf(w).x }

func writerOf(w http.ResponseWriter) *responseWriter {
	for {
		switch v := w.(type) {
		case *responseWriter:
			return v
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			panic("proxy: a policy's ResponseWriter has no Unwrap method")
		}
	}
}
