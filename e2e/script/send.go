package script

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/fairlead-ingress/fairlead/e2e/echo"
)

// client sends requests to a site. It is used by one goroutine.
type client struct {
	site       Site
	vars       map[string]string
	transports []*http.Transport // to be closed
}

// close closes the connections of the last request.
func (c *client) close() {
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
	c.transports = nil
}

const bodyKept = 1 << 20

func (c *client) send(ctx context.Context, r *Request) *Answer {
	switch r.Method {
	case "":
		return c.sendRaw(ctx, r)
	case "WS":
		return c.sendMessages(ctx, r)
	}
	a := &Answer{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends a stream
	req, err := c.request(ctx, r, a)
	if err != nil {
		return &Answer{Err: err}
	}
	resp, err := c.transport(r).RoundTrip(req)
	if err != nil {
		a.Err = err
		return a
	}
	defer func() { _ = resp.Body.Close() }()
	a.head(resp)
	if r.Mode == Stream {
		c.follow(r, a, resp.Body)
		return a
	}
	a.body(resp)
	return a
}

// head notes everything but the body.
func (a *Answer) head(resp *http.Response) {
	a.Code, a.Proto, a.Header, a.TLS = resp.StatusCode, resp.Proto, resp.Header, resp.TLS
}

// body reads the body to its end, and then the trailer.
func (a *Answer) body(resp *http.Response) {
	kept, err := io.ReadAll(io.LimitReader(resp.Body, bodyKept))
	a.Body, a.BodySize = kept, int64(len(kept))
	if err == nil {
		var rest int64
		rest, err = io.Copy(io.Discard, resp.Body)
		a.BodySize += rest
	}
	a.Err, a.Trailer = err, resp.Trailer
	if resp.Header.Get("Echo-Backend") != "" && resp.Header.Get("Content-Type") == "application/json" {
		rec := new(echo.Record)
		if json.Unmarshal(kept, rec) == nil {
			a.Seen = rec
		}
	}
}

// follow reads the body until every expectation holds. That the response ends before is an
// error: then nothing shows that its parts were passed on as they came.
func (c *client) follow(r *Request, a *Answer, body io.Reader) {
	piece := make([]byte, 4096)
	for r.check(a, 0, false, c.vars, c.site.Roots()) != nil {
		n, err := body.Read(piece)
		a.Body = append(a.Body, piece[:n]...)
		a.BodySize += int64(n)
		if err != nil {
			a.Err = fmt.Errorf("want what is expected while the response is open, got its end: %w", err)
			return
		}
	}
}

// request puts the request together. Its target and Host go out as the script says them.
func (c *client) request(ctx context.Context, r *Request, a *Answer) (*http.Request, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			a.Interim = append(a.Interim, Interim{code, http.Header(header).Clone()})
			return nil
		},
	})
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
		if r.Chunked || len(r.Trailer) > 0 {
			body = io.MultiReader(body) // hides the length
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, "http://placeholder/", body)
	if err != nil {
		return nil, err
	}
	host := c.connectHost(r)
	req.URL = &url.URL{Scheme: wireScheme(r), Host: host}
	target, query, hasQuery := strings.Cut(expand(r.Target, c.vars), "?")
	req.URL.Opaque, req.URL.RawQuery, req.URL.ForceQuery = target, query, hasQuery
	if strings.HasPrefix(target, "//") { // Opaque would make it an absolute form
		req.URL.Opaque, req.URL.Path = "", target
	}
	req.Host = r.Host
	if r.Host == "" {
		req.Host = host
	}
	for _, f := range r.Header {
		req.Header.Add(f.Name, expand(f.Value, c.vars))
	}
	if len(r.Trailer) > 0 {
		req.Trailer = http.Header{}
		for _, f := range r.Trailer {
			req.Trailer.Add(f.Name, f.Value)
		}
	}
	return req, nil
}

func wireScheme(r *Request) string {
	if r.Scheme == "https" {
		return "https"
	}
	return "http"
}

// connectHost is what the transport takes for the host: it makes the server name of a
// handshake of it.
func (c *client) connectHost(r *Request) string {
	if r.Host == "" || r.Scheme == "admin" {
		return c.site.Address(r.Scheme)
	}
	return r.Host
}

// transport dials the site's listener whatever the host is.
func (c *client) transport(r *Request) *http.Transport {
	if len(c.transports) > 0 {
		return c.transports[0] // a repeated request
	}
	address := c.site.Address(r.Scheme)
	t := &http.Transport{
		DisableCompression:    true,
		ExpectContinueTimeout: 5 * time.Second,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		TLSClientConfig: c.tlsConfig(r),
		Protocols:       new(http.Protocols),
	}
	switch {
	case r.Proto == "HTTP/2" && r.Scheme == "https":
		t.Protocols.SetHTTP2(true)
	case r.Proto == "HTTP/2":
		t.Protocols.SetUnencryptedHTTP2(true)
	default:
		t.Protocols.SetHTTP1(true)
	}
	c.transports = append(c.transports, t)
	return t
}

// tlsConfig accepts every certificate: scripts say what they expect of it.
func (c *client) tlsConfig(r *Request) *tls.Config {
	conf := &tls.Config{InsecureSkipVerify: true}
	if r.SNI != nil {
		conf.ServerName = *r.SNI
		if *r.SNI == "" {
			conf.ServerName = "127.0.0.1" // an address is never sent as a server name
		}
	}
	return conf
}

// sendMessages opens a WebSocket and sends the messages one by one, each after the answer
// to the one before.
func (c *client) sendMessages(ctx context.Context, r *Request) *Answer {
	a := &Answer{}
	header := http.Header{}
	for _, f := range r.Header {
		header.Add(f.Name, expand(f.Value, c.vars))
	}
	conn, resp, err := websocket.Dial(ctx, wireScheme(r)+"://"+c.connectHost(r)+r.Target, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: c.transport(r)},
		HTTPHeader: header,
		Host:       r.Host,
	})
	if resp != nil {
		a.head(resp)
	}
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			a.body(resp)
			return a
		}
		a.Err = err
		return a
	}
	defer func() { _ = conn.CloseNow() }()
	for _, message := range r.Send {
		if a.Err = conn.Write(ctx, websocket.MessageText, []byte(message)); a.Err != nil {
			return a
		}
		_, back, err := conn.Read(ctx)
		if err != nil {
			a.Err = err
			return a
		}
		a.Received = append(a.Received, string(back))
	}
	a.Err = conn.Close(websocket.StatusNormalClosure, "")
	return a
}

// sendRaw sends the bytes and reads one response. Whether the connection was closed after
// it is only asked when an expectation is about it.
func (c *client) sendRaw(ctx context.Context, r *Request) *Answer {
	a := &Answer{}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.site.Address(r.Scheme))
	if err != nil {
		return &Answer{Err: err}
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // a TCP connection takes it
	}
	if r.Scheme == "https" {
		secure := tls.Client(conn, c.tlsConfig(r))
		defer func() { _ = secure.Close() }()
		conn = secure
	}
	if _, err := conn.Write(r.Raw); err != nil {
		return &Answer{Err: err}
	}
	method, _, _ := strings.Cut(string(r.Raw), " ")
	br := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			a.Err = err
			return a
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			a.Interim = append(a.Interim, Interim{resp.StatusCode, resp.Header})
			continue
		}
		a.head(resp)
		if resp.StatusCode != http.StatusSwitchingProtocols {
			a.body(resp)
			_ = resp.Body.Close()
		}
		break
	}
	for _, e := range r.Expect {
		if e.Subject != "connection" {
			continue
		}
		patience := 300 * time.Millisecond // that nothing happens cannot be waited for
		if e.Op == "==" && e.Value == "closed" {
			patience = waitFor
		}
		a.Closed = a.Closed || closed(conn, br, patience)
	}
	return a
}

// closed reports whether the other side closes the connection, if it does so in time.
func closed(conn net.Conn, br *bufio.Reader, patience time.Duration) bool {
	_ = conn.SetReadDeadline(time.Now().Add(patience)) // a TCP connection takes it
	_, err := br.ReadByte()
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}
