package http1

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// clientBuffer is the size of what a response is first read into, and of what a request is
// written from whose body goes with its head.
const clientBuffer = 4 * smallBuffer

// exchange sends the request whose head, with an inline body, is out, and returns the response.
// The error is errStale, and then out is untouched, or else a *ClientError. After any error
// c is closed.
func (c *clientConn) exchange(req *http.Request, call *Call, out []byte, kind sentBody) (*http.Response, error) {
	c.wire.out = out
	streamed := kind == bodyAnnounced || kind == bodyChunked
	first := phaseHead
	if streamed {
		first = phaseSend
	}
	c.head.code = 0 // nothing has come yet
	c.body = clientBody{conn: c, unsent: streamed}
	c.begin(req.Context(), call, first)
	if err := c.send(!streamed); err != nil {
		if c.served && c.wire.written == 0 && c.wire.out != nil && c.interrupted() == nil && !c.secure {
			err = errStale // it was closed after the look
		}
		if err == errStale {
			c.wire.out = nil
			_ = c.end()
			c.abort()
			return nil, errStale
		}
		return nil, c.fail(call, err)
	}
	if streamed {
		if expectsContinue(req) {
			c.wait(phaseContinue)
		} else {
			c.startBody(req, call, kind)
		}
	}
	for interim := 0; ; interim++ {
		if err := c.readHead(req, call, kind); err != nil {
			return nil, c.fail(call, err)
		}
		if c.head.code >= 200 || c.head.code == http.StatusSwitchingProtocols {
			break
		}
		if interim == maxInterim {
			return nil, c.fail(call, fault(BadStatusLine, "want at most %d interim responses", maxInterim))
		}
		if c.body.unsent && c.head.code == http.StatusContinue {
			c.startBody(req, call, kind)
		}
		if call.Interim != nil {
			if err := c.tell(call); err != nil {
				return nil, c.fail(call, &interimError{err})
			}
		}
	}
	if c.head.code == http.StatusSwitchingProtocols && streamed {
		return nil, c.fail(call, fault(BadStatusLine, "want no status 101 for a request with a body"))
	}
	return c.response(req, call), nil
}

// tell calls Call.Interim. If that panics, the exchange ends.
func (c *clientConn) tell(call *Call) error {
	returned := false
	defer func() {
		if !returned {
			_ = c.fail(call, io.ErrClosedPipe)
		}
	}()
	err := call.Interim(c.head.code, c.header)
	returned = true
	return err
}

// startBody begins to send a streamed body.
func (c *clientConn) startBody(req *http.Request, call *Call, kind sentBody) {
	c.proceed()
	call.BodyRead = true
	c.body.unsent = false
	s := &bodySender{conn: c, body: req.Body, left: -1}
	if kind == bodyAnnounced {
		s.left = req.ContentLength
	} else {
		s.trailer = req.Trailer
	}
	c.mu.Lock()
	c.sender = s
	c.mu.Unlock()
	c.body.sender = s
	c.wait(phaseUpload)
	go s.run()
}

// readHead reads the next head into c.head, c.header and c.resp's strings.
func (c *clientConn) readHead(req *http.Request, call *Call, kind sentBody) error {
	clear(c.header)
	c.fields.reset()
	var s headScanner
	for {
		if c.in.len() > 0 {
			end, err := responseEnd(c.in.bytes(), &s)
			if err != nil {
				return err
			}
			if end > 0 {
				head := string(c.in.bytes()[:end])
				c.in.advance(end)
				return c.head.parse(head, req.Method, c.header, &c.fields)
			}
		}
		if err := c.fill(); err != nil {
			if c.interrupted() != errContinueTimeout {
				return err
			}
			c.startBody(req, call, kind)
		}
	}
}

// proceed ends the wait for a 100 response. The clock may have interrupted it, be it while an answer
// was there already: that must be forgotten, or what is read next would be taken for interrupted.
func (c *clientConn) proceed() {
	c.wait(phaseHeld)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == errContinueTimeout {
		c.cause = nil
		_ = c.nc.SetReadDeadline(time.Time{}) // a connection that was lost shows when it is read
	}
}

// interrupted returns why the exchange was interrupted, nil if it was not.
func (c *clientConn) interrupted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// response makes the response of what was read of its head.
func (c *clientConn) response(req *http.Request, call *Call) *http.Response {
	c.wait(phaseHeld)
	h, b := &c.head, &c.body
	if b.unsent {
		c.proceed()
	}
	c.resp = http.Response{
		Status:        h.status,
		StatusCode:    h.code,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    h.minor,
		Header:        c.header,
		ContentLength: h.length,
		Close:         !h.keepAlive,
		Body:          b,
		Request:       req,
	}
	if h.minor == 0 {
		c.resp.Proto = "HTTP/1.0"
	}
	b.framing, b.left = h.framing, h.length
	switch h.framing {
	case framingNone:
		if h.code == http.StatusSwitchingProtocols {
			_ = c.end() // the limits of time are those of HTTP
			c.resp.Body = &clientTunnel{conn: c}
			return &c.resp
		}
		if h.length < 0 && req.Method != http.MethodHead {
			c.resp.ContentLength = 0
		}
		_ = b.finish(io.EOF)
	case framingChunked:
		c.resp.TransferEncoding = chunkedCoding
		c.trailer.values = nil
		b.chunks.reset(&c.in, &c.trailer, maxResponseHead, maxResponseFields)
		c.announceTrailers()
	}
	return &c.resp
}

// chunkedCoding is constant.
var chunkedCoding = []string{"chunked"}

// announceTrailers makes the names in the field Trailer the keys of the response's.
func (c *clientConn) announceTrailers() {
	values, ok := c.header["Trailer"]
	if !ok {
		return
	}
	delete(c.header, "Trailer")
	c.resp.Trailer = make(http.Header)
	for _, v := range values {
		for v != "" {
			var name string
			if name, v = cutList(v); name != "" {
				c.resp.Trailer[http.CanonicalHeaderKey(name)] = nil
			}
		}
	}
}

// interimError is an error of Call.Interim.
type interimError struct{ err error }

func (e *interimError) Error() string { return e.err.Error() }
func (e *interimError) Unwrap() error { return e.err }

// fail ends the exchange with an error and closes c. It returns a *ClientError.
func (c *clientConn) fail(call *Call, err error) error {
	e := &ClientError{
		Reused:   c.served,
		Unsent:   c.wire.written == 0 && !c.secure,
		BodyRead: call.BodyRead,
	}
	answered := c.in.w > 0 || c.head.code != 0 // a byte of a response has come
	cause := c.end()
	c.abort()
	c.dropOutput()
	c.in.drop()
	e.Stage, e.Err = stageOf(err, cause, answered)
	return e
}

func stageOf(err, cause error, answered bool) (Stage, error) {
	var (
		body    *senderError
		bad     *Fault
		interim *interimError
	)
	switch {
	case errors.As(cause, &body):
		return StageBody, body.err
	case cause == ErrHeadTimeout || cause == ErrSendTimeout || cause == ErrSilent:
		return StageTimedOut, cause
	case cause != nil && cause != errContinueTimeout:
		return StageAbandoned, cause
	case errors.As(err, &interim):
		return StageMalformed, interim.err
	case errors.As(err, &bad):
		return StageMalformed, err
	case answered && err == io.EOF:
		return StageAnswering, io.ErrUnexpectedEOF
	case answered:
		return StageAnswering, err
	}
	return StageSending, err
}
