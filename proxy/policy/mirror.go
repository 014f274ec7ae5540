package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Mirror is where copies of requests are sent. What comes of them is ignored.
type Mirror struct {
	URL  Template
	Base string // scheme and host of it, without variables
	Host string // of the copy; empty: that of URL
	Body bool   // the copy has the body too
}

var (
	mirrorTarget = Key{
		Name: "mirror-target", Value: "http or https URL with variables after the host",
		Doc: "sends a copy of each request there that guards have let pass, and ignores the answer. The request does not wait for it: copies are dropped where the target is too slow",
	}
	mirrorBody = Key{Name: "mirror-request-body", Value: "on or off", Default: "on", Doc: "the copy has the request's body; requests with more than 1 MiB are then not mirrored"}
	mirrorHost = Key{Name: "mirror-host", Value: "host", Default: "that of mirror-target", Doc: "Host of the copy"}
)

const (
	// maxMirrored is how many copies are under way at most, and maxMirroredBytes how much their
	// bodies and those that are being copied may have together.
	maxMirrored      = 256
	maxMirroredBytes = 64 << 20
	// maxMirrorBody is the longest body of a copy.
	maxMirrorBody = 1 << 20
	mirrorTimeout = 30 * time.Second
)

// MirrorCounts is what became of copies.
type MirrorCounts struct {
	Sent    uint64 // there was an answer, whatever it says
	Failed  uint64 // there was none
	Dropped uint64 // they were not sent: too many were under way, or the body was too long
}

// mirrors are the copies of all rules.
type mirrors struct {
	running, bytes        atomic.Int64
	sent, failed, dropped atomic.Uint64
}

// Mirrored returns what became of the copies of requests.
func (e *Env) Mirrored() MirrorCounts {
	return MirrorCounts{e.mirrors.sent.Load(), e.mirrors.failed.Load(), e.mirrors.dropped.Load()}
}

var mirroring = feature{
	name: "mirror",
	keys: []Key{mirrorTarget, mirrorBody, mirrorHost},
	read: readMirror,
	wrap: func(l link, next http.Handler) http.Handler {
		if l.Mirror == nil {
			return next
		}
		return &mirrorHandler{l.Mirror, l.rule, l.env, next}
	},
}

func readMirror(r *reader, s *Set) {
	v, ok := r.text(mirrorTarget)
	m := &Mirror{Body: r.oneOf(mirrorBody, "on", "on", "off") == "on"}
	if host, ok := r.text(mirrorHost); ok {
		if len(host) > 255 || !httpguts.ValidHostHeader(host) || strings.ContainsAny(host, " $/\"'\\;") {
			r.bad(mirrorHost, "want a host without variables, got %.80q", host)
		} else {
			m.Host = host
		}
	}
	if !ok || v == "off" {
		return
	}
	var err error
	if m.Base, err = mirrorBase(v); err == nil {
		m.URL, err = parseTemplate(v, nil)
	}
	if err != nil {
		r.bad(mirrorTarget, "%w", err)
		return
	}
	s.Mirror = m
}

// mirrorBase returns the scheme and the host of a target, in which there are no variables: clients
// do not choose where copies go.
func mirrorBase(target string) (string, error) {
	scheme, rest, ok := strings.Cut(target, "://")
	host, after := rest, ""
	if i := strings.IndexAny(rest, "/?$"); i >= 0 {
		host, after = rest[:i], rest[i:]
	}
	if variable, ok := strings.CutPrefix(after, "$"); ok {
		if name, _ := variableName(variable); name != "request_uri" && name != "uri" {
			return "", fmt.Errorf("want a path after the host, or $request_uri, got %.80q", target)
		}
	}
	u, err := url.Parse(scheme + "://" + host)
	if !ok || err != nil || scheme != "http" && scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(target, " \"'\\;") {
		return "", fmt.Errorf("want an http or https URL with variables after the host alone, got %.80q", target)
	}
	return scheme + "://" + host, nil
}

type mirrorHandler struct {
	*Mirror
	rule Rule
	env  *Env
	next http.Handler
}

func (h *mirrorHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if exchangeOf(w).Rehearsal() || r.Header.Get("Upgrade") != "" {
		h.next.ServeHTTP(w, r)
		return
	}
	copied, err := h.copy(w, r)
	if err != nil {
		h.env.mirrors.dropped.Add(1)
		h.next.ServeHTTP(w, r)
		return
	}
	if r.ContentLength == 0 || !h.Body {
		h.send(copied, nil)
		h.next.ServeHTTP(w, r)
		return
	}
	body := &mirroredBody{ReadCloser: r.Body, mirrors: &h.env.mirrors, left: r.ContentLength}
	r.Body = body
	returned := false
	defer func() {
		if !returned || !body.ended || body.over {
			h.env.mirrors.bytes.Add(-body.held)
			h.env.mirrors.dropped.Add(1)
			return
		}
		h.send(copied, body)
	}()
	h.next.ServeHTTP(w, r)
	returned = true
}

// copy makes a request of r, without its body. The rest of the chain changes r, and the copy may
// outlive its context.
func (h *mirrorHandler) copy(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	target := h.URL.expand(w, r, &h.rule, nil, nil)
	rest, ok := strings.CutPrefix(target, h.Base)
	if !ok || rest != "" && rest[0] != '/' && rest[0] != '?' {
		return nil, errors.New("a variable has changed the host") // as "*" of OPTIONS does
	}
	req, err := http.NewRequestWithContext(context.Background(), r.Method, target, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		if !endsHere(name) {
			req.Header[name] = append([]string(nil), values...)
		}
	}
	proven(req.Header, exchangeOf(w))
	if !hop(req.Header, r.Header) {
		return nil, errors.New("it may be a copy of a copy")
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // none of our own
	}
	if _, ok := req.Header["Accept-Encoding"]; !ok {
		req.Header["Accept-Encoding"] = nil
	}
	if h.Host != "" {
		req.Host = h.Host
	}
	return req, nil
}

// send sends a copy, on a goroutine of its own, or drops it. Nil: it has no body.
func (h *mirrorHandler) send(req *http.Request, body *mirroredBody) {
	m := &h.env.mirrors
	held := int64(0)
	if body != nil {
		held = body.held
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body.kept)), int64(len(body.kept))
		if len(body.kept) == 0 {
			req.Body = http.NoBody
		}
	}
	if m.running.Add(1) > maxMirrored {
		m.running.Add(-1)
		m.bytes.Add(-held)
		m.dropped.Add(1)
		return
	}
	go func() {
		defer m.running.Add(-1)
		defer m.bytes.Add(-held)
		ctx, cancel := context.WithTimeout(req.Context(), mirrorTimeout)
		defer cancel()
		resp, err := h.env.Transport.RoundTrip(req.WithContext(ctx))
		if err != nil {
			m.failed.Add(1)
			return
		}
		m.sent.Add(1)
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be kept
		_ = resp.Body.Close()
	}()
}

// mirroredBody keeps what is read of a body. It is read by one goroutine at a time, and by none
// when the handler that it was given to has returned.
type mirroredBody struct {
	io.ReadCloser
	mirrors *mirrors
	kept    []byte
	held    int64 // of mirrors.bytes
	left    int64 // of the announced length; less than 0 when there is none
	ended   bool  // all of it was read
	over    bool  // it is too long, or there are too many
}

func (b *mirroredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.over && n > 0 {
		b.keep(p[:n])
	}
	if b.left > 0 {
		b.left -= int64(n)
		b.ended = b.left == 0
	}
	b.ended = b.ended || err == io.EOF
	return n, err
}

func (b *mirroredBody) keep(p []byte) {
	if len(b.kept)+len(p) > maxMirrorBody || b.mirrors.bytes.Add(int64(len(p))) > maxMirroredBytes {
		if len(b.kept)+len(p) <= maxMirrorBody {
			b.mirrors.bytes.Add(-int64(len(p)))
		}
		b.over, b.kept = true, nil
		return
	}
	b.held += int64(len(p))
	b.kept = append(b.kept, p...)
}
